// The one place where a failure becomes a reply. What is no Failure is a bug: the client gets a 500 without a word of
// it, the log gets the stack.

import type { Exchange, Reply } from './exchange.ts'
import { Failure } from './failure.ts'
import { WholeBody } from './net/wire/body.ts'

/** The reply that tells a client why. `onBug` is given whatever was thrown and is no Failure. */
export function refuse(x: Exchange, cause: unknown, onBug: (cause: unknown) => void): Reply {
  const failure =
    cause instanceof Failure
      ? cause
      : new Failure('internal_error', 'The gateway failed on this request. Try again later.')
  if (failure !== cause) onBug(cause)
  x.failure = failure
  x.status = failure.status
  x.request.body?.abort()
  return failureReply(failure)
}

/** A failure in OpenAI's shape. `x-should-retry` is what the official SDKs obey before they look at the status. */
export function failureReply(failure: Failure): Reply {
  let headerLines = `Content-Type: application/json\r\nx-should-retry: ${failure.retryable}\r\n`
  if (failure.status === 401) headerLines += 'WWW-Authenticate: Bearer\r\n'
  const { retryAfterMs } = failure
  if (retryAfterMs !== null)
    headerLines += `retry-after: ${Math.ceil(retryAfterMs / 1000)}\r\nretry-after-ms: ${retryAfterMs}\r\n`
  return {
    status: failure.status,
    headerLines,
    dated: false,
    contentType: 'application/json',
    body: new WholeBody(Buffer.from(failure.toJson(), 'utf8')),
    tunnel: null,
  }
}
