// Cross-origin rules for applications in browsers (the Fetch standard, fetch.spec.whatwg.org, section 3.2). A preflight
// carries no credential by design, so it is answered here, before anybody is asked for one; it opens nothing, since the
// request behind it must bring its key. Answers carry the fields whatever they are, errors too, or the application sees
// only "network error". Credentials in the browser's sense (cookies) are never allowed: keys come in header fields.

import type { IncomingRequest } from '../../exchange.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

/** Section `server.cors`. */
export interface CorsOptions {
  /** Origins as browsers send them, or `*`. */
  readonly origins: readonly string[]
  /** Request header fields that are allowed; absent = those asked for. */
  readonly headers?: readonly string[] | undefined
  /** How long a browser may keep the answer to a preflight, in milliseconds. */
  readonly maxAge: number
}

export interface Cors {
  /** Lines for whatever is answered; also '' for an origin that is not listed. */
  lines(headers: HeaderBlock): string
  /** More lines for the answer to a preflight of a listed origin; null where the request is none. */
  preflight(request: IncomingRequest): string | null
}

const origin = fieldId('origin')
const askedMethod = fieldId('access-control-request-method')
const askedHeaders = fieldId('access-control-request-headers')
const methods = 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS'

/** What scripts may read besides what they always may. One by one: `openai-*` cannot be said here. */
const exposed = [
  'x-request-id',
  'x-headgate-id, x-headgate-upstream, x-headgate-attempts, x-headgate-similarity, x-cache-status, age',
  'x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests',
  'x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens',
  'retry-after, retry-after-ms, x-should-retry',
  'openai-processing-ms, openai-version, openai-model',
].join(', ')

const fieldNames = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*$/

export function createCors(options: CorsOptions): Cors {
  const any = options.origins.includes('*')
  const listed = new Set(options.origins)
  // Also without an origin: a cache must not give that answer to a browser.
  const vary = any ? '' : 'Vary: Origin\r\n'
  const allowedOrigin = (headers: HeaderBlock): string | null => {
    const value = oneOrigin(headers)
    return value === null ? null : any ? '*' : listed.has(value) ? value : null
  }
  return {
    lines(headers) {
      const allowed = allowedOrigin(headers)
      if (allowed === null) return vary
      return `${vary}Access-Control-Allow-Origin: ${allowed}\r\nAccess-Control-Expose-Headers: ${exposed}\r\n`
    },
    preflight({ method, headers }) {
      if (method !== 'OPTIONS' || headers.findId(askedMethod) < 0 || allowedOrigin(headers) === null)
        return null
      const allowedHeaders = options.headers?.join(', ') ?? asked(headers)
      return (
        `Access-Control-Allow-Methods: ${methods}\r\n` +
        (allowedHeaders === '' ? '' : `Access-Control-Allow-Headers: ${allowedHeaders}\r\n`) +
        `Access-Control-Max-Age: ${Math.floor(options.maxAge / 1000)}\r\n` +
        (options.headers === undefined ? 'Vary: Access-Control-Request-Headers\r\n' : '')
      )
    },
  }
}

/** The origin of a request; null where there is none, or more than one. */
function oneOrigin(headers: HeaderBlock): string | null {
  const index = headers.findId(origin)
  return index < 0 || headers.count('origin') > 1 ? null : headers.value(index)
}

/** The fields a preflight asks for, in its own words; '' where they are no names. */
function asked(headers: HeaderBlock): string {
  const index = headers.findId(askedHeaders)
  const value = index < 0 ? '' : headers.value(index)
  return value.length <= 4096 && fieldNames.test(value) ? value : ''
}
