// Every expected failure, in one table: what the client is told, with which status, in OpenAI's own error shape
// (platform.openai.com/docs/guides/error-codes, read November 2026), and whether another attempt may be made.
// A Failure carries no stack: it is an answer, not a bug. Anything else that is thrown is a bug and becomes a 500.

interface Kind {
  readonly status: number
  /** OpenAI's `error.type`. */
  readonly type: string
  /** OpenAI's `error.code`, where it differs from the failure's own name. */
  readonly code?: string
  /** May an SDK send the same request again? Sent as `x-should-retry`, which the official SDKs obey. */
  readonly retryable: boolean
  /** Close the client's connection after the answer: what follows on it cannot be trusted. */
  readonly close?: boolean
}

const invalid = 'invalid_request_error'
const kinds = {
  bad_request: { status: 400, type: invalid, retryable: false },
  malformed_request: { status: 400, type: invalid, retryable: false, close: true },
  invalid_json: { status: 400, type: invalid, retryable: false },
  invalid_api_key: { status: 401, type: invalid, retryable: false },
  access_denied: { status: 403, type: 'permission_error', retryable: false },
  model_not_allowed: { status: 403, type: 'permission_error', retryable: false },
  not_found: { status: 404, type: invalid, retryable: false },
  method_not_allowed: { status: 405, type: invalid, retryable: false },
  request_timeout: { status: 408, type: invalid, retryable: true, close: true },
  idempotency_in_progress: { status: 409, type: invalid, retryable: true },
  idempotency_not_kept: { status: 409, type: invalid, retryable: false },
  request_too_large: { status: 413, type: invalid, retryable: false, close: true },
  unsupported_media_type: { status: 415, type: invalid, retryable: false },
  misdirected_request: { status: 421, type: invalid, retryable: false },
  expectation_failed: { status: 417, type: invalid, retryable: false, close: true },
  idempotency_key_reused: { status: 422, type: invalid, retryable: false },
  upgrade_required: { status: 426, type: invalid, retryable: false },
  rate_limit_exceeded: { status: 429, type: 'requests', retryable: true },
  budget_exceeded: { status: 429, type: 'insufficient_quota', retryable: false },
  headers_too_large: { status: 431, type: invalid, retryable: false, close: true },
  client_gone: { status: 499, type: invalid, retryable: false, close: true },
  // In the ledger only: the client has the other call's answer.
  hedge_lost: { status: 499, type: invalid, retryable: false },
  internal_error: { status: 500, type: 'server_error', retryable: true },
  not_implemented: { status: 501, type: invalid, retryable: false, close: true },
  upstream_unavailable: { status: 502, type: 'server_error', retryable: true },
  upstream_auth_failed: { status: 502, type: 'server_error', retryable: false },
  overloaded: { status: 503, type: 'server_error', retryable: true },
  not_cached: { status: 504, type: invalid, retryable: false },
  upstream_timeout: { status: 504, type: 'server_error', retryable: true },
  http_version_not_supported: { status: 505, type: invalid, retryable: false, close: true },
} as const satisfies Record<string, Kind>

/** The name of an expected failure; also the wire's `error.code`. */
export type FailureCode = keyof typeof kinds

/** An expected failure on its way to becoming the one reply. Made without a stack, so that refusing stays cheap. */
export class Failure {
  readonly code: FailureCode
  /** A sentence for the caller: what is wrong and what to do. Never holds a secret or an upstream's text. */
  readonly message: string
  /** OpenAI's `error.param`: the field at fault, where there is one. */
  readonly param: string | null
  /** For the log only: what happened underneath, such as `connect ECONNREFUSED`. Never sent to a client. */
  readonly detail: string | null
  /** May the client send the same request again? False where a repeat could pay twice. */
  readonly retryable: boolean
  /** When to try again, in milliseconds; null = nothing is said. */
  readonly retryAfterMs: number | null

  constructor(
    code: FailureCode,
    message: string,
    more: {
      readonly param?: string
      readonly detail?: string
      readonly retryable?: boolean
      readonly retryAfterMs?: number
    } = {},
  ) {
    this.code = code
    this.message = message
    this.param = more.param ?? null
    this.detail = more.detail ?? null
    this.retryable = more.retryable ?? kinds[code].retryable
    this.retryAfterMs = more.retryAfterMs ?? (this.status === 503 ? 1000 : null)
  }

  get status(): number {
    return kinds[this.code].status
  }

  /** Whether the client's connection must end with this answer. */
  get closes(): boolean {
    const kind: Kind = kinds[this.code]
    return kind.close ?? false
  }

  /** OpenAI's error object, as JSON text: `{"error":{"message","type","param","code"}}`. */
  toJson(): string {
    const { type } = kinds[this.code]
    return JSON.stringify({ error: { message: this.message, type, param: this.param, code: this.code } })
  }
}
