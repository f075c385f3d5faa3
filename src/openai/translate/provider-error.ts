// Errors of providers, in OpenAI's words and shape (platform.openai.com/docs/guides/error-codes, read November 2026), so
// that an SDK does with them what it does with OpenAI's own. The message stays the provider's; what it is about is told by
// its status, its own type, and, for the two that every application treats apart (too long, filtered), by its text.

import { membersOf, type Members } from './call.ts'

/** A provider's error as OpenAI would say it; `kind` tells what the operator is to hear of. */
export interface TranslatedError {
  readonly status: number
  /** `key`: the account's credential was refused. */
  readonly kind: 'key' | 'other'
  readonly body: string
}

const tooLong =
  /context[ _-]?(?:length|window)|prompt is too long|input is too long|too many (?:input )?tokens|exceeds? the (?:maximum|model).{0,40}tokens|input token count.{0,60}exceeds/i
const filtered =
  /content[ _-]?(?:filter|policy|management)|guardrail|blocked by|prohibited[ _-]content|safety (?:system|setting|filter)/i
const outOfCredit = /credit balance|insufficient[ _]quota|exceeded your current quota|billing/i
const wrongKey =
  /API_KEY_INVALID|API key not valid|API key expired|UnrecognizedClientException|InvalidSignatureException|ExpiredToken|security token included in the request is (?:invalid|expired)|invalid x-api-key|invalid api token/i

/** What a provider said with an error status, or in an error event. */
export function translateError(status: number, text: string): TranslatedError {
  const { message, type } = saidBy(text)
  const known = kindOf(status, `${type} ${message}`)
  const words = message === '' ? `The provider answered ${status} without a message.` : message
  const error = { message: words, type: known.type, param: null, code: known.code }
  return { status: known.status, kind: known.key === true ? 'key' : 'other', body: JSON.stringify({ error }) }
}

interface Kind {
  readonly status: number
  readonly type: string
  readonly code: string | null
  readonly key?: boolean
}

const invalid = 'invalid_request_error'

function kindOf(status: number, text: string): Kind {
  if (status === 401 || ((status === 400 || status === 403) && wrongKey.test(text)))
    return { status, type: invalid, code: 'invalid_api_key', key: true }
  if ((status === 400 || status === 413 || status === 422) && tooLong.test(text))
    return { status: 400, type: invalid, code: 'context_length_exceeded' }
  if ((status === 400 || status === 422 || status === 403) && filtered.test(text))
    return { status: 400, type: invalid, code: 'content_filter' }
  if (status === 402 || ((status === 400 || status === 429) && outOfCredit.test(text)))
    return { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' }
  if (status === 429) return { status, type: 'requests', code: 'rate_limit_exceeded' }
  if (status === 403) return { status, type: 'permission_error', code: null }
  if (status === 404) return { status, type: invalid, code: 'model_not_found' }
  if (status === 413) return { status, type: invalid, code: 'request_too_large' }
  // 529 is Anthropic's "overloaded"; no client of OpenAI knows it.
  if (status === 529 || status === 503) return { status: 503, type: 'server_error', code: 'overloaded' }
  // 424 is Bedrock's "the model failed".
  if (status === 424 || status >= 500)
    return { status: status === 424 ? 502 : status, type: 'server_error', code: null }
  return { status, type: invalid, code: null }
}

/** The message and the provider's own type, from any of the shapes in use. */
function saidBy(text: string): { message: string; type: string } {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    // A page of a proxy in between says nothing to an application.
    return { message: '', type: '' }
  }
  if (Array.isArray(said)) said = said[0]
  const outer = membersOf(said)
  const inner = membersOf(outer?.['error']) ?? outer
  const message = textOf(inner, ['message', 'Message']) || textOf(outer, ['error', 'detail'])
  const details = JSON.stringify(inner?.['details'] ?? '')
  return {
    message: message.slice(0, 4096),
    type: `${textOf(inner, ['type', 'status', '__type'])} ${details}`,
  }
}

function textOf(from: Members | null, names: readonly string[]): string {
  for (const name of names) {
    const value = from?.[name]
    if (typeof value === 'string') return value
  }
  return ''
}

/** Status that an error event amid a stream stands for, by the provider's own name for it. */
export function statusOfErrorType(type: string): number {
  if (/overloaded|unavailable/i.test(type)) return 503
  if (/rate_?limit|throttl|exhausted/i.test(type)) return 429
  if (/invalid|validation/i.test(type)) return 400
  return 500
}
