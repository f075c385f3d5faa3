// What came of one attempt, and which of several failures a client is told: an upstream's own refusal says more than a wire
// that broke, a wire that broke more than an upstream that could not be reached. Of equals the last.

import type { Attempt, Reply } from '../../exchange.ts'
import { Failure, type FailureCode } from '../../failure.ts'
import type { Choice, Target } from './choice.ts'
import type { FailedFacts } from './retry-rules.ts'

/** One attempt, over as far as its answer's beginning. Either `reply` or `failure` is set. */
export interface Tried<T extends Target> {
  readonly choice: Choice<T>
  readonly attempt: Attempt
  readonly reply: Reply | null
  readonly failure: Failure | null
  /** Set where it failed. */
  readonly failed: FailedFacts | null
  readonly retryAfterMs: number | null
}

/** The worse of two to tell, by place: the later is told where they are equal. */
export function tellsMore<T extends Target>(later: Tried<T>, earlier: Tried<T>): boolean {
  return weightOf(later) >= weightOf(earlier)
}

function weightOf<T extends Target>({ reply, failure, failed }: Tried<T>): number {
  if (reply !== null) return reply.status === 429 ? 4 : 5
  if (failure?.code === 'upstream_auth_failed') return 0
  if (failed === null || !failed.sent) return 1
  return failure?.code === 'upstream_timeout' ? 3 : 2
}

/** Lets go of an attempt whose answer nobody gets, and notes on it why. */
export function discard<T extends Target>({ attempt, reply }: Tried<T>, nowMs: number): void {
  reply?.body?.abort()
  reply?.tunnel?.abort()
  if (attempt.endedAtMs === 0) attempt.endedAtMs = nowMs
  attempt.failure ??= new Failure(codeOf(attempt.status), 'The upstream refused the request.', {
    detail: `upstream answered ${attempt.status}`,
  })
}

/** What a refusal that another answer replaced is called in the books. */
function codeOf(status: number): FailureCode {
  if (status === 429) return 'rate_limit_exceeded'
  return status >= 400 && status < 500 && status !== 408 && status !== 409
    ? 'bad_request'
    : 'upstream_unavailable'
}

/** The failure of an answer that began well and had no content. */
export function emptyHanded(fault: string): Failure {
  if (fault === 'aborted') return new Failure('client_gone', 'The client closed the connection.')
  const late = fault.endsWith('_timeout')
  const message = late
    ? 'The upstream did not begin to answer in time.'
    : 'The upstream broke off before its answer began.'
  return new Failure(late ? 'upstream_timeout' : 'upstream_unavailable', message, {
    detail: `${fault}: before any content`,
    retryable: false,
  })
}
