// Responses, answer (platform.openai.com/docs/api-reference/responses/object and …/responses-streaming, read November
// 2026). A whole answer is made by the same code as a stream, from the same parts, so that they cannot differ: the last
// event of a stream holds it.

import type { LanguageModelV4GenerateResult, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { base64Of, countsOf, responsesUsage, restOfArguments, type Face } from './answer.ts'
import { given, type Members } from './call.ts'
import { sealed, signedCall } from './signature.ts'

type Part<Type extends LanguageModelV4StreamPart['type']> = Extract<LanguageModelV4StreamPart, { type: Type }>
type Item = Record<string, unknown>

interface OpenItem {
  readonly at: number
  readonly item: Item
  /** What has been sent of its text or arguments. */
  text: string
}

/** Ids of the items of an answer, by prefix. */
export type NewId = (prefix: string) => string

/** Makes events of a response from the parts of a provider's stream, one answer each. */
export class ResponsesEvents {
  readonly #output: Item[] = []
  /** Text or reasoning that goes on: one at a time, since its parts come in a row. */
  #open: (OpenItem & { kind: 'message' | 'reasoning' }) | null = null
  readonly #calls = new Map<string, OpenItem | null>()
  #sequence = 0
  #begun = false
  #response: object | null = null

  constructor(
    private readonly face: Face,
    /** The request's body, of which an answer repeats the settings. */
    private readonly body: Members,
    private readonly newId: NewId,
  ) {}

  /** The whole answer, once its last part has come. */
  get response(): object | null {
    return this.#response
  }

  /** Frames for one part; '' = none. Parts of type `error` are the caller's. */
  part(part: LanguageModelV4StreamPart): string {
    switch (part.type) {
      case 'response-metadata':
        if (part.modelId !== undefined && part.modelId !== '') this.face.model = part.modelId
        return ''
      case 'text-delta':
        return part.delta === '' ? '' : this.#text(part.delta)
      case 'reasoning-start':
      case 'reasoning-delta':
      case 'reasoning-end':
        return this.#reasoning(part)
      case 'tool-input-start':
        return this.#callStart(part.id, part.toolName, part.providerExecuted === true)
      case 'tool-input-delta':
        return this.#callDelta(part.id, part.delta)
      case 'tool-call':
        return this.#callEnd(part)
      case 'file':
        return this.#image(part)
      case 'finish':
        return this.#finish(part)
      default:
        return ''
    }
  }

  #event(type: string, members: object): string {
    const begun = this.#begin()
    const data = JSON.stringify({ type, sequence_number: this.#sequence++, ...members })
    return `${begun}event: ${type}\ndata: ${data}\n\n`
  }

  #begin(): string {
    if (this.#begun) return ''
    this.#begun = true
    const response = this.#snapshot('in_progress', {})
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response })
  }

  #add(item: Item): { open: OpenItem; frames: string } {
    const open: OpenItem = { at: this.#output.length, item, text: '' }
    this.#output.push(item)
    return { open, frames: this.#event('response.output_item.added', { output_index: open.at, item }) }
  }

  #done({ at, item }: OpenItem): string {
    item['status'] = 'completed'
    return this.#event('response.output_item.done', { output_index: at, item })
  }

  #text(delta: string): string {
    let frames = ''
    if (this.#open?.kind !== 'message') {
      frames = this.#close()
      const item = {
        id: this.newId('msg'),
        type: 'message',
        status: 'in_progress',
        role: 'assistant',
        content: [] as object[],
      }
      const added = this.#add(item)
      this.#open = { ...added.open, kind: 'message' }
      frames += added.frames
      frames += this.#event('response.content_part.added', { ...this.#place(), part: textPart('') })
    }
    this.#open.text += delta
    return frames + this.#event('response.output_text.delta', { ...this.#place(), delta, logprobs: [] })
  }

  /** Where in the answer the open text is. */
  #place(): object {
    const { item, at, kind } = this.#open!
    const inner = kind === 'message' ? { content_index: 0 } : { summary_index: 0 }
    return { item_id: item['id'], output_index: at, ...inner }
  }

  #reasoning(part: Part<'reasoning-start'> | Part<'reasoning-delta'> | Part<'reasoning-end'>): string {
    const seal = sealed(part.providerMetadata)
    const delta = part.type === 'reasoning-delta' ? part.delta : ''
    if (delta === '' && seal === null)
      return part.type === 'reasoning-end' && this.#open?.kind === 'reasoning' ? this.#close() : ''
    let frames = ''
    if (this.#open?.kind !== 'reasoning') {
      frames = this.#close()
      const added = this.#add({ id: this.newId('rs'), type: 'reasoning', status: 'in_progress', summary: [] })
      this.#open = { ...added.open, kind: 'reasoning' }
      frames += added.frames
    }
    const open = this.#open
    if (seal !== null) open.item['encrypted_content'] = seal
    if (delta !== '') {
      if (open.text === '')
        frames += this.#event('response.reasoning_summary_part.added', {
          ...this.#place(),
          part: summaryPart(''),
        })
      open.text += delta
      frames += this.#event('response.reasoning_summary_text.delta', { ...this.#place(), delta })
    }
    return part.type === 'reasoning-end' ? frames + this.#close() : frames
  }

  /** Ends the text or reasoning that is open. */
  #close(): string {
    const open = this.#open
    if (open === null) return ''
    const { item, text } = open
    let frames = ''
    if (open.kind === 'message') {
      item['content'] = [textPart(text)]
      frames += this.#event('response.output_text.done', { ...this.#place(), text, logprobs: [] })
      frames += this.#event('response.content_part.done', { ...this.#place(), part: textPart(text) })
    } else if (text !== '') {
      item['summary'] = [summaryPart(text)]
      frames += this.#event('response.reasoning_summary_text.done', { ...this.#place(), text })
      frames += this.#event('response.reasoning_summary_part.done', {
        ...this.#place(),
        part: summaryPart(text),
      })
    }
    this.#open = null
    return frames + this.#done(open)
  }

  #callStart(id: string, name: string, foreign: boolean): string {
    if (this.#calls.has(id)) return ''
    if (foreign) {
      this.#calls.set(id, null)
      return ''
    }
    const frames = this.#close()
    const itemId = this.newId('fc')
    const item = {
      id: itemId,
      type: 'function_call',
      status: 'in_progress',
      arguments: '',
      call_id: id,
      name,
    }
    const added = this.#add(item)
    this.#calls.set(id, added.open)
    return frames + added.frames
  }

  #callDelta(id: string, delta: string): string {
    const call = this.#calls.get(id) ?? null
    if (call === null || delta === '') return ''
    call.text += delta
    const place = { item_id: call.item['id'], output_index: call.at }
    return this.#event('response.function_call_arguments.delta', { ...place, delta })
  }

  #callEnd(part: Part<'tool-call'>): string {
    if (part.providerExecuted === true) return ''
    let frames = this.#callStart(part.toolCallId, part.toolName, false)
    const call = this.#calls.get(part.toolCallId) ?? null
    if (call === null || call.item['status'] === 'completed') return frames
    frames += this.#callDelta(part.toolCallId, restOfArguments(call.text, part.input))
    return frames + this.#callDone(call, part.providerMetadata)
  }

  #callDone(call: OpenItem, metadata: Part<'tool-call'>['providerMetadata']): string {
    const { item, at, text } = call
    if (item['status'] === 'completed') return ''
    item['arguments'] = text
    Object.assign(item, signedCall(metadata))
    const place = { item_id: item['id'], output_index: at, name: item['name'] }
    const done = this.#event('response.function_call_arguments.done', { ...place, arguments: text })
    return done + this.#done(call)
  }

  #image(part: Part<'file'>): string {
    const data = part.data.type === 'data' ? base64Of(part.data.data) : null
    if (data === null) return ''
    const frames = this.#close()
    const item = { id: this.newId('ig'), type: 'image_generation_call', status: 'in_progress', result: null }
    const { open, frames: added } = this.#add(item)
    open.item['result'] = data
    return frames + added + this.#done(open)
  }

  #finish(part: Part<'finish'>): string {
    let frames = this.#begin() + this.#close()
    // A call whose end the package left out is over as well.
    for (const call of this.#calls.values()) if (call !== null) frames += this.#callDone(call, undefined)
    const { unified } = part.finishReason
    const reason =
      unified === 'length' ? 'max_output_tokens' : unified === 'content-filter' ? 'content_filter' : null
    const status = reason === null ? 'completed' : 'incomplete'
    const counts = countsOf(part.usage)
    const response = this.#snapshot(status, {
      incomplete_details: reason === null ? null : { reason },
      usage: counts === null ? null : responsesUsage(counts),
    })
    this.#response = response
    return frames + this.#event(`response.${status}`, { response })
  }

  #snapshot(status: string, more: object): object {
    const { body, face } = this
    const text = body['text'] ?? { format: { type: 'text' } }
    return {
      id: face.id,
      object: 'response',
      created_at: face.created,
      status,
      background: false,
      error: null,
      incomplete_details: null,
      instructions: body['instructions'] ?? null,
      max_output_tokens: body['max_output_tokens'] ?? null,
      model: face.model,
      output: this.#output.slice(),
      parallel_tool_calls: body['parallel_tool_calls'] ?? true,
      previous_response_id: null,
      reasoning: body['reasoning'] ?? { effort: null, summary: null },
      store: false,
      temperature: body['temperature'] ?? null,
      text,
      tool_choice: body['tool_choice'] ?? 'auto',
      tools: body['tools'] ?? [],
      top_p: body['top_p'] ?? null,
      truncation: 'disabled',
      usage: null,
      user: body['user'] ?? null,
      metadata: body['metadata'] ?? {},
      ...more,
    }
  }
}

function textPart(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] }
}

function summaryPart(text: string): object {
  return { type: 'summary_text', text }
}

/** The body of a whole response. */
export function responsesAnswer(result: LanguageModelV4GenerateResult, events: ResponsesEvents): object {
  for (const content of result.content) {
    if (content.type === 'text') events.part({ type: 'text-delta', id: '', delta: content.text })
    else if (content.type === 'reasoning') {
      const { text: delta, providerMetadata } = content
      events.part({ type: 'reasoning-delta', id: '', delta, ...given('providerMetadata', providerMetadata) })
      events.part({ type: 'reasoning-end', id: '' })
    } else if (content.type === 'tool-call' || content.type === 'file') events.part(content)
  }
  events.part({ type: 'finish', finishReason: result.finishReason, usage: result.usage })
  return events.response!
}
