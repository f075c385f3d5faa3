// What the answers of both endpoints have in common, on the way back from a provider: who answered, token counts in
// OpenAI's sense (input with what came from the cache, output with reasoning), and calls of tools.

import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
} from '@ai-sdk/provider'

/** What an answer says of itself. */
export interface Face {
  readonly id: string
  /** Seconds since the Unix epoch. */
  readonly created: number
  /** As the provider names it, else as it was asked for. */
  model: string
}

/** Token counts by OpenAI's meaning; null where the provider said nothing. */
export interface Counts {
  readonly input: number
  readonly cached: number
  readonly cacheWrite: number
  readonly output: number
  readonly reasoning: number
}

/** Reads the packages' usage; null where it holds no count at all. */
export function countsOf({ inputTokens, outputTokens }: LanguageModelV4Usage): Counts | null {
  if (inputTokens.total === undefined && outputTokens.total === undefined) return null
  return {
    input: whole(inputTokens.total),
    cached: whole(inputTokens.cacheRead),
    cacheWrite: whole(inputTokens.cacheWrite),
    output: whole(outputTokens.total),
    reasoning: whole(outputTokens.reasoning),
  }
}

function whole(count: number | undefined): number {
  return count !== undefined && Number.isSafeInteger(count) && count > 0 ? count : 0
}

/** `usage` of a chat completion. */
export function chatUsage(counts: Counts): object {
  const { input, cached, cacheWrite, output, reasoning } = counts
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: {
      cached_tokens: cached,
      ...(cacheWrite > 0 ? { cache_write_tokens: cacheWrite } : {}),
    },
    completion_tokens_details: { reasoning_tokens: reasoning },
  }
}

/** `usage` of a response. */
export function responsesUsage(counts: Counts): object {
  const { input, cached, cacheWrite, output, reasoning } = counts
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: cached,
      ...(cacheWrite > 0 ? { cache_write_tokens: cacheWrite } : {}),
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  }
}

/** `finish_reason` of a choice. `called`: the answer calls tools of the client. */
export function finishOf(reason: LanguageModelV4FinishReason, called: boolean): string {
  if (reason.unified === 'length') return 'length'
  if (reason.unified === 'content-filter') return 'content_filter'
  return called ? 'tool_calls' : 'stop'
}

/**
 * Whether a last part only says that the provider's stream is over, and not that its answer is: packages end every stream
 * with a part of this kind, also one that broke off between two events.
 */
export function isUnfinished(part: Extract<LanguageModelV4StreamPart, { type: 'finish' }>): boolean {
  const { unified, raw } = part.finishReason
  return unified === 'error' || (unified === 'other' && raw === undefined)
}

/** Whether a part is of the answer itself, so that its head must be out before. */
export function isOpening(part: LanguageModelV4StreamPart): boolean {
  return (
    part.type === 'stream-start' ||
    part.type === 'response-metadata' ||
    part.type === 'raw' ||
    part.type === 'text-start' ||
    part.type === 'reasoning-start'
  )
}

/** What of a call's arguments is still to be sent, given what was sent: packages leave out `{}`, or send nothing before the end. */
export function restOfArguments(sent: string, input: string): string {
  if (input.startsWith(sent)) return input.slice(sent.length)
  return ''
}

/** Data URL of a file in an answer; null where it is only named by a URL of the provider's. */
export function dataUrl(part: { mediaType: string; data: { type: string; data?: unknown } }): string | null {
  const base64 = base64Of(part.data.data)
  return base64 === null ? null : `data:${part.mediaType};base64,${base64}`
}

/** Base64 of a file's data; null where there is none. */
export function base64Of(data: unknown): string | null {
  if (typeof data === 'string') return data
  return data instanceof Uint8Array ? Buffer.from(data).toString('base64') : null
}
