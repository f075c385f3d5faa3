// What the admin API refuses, in the shape of the proxy's own errors. Thrown by handlers; anything else that is thrown
// is a bug: logged, and answered without its text.

const kinds = {
  bad_request: { status: 400, type: 'invalid_request_error' },
  invalid_json: { status: 400, type: 'invalid_request_error' },
  invalid_admin_token: { status: 401, type: 'invalid_request_error' },
  access_denied: { status: 403, type: 'permission_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  conflict: { status: 409, type: 'invalid_request_error' },
  request_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  misdirected_request: { status: 421, type: 'invalid_request_error' },
  too_much: { status: 422, type: 'invalid_request_error' },
  invalid_config: { status: 422, type: 'invalid_request_error' },
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error' },
  internal_error: { status: 500, type: 'server_error' },
  unavailable: { status: 503, type: 'server_error' },
} as const

/** `error.code` of an answer. */
export type ApiProblemCode = keyof typeof kinds

/** What else an answer says of a refusal. Never a secret. */
export interface About {
  /** The part of the request at fault. */
  readonly param?: string | null
  /** For 422: what is wrong with the configuration. */
  readonly problems?: readonly unknown[]
  /** For `retry-after`. */
  readonly waitSeconds?: number
  /** For `allow`. */
  readonly allowed?: readonly string[]
}

/** A refusal on its way to becoming the answer. */
export class ApiProblem {
  readonly status: number

  constructor(
    readonly code: ApiProblemCode,
    readonly message: string,
    readonly about: About = {},
  ) {
    this.status = kinds[code].status
  }

  toJSON(): unknown {
    const { message, code } = this
    const { param = null, problems } = this.about
    const error = { message, type: kinds[code].type, param, code }
    return { error: problems === undefined ? error : { ...error, problems } }
  }
}
