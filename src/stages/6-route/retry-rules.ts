// Whether another upstream is asked after one has failed, and what the failure says of the one that did. A pure function
// over facts, so that a table can be held against it. The rules in short: never after content; a refusal of the request
// itself (4xx) would be the same anywhere; a request that may have been worked on is sent again only where its endpoint
// allows that; one whose body was streamed away cannot be sent again at all.

import type { WireFault } from '../../net/wire/message.ts'
import type { RefusalKind } from './error-facts.ts'

/** What a route may be told to try again after. */
export type RetryCause = 'connect' | 'reset' | 'timeout' | '408' | '409' | '429' | '5xx'

/** What is known when an attempt has failed. */
export interface FailedFacts {
  /** What broke on the wire; null = an answer came. */
  readonly fault: WireFault | 'no_content' | null
  /** 0 = no answer. */
  readonly status: number
  readonly kind: RefusalKind
  readonly shouldRetry: boolean | null
  /** A byte of the request may have reached the upstream. */
  readonly sent: boolean
  /** An event of a stream said that it failed, before any content. */
  readonly errorEvent: boolean
}

/** What is known of the request. */
export interface RequestFacts {
  /** May be sent again though it may have been worked on. */
  readonly repeatable: boolean
  /** Its body is here, or there is none. */
  readonly resendable: boolean
  readonly on: ReadonlySet<RetryCause>
}

/** `again`: another attempt may be made; `context`: only at an upstream that takes longer requests. */
export interface Verdict {
  readonly again: 'yes' | 'no' | 'context'
  /** What it says of the way it took: broken, at its limit, out of quota, or nothing. */
  readonly blame: 'failure' | 'limit' | 'quota' | 'nothing'
}

const connectFaults: ReadonlySet<string> = new Set(['connect_failed', 'tls_failed'])
const resetFaults: ReadonlySet<string> = new Set(['reset', 'truncated', 'malformed', 'no_content'])
const timeoutFaults: ReadonlySet<string> = new Set([
  'connect_timeout',
  'first_byte_timeout',
  'idle_timeout',
  'total_timeout',
])

/** Judges an attempt that failed. */
export function verdictOf(failed: FailedFacts, request: RequestFacts): Verdict {
  const blame = blameOf(failed)
  return { again: mayRepeat(failed, request) ? wanted(failed, request) : 'no', blame }
}

function blameOf({ fault, status, kind, errorEvent }: FailedFacts): Verdict['blame'] {
  if (fault === 'aborted' || fault === 'too_large') return 'nothing'
  if (fault !== null) return 'failure'
  if (kind === 'context' || kind === 'filter' || kind === 'full') return 'nothing'
  if (kind === 'quota') return 'quota'
  if (errorEvent) return 'failure'
  if (status === 429) return 'limit'
  return status >= 500 || status === 408 ? 'failure' : 'nothing'
}

/** Whether sending it again can neither lose its body nor do its work twice. */
function mayRepeat(
  { fault, status, kind, sent, errorEvent }: FailedFacts,
  { repeatable, resendable }: RequestFacts,
): boolean {
  if (!sent) return true
  if (!resendable) return false
  if (repeatable) return true
  // Refused before anything was done.
  return fault === null && !errorEvent && (status === 401 || status === 429 || kind === 'context')
}

function wanted(
  { fault, status, kind, shouldRetry, errorEvent }: FailedFacts,
  { on }: RequestFacts,
): Verdict['again'] {
  if (fault !== null) {
    const cause = causeOfFault(fault)
    // An account that cannot be reached in time cannot be reached.
    return cause !== null && (on.has(cause) || (fault === 'connect_timeout' && on.has('connect')))
      ? 'yes'
      : 'no'
  }
  if (kind === 'filter') return 'no'
  if (kind === 'full') return 'yes'
  if (kind === 'context') return 'context'
  if (status === 401) return 'yes'
  if (shouldRetry === false) return 'no'
  if (kind === 'quota') return on.has('429') ? 'yes' : 'no'
  if (errorEvent) return on.has('5xx') ? 'yes' : 'no'
  if (shouldRetry === true && status >= 400) return 'yes'
  const cause = causeOfStatus(status)
  return cause !== null && on.has(cause) ? 'yes' : 'no'
}

function causeOfFault(fault: string): RetryCause | null {
  if (connectFaults.has(fault)) return 'connect'
  if (resetFaults.has(fault)) return 'reset'
  return timeoutFaults.has(fault) ? 'timeout' : null
}

function causeOfStatus(status: number): RetryCause | null {
  if (status === 408 || status === 409 || status === 429) return `${status}`
  return status >= 500 && status <= 599 ? '5xx' : null
}
