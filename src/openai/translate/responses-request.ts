// Responses, request (platform.openai.com/docs/api-reference/responses/create, read November 2026), into a call. Each
// request carries its whole conversation: what refers to something stored at the provider is refused, not dropped, since
// an answer without it would be the answer to another question.

import type { LanguageModelV4Message, LanguageModelV4ToolResultOutput } from '@ai-sdk/provider'
import {
  argumentsOf,
  cannot,
  chooseTools,
  commonSettings,
  countOf,
  effortOf,
  given,
  invalid,
  membersOf,
  responseFormatOf,
  sift,
  type Abilities,
  type Call,
  type Members,
} from './call.ts'
import { filePart } from './media.ts'
import { signatureOf, unsealed } from './signature.ts'
import { functionTools, plainText, Turns, userContent } from './turns.ts'

const known = new Set(
  `model input instructions stream max_output_tokens temperature top_p top_k tools tool_choice parallel_tool_calls
  text reasoning`.split(/\s+/),
)
/** What makes the request about something that this provider has not stored. */
const stored = ['previous_response_id', 'conversation', 'prompt']

/** The call that a body of `POST /v1/responses` asks for. @throws Failure('bad_request') */
export function responsesCall(body: Members, abilities: Abilities): Call {
  for (const param of stored) {
    if (body[param] !== undefined && body[param] !== null)
      throw cannot(param, 'it stores nothing. Send the whole conversation as input')
  }
  if (body['background'] === true) throw cannot('background', 'it answers at once. Leave it away')
  const { kept, dropped } = sift(body, known, abilities.lacks)
  const items = new Items(abilities)
  if (typeof kept['instructions'] === 'string') items.system(kept['instructions'])
  else if (kept['instructions'] !== undefined) throw invalid('instructions', 'must be text')
  items.addAll(kept['input'])
  const reasoning = membersOf(kept['reasoning'])
  const effort = effortOf(reasoning?.['effort'], 'reasoning.effort')
  const text = membersOf(kept['text'])
  if (text?.['verbosity'] !== undefined && text['verbosity'] !== null && text['verbosity'] !== 'medium')
    dropped.push('text.verbosity')
  const parallelToolCalls = kept['parallel_tool_calls'] !== false
  return {
    options: {
      prompt: items.prompt(),
      ...commonSettings(kept),
      ...given('maxOutputTokens', countOf(kept, 'max_output_tokens')),
      ...given('reasoning', effort),
      ...responseFormatOf(text?.['format'], 'text.format'),
      ...chooseTools(
        functionTools(kept['tools'], '', dropped),
        kept['tool_choice'],
        (choice) => choice['name'],
      ),
      ...given('providerOptions', abilities.extras({ parallelToolCalls, effort: effort ?? null })),
    },
    dropped,
  }
}

type Assistant = Extract<LanguageModelV4Message, { role: 'assistant' }>
type User = Extract<LanguageModelV4Message, { role: 'user' }>

/** Input items, gathered into messages: what the assistant said, thought and called in one turn is one message. */
class Items {
  readonly #turns = new Turns()

  constructor(private readonly abilities: Abilities) {}

  prompt(): LanguageModelV4Message[] {
    return this.#turns.prompt()
  }

  system(content: string): void {
    this.#turns.addSystem(content)
  }

  addAll(input: unknown): void {
    if (typeof input === 'string') {
      this.#turns.add({ role: 'user', content: [{ type: 'text', text: input }] })
      return
    }
    if (!Array.isArray(input) || input.length === 0)
      throw invalid('input', 'must be text or a list of at least one item')
    for (const [index, item] of (input as unknown[]).entries()) this.#add(membersOf(item), `input[${index}]`)
  }

  #add(item: Members | null, param: string): void {
    switch (item?.['type'] ?? (item?.['role'] === undefined ? undefined : 'message')) {
      case 'message':
        return this.#message(item!, param)
      case 'function_call':
        return this.#functionCall(item!, param)
      case 'function_call_output':
        return this.#functionOutput(item!, param)
      case 'reasoning':
        return this.#reasoning(item!)
      case 'item_reference':
        throw cannot(param, 'it stores nothing. Send the item itself')
      default:
        throw cannot(`${param}.type`, 'it takes message, reasoning, function_call and function_call_output')
    }
  }

  #message({ role, content }: Members, param: string): void {
    if (role === 'system' || role === 'developer') this.system(plainText(content, param))
    else if (role === 'user')
      this.#turns.add({ role, content: userContent(content, param, (part, at) => this.#part(part, at)) })
    else if (role === 'assistant') {
      const text = plainText(content, param)
      if (text !== '') this.#assistant().content.push({ type: 'text', text })
    } else throw invalid(`${param}.role`, 'must be system, developer, user or assistant')
  }

  #assistant(): Assistant {
    const { last } = this.#turns
    if (last?.role === 'assistant') return last
    const message: Assistant = { role: 'assistant', content: [] }
    this.#turns.add(message)
    return message
  }

  #part(part: Members | null, param: string): User['content'][number] {
    switch (part?.['type']) {
      case 'input_text':
        if (typeof part['text'] !== 'string') throw invalid(`${param}.text`, 'must be text')
        return { type: 'text', text: part['text'] }
      case 'input_image': {
        const url = part['image_url']
        if (url === undefined || url === null)
          throw cannot(`${param}.file_id`, 'it does not know this file. Send image_url')
        return filePart({ url, param: `${param}.image_url`, kind: 'image/jpeg' }, this.abilities)
      }
      case 'input_file': {
        const url = part['file_data'] ?? part['file_url']
        if (url === undefined || url === null)
          throw cannot(`${param}.file_id`, 'it does not know this file. Send file_data')
        const filename = typeof part['filename'] === 'string' ? part['filename'] : undefined
        return filePart(
          { url, param: `${param}.file_data`, kind: 'application/pdf', filename },
          this.abilities,
        )
      }
      default:
        throw invalid(`${param}.type`, 'must be input_text, input_image or input_file')
    }
  }

  #functionCall(item: Members, param: string): void {
    const { call_id: toolCallId, name: toolName } = item
    if (typeof toolCallId !== 'string') throw invalid(`${param}.call_id`, 'must be text')
    if (typeof toolName !== 'string') throw invalid(`${param}.name`, 'must be text')
    this.#turns.called(toolCallId, toolName)
    this.#assistant().content.push({
      type: 'tool-call',
      toolCallId,
      toolName,
      input: argumentsOf(item['arguments'], `${param}.arguments`),
      ...given('providerOptions', signatureOf(item)),
    })
  }

  #functionOutput({ call_id: toolCallId, output }: Members, param: string): void {
    const toolName = this.#turns.toolOf(toolCallId)
    if (typeof toolCallId !== 'string' || toolName === undefined)
      throw invalid(`${param}.call_id`, 'must be the call_id of an earlier function_call')
    this.#turns.addResult({ type: 'tool-result', toolCallId, toolName, output: this.#output(output, param) })
  }

  #output(output: unknown, param: string): LanguageModelV4ToolResultOutput {
    if (typeof output === 'string') return { type: 'text', value: output }
    if (!Array.isArray(output)) throw invalid(`${param}.output`, 'must be text or a list of parts')
    const value = (output as unknown[]).map((one, index) => {
      const part = this.#part(membersOf(one), `${param}.output[${index}]`)
      // Some packages fetch URLs of tool results by themselves.
      if (part.type === 'file' && part.data.type === 'url')
        throw cannot(`${param}.output[${index}]`, 'results of tools may hold data, not URLs')
      return part
    })
    return { type: 'content', value }
  }

  // Unsigned reasoning is of no use to any provider, and refused by some.
  #reasoning(item: Members): void {
    const providerOptions = unsealed(item['encrypted_content'])
    if (providerOptions === undefined) return
    const summary = Array.isArray(item['summary']) ? (item['summary'] as unknown[]) : []
    const text = summary.map((part) => membersOf(part)?.['text']).filter((part) => typeof part === 'string')
    this.#assistant().content.push({ type: 'reasoning', text: text.join('\n\n'), providerOptions })
  }
}
