// Chat completions, answer (platform.openai.com/docs/api-reference/chat/object, read November 2026), whole or as events.
// Reasoning stands in `reasoning_content`, pictures in `images`: OpenAI's wire has no place for them, and these are where
// other servers put them and clients look.

import type {
  LanguageModelV4Content,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
} from '@ai-sdk/provider'
import { chatUsage, countsOf, dataUrl, finishOf, restOfArguments, type Face } from './answer.ts'
import { signedCall } from './signature.ts'

interface ToolCall {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: string }
}

/** The body of a whole chat completion. */
export function chatAnswer(result: LanguageModelV4GenerateResult, face: Face): object {
  const calls = result.content.flatMap((part) => (isClientCall(part) ? [toolCall(part)] : []))
  const text = join(result.content, 'text')
  const reasoning = join(result.content, 'reasoning')
  const images = result.content.flatMap((part) => (part.type === 'file' ? imageOf(part) : []))
  const annotations = result.content.flatMap((part) => (part.type === 'source' ? citation(part) : []))
  const counts = countsOf(result.usage)
  return {
    id: face.id,
    object: 'chat.completion',
    created: face.created,
    model: face.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text === '' && calls.length > 0 ? null : text,
          refusal: null,
          ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
          ...(images.length === 0 ? {} : { images }),
          annotations,
        },
        logprobs: null,
        finish_reason: finishOf(result.finishReason, calls.length > 0),
      },
    ],
    ...(counts === null ? {} : { usage: chatUsage(counts) }),
  }
}

function join(content: readonly LanguageModelV4Content[], type: 'text' | 'reasoning'): string {
  return content.map((part) => (part.type === type ? part.text : '')).join('')
}

type Call = Extract<LanguageModelV4Content, { type: 'tool-call' }>

function isClientCall(part: LanguageModelV4Content): part is Call {
  return part.type === 'tool-call' && part.providerExecuted !== true
}

function toolCall(part: Call): ToolCall {
  return {
    id: part.toolCallId,
    type: 'function',
    function: { name: part.toolName, arguments: part.input },
    ...signedCall(part.providerMetadata),
  }
}

function imageOf(part: Extract<LanguageModelV4Content, { type: 'file' }>): object[] {
  const url = dataUrl(part)
  return url === null ? [] : [{ type: 'image_url', image_url: { url } }]
}

function citation(part: Extract<LanguageModelV4Content, { type: 'source' }>): object[] {
  if (part.sourceType !== 'url') return []
  const { url, title = '' } = part
  return [{ type: 'url_citation', url_citation: { start_index: 0, end_index: 0, url, title } }]
}

/** Makes events of a chat completion from the parts of a provider's stream, one answer each. */
export class ChatEvents {
  readonly #calls = new Map<string, { index: number; sent: string; mine: boolean }>()
  #called = 0
  #begun = false

  constructor(
    private readonly face: Face,
    /** Whether the client's body asks for the last event with the usage. */
    private readonly includeUsage: boolean,
  ) {}

  /** Frames for one part; '' = none. Parts of type `error` are the caller's. */
  part(part: LanguageModelV4StreamPart): string {
    switch (part.type) {
      case 'response-metadata':
        if (part.modelId !== undefined && part.modelId !== '') this.face.model = part.modelId
        return ''
      case 'text-delta':
        return part.delta === '' ? '' : this.#delta({ content: part.delta })
      case 'reasoning-delta':
        return part.delta === '' ? '' : this.#delta({ reasoning_content: part.delta })
      case 'tool-input-start':
        return this.#callStart(part.id, part.toolName, part.providerExecuted === true)
      case 'tool-input-delta':
        return this.#callDelta(part.id, part.delta)
      case 'tool-call':
        return this.#callEnd(part)
      case 'file': {
        const images = imageOf(part)
        return images.length === 0 ? '' : this.#delta({ images })
      }
      case 'source': {
        const annotations = citation(part)
        return annotations.length === 0 ? '' : this.#delta({ annotations })
      }
      case 'finish':
        return this.#finish(part)
      default:
        return ''
    }
  }

  #callStart(id: string, name: string, foreign: boolean): string {
    if (foreign || this.#calls.has(id)) {
      if (foreign) this.#calls.set(id, { index: -1, sent: '', mine: false })
      return ''
    }
    const index = this.#called++
    this.#calls.set(id, { index, sent: '', mine: true })
    return this.#delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] })
  }

  #callDelta(id: string, delta: string): string {
    const call = this.#calls.get(id)
    if (call === undefined || !call.mine || delta === '') return ''
    call.sent += delta
    return this.#delta({ tool_calls: [{ index: call.index, function: { arguments: delta } }] })
  }

  #callEnd(part: Extract<LanguageModelV4StreamPart, { type: 'tool-call' }>): string {
    if (part.providerExecuted === true) return ''
    const started = this.#callStart(part.toolCallId, part.toolName, false)
    const call = this.#calls.get(part.toolCallId)!
    const rest = this.#callDelta(part.toolCallId, restOfArguments(call.sent, part.input))
    const extra = signedCall(part.providerMetadata)
    const signature =
      Object.keys(extra).length === 0 || !call.mine
        ? ''
        : this.#delta({ tool_calls: [{ index: call.index, ...extra }] })
    return started + rest + signature
  }

  #finish(part: Extract<LanguageModelV4StreamPart, { type: 'finish' }>): string {
    const finish = this.#delta({}, finishOf(part.finishReason, this.#called > 0))
    const counts = countsOf(part.usage)
    const usage =
      this.includeUsage && counts !== null ? this.#frame({ choices: [], usage: chatUsage(counts) }) : ''
    return `${finish}${usage}data: [DONE]\n\n`
  }

  #delta(delta: object, finish: string | null = null): string {
    const first = this.#begun ? '' : this.#choice({ role: 'assistant', content: '', refusal: null }, null)
    this.#begun = true
    return first + this.#choice(delta, finish)
  }

  #choice(delta: object, finish: string | null): string {
    return this.#frame({
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(this.includeUsage ? { usage: null } : {}),
    })
  }

  #frame(rest: object): string {
    const { id, created, model } = this.face
    return `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model, ...rest })}\n\n`
  }
}
