// Chat completions, request (platform.openai.com/docs/api-reference/chat/create, read November 2026), into a call.

import type {
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4TextPart,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider'
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
  numberOf,
  responseFormatOf,
  sift,
  type Abilities,
  type Call,
  type Members,
} from './call.ts'
import { bytesPart, filePart } from './media.ts'
import { signatureOf } from './signature.ts'
import { functionTools, plainText, Turns, userContent } from './turns.ts'

const known = new Set(
  `model messages stream max_tokens max_completion_tokens temperature top_p top_k stop presence_penalty
  frequency_penalty seed tools tool_choice parallel_tool_calls response_format reasoning_effort`.split(/\s+/),
)

/** The call that a body of `POST /v1/chat/completions` asks for. @throws Failure('bad_request') */
export function chatCall(body: Members, abilities: Abilities): Call {
  const { kept, dropped } = sift(body, known, abilities.lacks)
  const turns = new ChatTurns(abilities)
  if (!Array.isArray(body['messages']) || body['messages'].length === 0)
    throw invalid('messages', 'must be a list of at least one message')
  for (const [index, message] of (body['messages'] as unknown[]).entries()) turns.add(message, index)
  const effort = turns.effort(kept, dropped)
  const parallelToolCalls = kept['parallel_tool_calls'] !== false
  return {
    options: {
      prompt: turns.prompt(),
      ...commonSettings(kept),
      ...given('maxOutputTokens', countOf(kept, 'max_completion_tokens') ?? countOf(kept, 'max_tokens')),
      ...given('presencePenalty', numberOf(kept, 'presence_penalty')),
      ...given('frequencyPenalty', numberOf(kept, 'frequency_penalty')),
      ...given('seed', numberOf(kept, 'seed')),
      ...given('stopSequences', stops(kept['stop'])),
      ...given('reasoning', effort),
      ...responseFormatOf(kept['response_format'], 'response_format'),
      ...chooseTools(
        functionTools(kept['tools'], 'function', dropped),
        kept['tool_choice'],
        (choice) => membersOf(choice['function'])?.['name'],
      ),
      ...given('providerOptions', abilities.extras({ parallelToolCalls, effort: effort ?? null })),
    },
    dropped,
  }
}

function stops(stop: unknown): string[] | undefined {
  if (stop === undefined) return undefined
  const list = typeof stop === 'string' ? [stop] : stop
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'string'))
    throw invalid('stop', 'must be text or a list of texts')
  return list
}

/** Messages in the order of the client's, with what later ones need to know of earlier ones. */
class ChatTurns {
  readonly #turns = new Turns()
  /** Tools were called since the user last spoke. */
  #amidTools = false

  constructor(private readonly abilities: Abilities) {}

  prompt(): LanguageModelV4Message[] {
    return this.#turns.prompt()
  }

  /** The effort asked for, unless the conversation cannot be continued with it. */
  effort(kept: Members, dropped: string[]) {
    const effort = effortOf(kept['reasoning_effort'], 'reasoning_effort')
    if (effort === undefined || effort === 'none') return effort
    // This wire has no place for the signed reasoning that such a provider wants back.
    if (!this.#amidTools || !this.abilities.reasoningNeedsItsPast) return effort
    dropped.push('reasoning_effort')
    return undefined
  }

  add(value: unknown, index: number): void {
    const message = membersOf(value)
    const param = `messages[${index}]`
    switch (message?.['role']) {
      case 'system':
      case 'developer':
        this.#turns.addSystem(plainText(message['content'], param), hints(message))
        return
      case 'user':
        this.#amidTools = false
        this.#turns.add({
          role: 'user',
          content: userContent(message['content'], param, (part, at) => this.#part(part, at)),
          ...hints(message),
        })
        return
      case 'assistant':
        this.#turns.add(this.#assistant(message, param))
        return
      case 'tool':
        this.#toolResult(message, param)
        return
      default:
        throw invalid(`${param}.role`, 'must be system, developer, user, assistant or tool')
    }
  }

  #part(part: Members | null, param: string): LanguageModelV4TextPart | LanguageModelV4FilePart {
    switch (part?.['type']) {
      case 'text':
        if (typeof part['text'] !== 'string') throw invalid(`${param}.text`, 'must be text')
        return { type: 'text', text: part['text'], ...hints(part) }
      case 'image_url': {
        const url = membersOf(part['image_url'])?.['url'] ?? part['image_url']
        return {
          ...filePart({ url, param: `${param}.image_url`, kind: 'image/jpeg' }, this.abilities),
          ...hints(part),
        }
      }
      case 'input_audio': {
        const { data, format } = membersOf(part['input_audio']) ?? {}
        const mediaType = format === 'mp3' ? 'audio/mpeg' : 'audio/wav'
        return bytesPart({ data, mediaType, param: `${param}.input_audio` }, this.abilities)
      }
      case 'file': {
        const { file_data: url, filename, file_id } = membersOf(part['file']) ?? {}
        if (url === undefined && file_id !== undefined)
          throw cannot(`${param}.file.file_id`, 'it does not know this file. Send file_data')
        const named = typeof filename === 'string' ? filename : undefined
        return filePart(
          { url, param: `${param}.file.file_data`, kind: 'application/pdf', filename: named },
          this.abilities,
        )
      }
      default:
        throw invalid(`${param}.type`, 'must be text, image_url, input_audio or file')
    }
  }

  #assistant(message: Members, param: string): LanguageModelV4Message {
    const parts: Extract<LanguageModelV4Message, { role: 'assistant' }>['content'] = []
    const { content, refusal, tool_calls: calls } = message
    const text = content === null || content === undefined ? (refusal ?? '') : plainText(content, param)
    if (typeof text === 'string' && text !== '') parts.push({ type: 'text', text })
    if (calls !== undefined && calls !== null && !Array.isArray(calls))
      throw invalid(`${param}.tool_calls`, 'must be a list')
    for (const [index, value] of ((calls ?? []) as unknown[]).entries()) {
      const at = `${param}.tool_calls[${index}]`
      const call = membersOf(value)
      const named = membersOf(call?.['function'])
      const toolCallId = call?.['id']
      const toolName = named?.['name']
      if (typeof toolCallId !== 'string') throw invalid(`${at}.id`, 'must be text')
      if (typeof toolName !== 'string') throw invalid(`${at}.function.name`, 'must be text')
      this.#turns.called(toolCallId, toolName)
      this.#amidTools = true
      parts.push({
        type: 'tool-call',
        toolCallId,
        toolName,
        input: argumentsOf(named!['arguments'], `${at}.function.arguments`),
        ...given('providerOptions', signatureOf(call!)),
      })
    }
    return { role: 'assistant', content: parts, ...hints(message) }
  }

  #toolResult(message: Members, param: string): void {
    const toolCallId = message['tool_call_id']
    const toolName = this.#turns.toolOf(toolCallId)
    if (typeof toolCallId !== 'string' || toolName === undefined)
      throw invalid(`${param}.tool_call_id`, 'must be the id of a tool call in an earlier message')
    this.#turns.addResult({
      type: 'tool-result',
      toolCallId,
      toolName,
      output: { type: 'text', value: plainText(message['content'], param) },
      ...hints(message),
    })
  }
}

/** `cache_control`, as applications already write it for Anthropic behind an OpenAI wire. */
function hints(of: Members): { providerOptions?: SharedV4ProviderOptions } {
  const control = membersOf(of['cache_control'])
  return control?.['type'] === 'ephemeral'
    ? { providerOptions: { anthropic: { cacheControl: { type: 'ephemeral' } } } }
    : {}
}
