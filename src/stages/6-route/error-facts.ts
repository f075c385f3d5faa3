// What an upstream's refusal says, as far as it decides whether another is asked: OpenAI's own codes, and the words of
// servers that speak like it (vLLM, Anthropic, Google and others; read November 2026).

import type { Reply } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'

/** What kind of refusal it is, where its text says so. */
/** `full`: we did not ask, since its own limits in our configuration have no room. */
export type RefusalKind = 'context' | 'filter' | 'quota' | 'full' | null

/** What is known of a refusal. */
export interface ErrorFacts {
  readonly kind: RefusalKind
  /** `x-should-retry`; null = not said. */
  readonly shouldRetry: boolean | null
  /** When to come back, in milliseconds from now; null = not said. */
  readonly retryAfterMs: number | null
}

const readBytesMax = 64 * 1024
/** A wait beyond this is not believed: a date in another century is a slip. */
const retryAfterMsMax = 7 * 86_400_000

const contextCodes = new Set([
  'context_length_exceeded',
  'string_above_max_length',
  'request_too_large_for_model',
])
const contextText =
  /maximum context length|context (?:length|window) (?:is )?exceed|exceeds? the (?:model's )?(?:maximum )?context|prompt is too long|input is too long|too many (?:input )?tokens/i
const filterCodes = new Set(['content_filter', 'content_policy_violation', 'responsible_ai_policy_violation'])

/** What an answer of status 400 or above says. `wallMs`: for a Retry-After that is a date. */
export function errorFacts({ headerLines, body, status }: Reply, wallMs: number): ErrorFacts {
  const headers = HeaderBlock.parse(headerLines) ?? HeaderBlock.empty
  const should = headers.get('x-should-retry')
  return {
    kind: refusalKind(status, body?.whole ?? null),
    shouldRetry: should === 'true' ? true : should === 'false' ? false : null,
    retryAfterMs: retryAfterMs(headers, wallMs),
  }
}

function refusalKind(status: number, bytes: Uint8Array | null): RefusalKind {
  if (bytes === null || bytes.length === 0 || bytes.length > readBytesMax || status >= 500) return null
  try {
    const value = JSON.parse(Buffer.prototype.toString.call(bytes)) as { error?: unknown } | null
    return kindOfError(value?.error)
  } catch {
    return null
  }
}

/** The kind of an error object, as it stands under `error` in an answer or an event. */
export function kindOfError(error: unknown): RefusalKind {
  if (typeof error !== 'object' || error === null) return null
  const { code, type, message, innererror } = error as Record<string, unknown>
  const inner = (innererror as { code?: unknown } | null | undefined)?.code
  const said = [code, type, inner]
    .filter((each) => typeof each === 'string')
    .map((each) => each.toLowerCase())
  if (said.some((each) => filterCodes.has(each) || each === 'responsibleaipolicyviolation')) return 'filter'
  if (said.includes('insufficient_quota')) return 'quota'
  if (said.some((each) => contextCodes.has(each))) return 'context'
  return typeof message === 'string' && contextText.test(message.slice(0, 2000)) ? 'context' : null
}

/** `retry-after-ms`, else `Retry-After` in seconds or as a date; null = neither, or neither can be read. */
export function retryAfterMs(headers: HeaderBlock, wallMs: number): number | null {
  const exact = headers.get('retry-after-ms')
  if (exact !== null && /^\d{1,12}(?:\.\d{1,6})?$/.test(exact)) return bounded(Number(exact))
  const text = headers.get('retry-after')
  if (text === null) return null
  if (/^\d{1,9}(?:\.\d{1,6})?$/.test(text)) return bounded(Number(text) * 1000)
  const atMs = /^[A-Za-z]{3},? /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(atMs) ? null : bounded(Math.max(0, atMs - wallMs))
}

function bounded(ms: number): number {
  return Math.min(Math.ceil(ms), retryAfterMsMax)
}

const retryLines = /^retry-after(?:-ms)?:[^\r\n]*\r\n/gim

/** The header lines, telling the client to come back after `ms`. */
export function withRetryAfter(headerLines: string, ms: number): string {
  const rest = headerLines.replace(retryLines, '')
  return `${rest}retry-after: ${Math.ceil(ms / 1000)}\r\nretry-after-ms: ${Math.ceil(ms)}\r\n`
}

/** What is left of an upstream's own limits, as it says; null where it says nothing. */
export function remainingOf(headerLines: string): { requests: number | null; tokens: number | null } | null {
  // As OpenAI spells them, which costs two searches; else without regard to case.
  const lines = headerLines.includes('x-ratelimit-r')
    ? headerLines
    : headerLines.includes('imit-Remaining')
      ? headerLines.toLowerCase()
      : null
  if (lines === null) return null
  const requests = numberBehind(lines, 'x-ratelimit-remaining-requests:')
  const tokens = numberBehind(lines, 'x-ratelimit-remaining-tokens:')
  return requests === null && tokens === null ? null : { requests, tokens }
}

function numberBehind(text: string, name: string): number | null {
  const found = text.indexOf(name)
  if (found < 0) return null
  let at = found + name.length
  while (text.charCodeAt(at) === 32) at++
  let number = 0
  const start = at
  for (; at < start + 15; at++) {
    const digit = text.charCodeAt(at) - 48
    if (!(digit >= 0 && digit <= 9)) break
    number = number * 10 + digit
  }
  return at === start ? null : number
}
