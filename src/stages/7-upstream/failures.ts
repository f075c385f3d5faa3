// What a broken wire means to a client. A fault before the request was sent may be tried again at no cost; after that
// the upstream may have done the work, and an SDK that repeats would pay twice.

import { Failure } from '../../failure.ts'
import type { WireError } from '../../net/wire/message.ts'

/** The failure that stands for a fault of the wire. */
export function failureOf(cause: WireError): Failure {
  const detail = `${cause.fault}: ${cause.detail}`
  switch (cause.fault) {
    case 'connect_timeout':
      return new Failure('upstream_timeout', 'The upstream could not be reached in time. Try again.', {
        detail,
        retryable: true,
      })
    case 'first_byte_timeout':
      return new Failure('upstream_timeout', 'The upstream did not begin to answer in time.', {
        detail,
        retryable: false,
      })
    case 'idle_timeout':
    case 'total_timeout':
      return new Failure('upstream_timeout', 'The upstream took too long to answer.', {
        detail,
        retryable: false,
      })
    case 'too_large':
      return new Failure('request_too_large', 'The request body is over the limit. Send a smaller one.', {
        detail,
      })
    case 'aborted':
      return new Failure('client_gone', 'The client closed the connection.', { detail })
    case 'connect_failed':
    case 'tls_failed':
      return new Failure('upstream_unavailable', 'The upstream cannot be reached. Try again later.', {
        detail,
        retryable: true,
      })
    default:
      return new Failure('upstream_unavailable', 'The upstream broke off its answer.', {
        detail,
        retryable: false,
      })
  }
}

/** The caller belongs to another environment than the account. */
export function otherEnvironment(): Failure {
  return new Failure(
    'access_denied',
    'No upstream serves the environment of your key. Ask its owner for access.',
  )
}
