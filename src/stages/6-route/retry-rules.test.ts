// The rules of trying again against a table of their own, written as a reader of the documentation would: for every
// combination of what can go wrong and what the request allows.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { RetryBudget } from './budget.ts'
import { errorFacts, kindOfError, remainingOf, retryAfterMs, withRetryAfter } from './error-facts.ts'
import { verdictOf, type FailedFacts, type RequestFacts, type RetryCause } from './retry-rules.ts'

const causes: RetryCause[] = ['connect', 'reset', 'timeout', '408', '409', '429', '5xx']
const faults = [
  null,
  'connect_failed',
  'tls_failed',
  'connect_timeout',
  'first_byte_timeout',
  'idle_timeout',
  'total_timeout',
  'reset',
  'truncated',
  'malformed',
  'no_content',
  'too_large',
  'aborted',
] as const

/** What each fault is called in `retry.on`. */
const faultCause: Partial<Record<string, RetryCause[]>> = {
  connect_failed: ['connect'],
  tls_failed: ['connect'],
  connect_timeout: ['connect', 'timeout'],
  first_byte_timeout: ['timeout'],
  idle_timeout: ['timeout'],
  total_timeout: ['timeout'],
  reset: ['reset'],
  truncated: ['reset'],
  malformed: ['reset'],
  no_content: ['reset'],
}

function expected(failed: FailedFacts, request: RequestFacts): 'yes' | 'no' | 'context' {
  const { fault, status, kind, shouldRetry, sent, errorEvent } = failed
  const untouched =
    !sent || (fault === null && !errorEvent && ([401, 429].includes(status) || kind === 'context'))
  if (sent && (!request.resendable || !(request.repeatable || untouched))) return 'no'
  if (fault !== null) return (faultCause[fault] ?? []).some((cause) => request.on.has(cause)) ? 'yes' : 'no'
  if (kind === 'filter') return 'no'
  if (kind === 'context') return 'context'
  if (status === 401) return 'yes'
  if (shouldRetry === false) return 'no'
  if (kind === 'quota') return request.on.has('429') ? 'yes' : 'no'
  if (errorEvent) return request.on.has('5xx') ? 'yes' : 'no'
  if (shouldRetry === true && status >= 400) return 'yes'
  const name = status >= 500 ? '5xx' : String(status)
  return (request.on as ReadonlySet<string>).has(name) ? 'yes' : 'no'
}

const failedFacts = fc.record({
  fault: fc.constantFrom(...faults),
  status: fc.constantFrom(0, 200, 302, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529),
  kind: fc.constantFrom('context' as const, 'filter' as const, 'quota' as const, null, null, null),
  shouldRetry: fc.constantFrom(true, false, null, null),
  sent: fc.boolean(),
  errorEvent: fc.boolean(),
})
const requestFacts = fc.record({
  repeatable: fc.boolean(),
  resendable: fc.boolean(),
  on: fc.subarray(causes).map((list) => new Set(list)),
})

test('every decision is as the table says', () => {
  fc.assert(
    fc.property(failedFacts, requestFacts, (failed, request) => {
      expect(verdictOf(failed, request).again).toBe(expected(failed, request))
    }),
    { numRuns: 3000 },
  )
})

test('whatever happens, some things hold', () => {
  fc.assert(
    fc.property(failedFacts, requestFacts, (failed, request) => {
      const { again, blame } = verdictOf(failed, request)
      // A body that was streamed away cannot be sent again; a refusal by a filter is final; a client that left is no fault.
      if (failed.sent && !request.resendable) expect(again).toBe('no')
      if (failed.fault === null && failed.kind === 'filter')
        expect(again).toBe(failed.sent && !request.resendable ? 'no' : 'no')
      if (failed.fault === 'aborted') expect({ again, blame }).toEqual({ again: 'no', blame: 'nothing' })
      if (
        failed.fault === null &&
        !failed.errorEvent &&
        [400, 403, 404, 422].includes(failed.status) &&
        failed.kind === null
      )
        expect(blame).toBe('nothing')
    }),
  )
})

test('repeats are at most a fifth on top, in the long run', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 500, maxLength: 3000 }), (events) => {
      const budget = new RetryBudget()
      const burst = budget.left
      let requests = 0
      let repeats = 0
      for (const success of events) {
        if (success) {
          requests++
          budget.pay()
        } else if (budget.take()) repeats++
      }
      expect(repeats).toBeLessThanOrEqual(burst + requests * 0.2 + 1)
    }),
  )
})

test('Retry-After is read in milliseconds, in seconds, and as a date', () => {
  const wallMs = Date.UTC(2026, 10, 25, 12, 0, 0)
  const table: [string, number | null][] = [
    ['retry-after-ms: 250\r\nretry-after: 9\r\n', 250],
    ['Retry-After: 2\r\n', 2000],
    ['Retry-After: 0\r\n', 0],
    ['Retry-After: 1.5\r\n', 1500],
    ['Retry-After: Wed, 25 Nov 2026 12:00:30 GMT\r\n', 30_000],
    ['Retry-After: Wed, 25 Nov 2026 11:00:00 GMT\r\n', 0],
    ['Retry-After: Wed, 25 Nov 2199 11:00:00 GMT\r\n', 7 * 86_400_000],
    ['Retry-After: -1\r\n', null],
    ['Retry-After: soon\r\n', null],
    ['Retry-After: 2026\r\nretry-after-ms: x\r\n', 2_026_000],
    ['Date: Wed, 25 Nov 2026 12:00:30 GMT\r\n', null],
  ]
  for (const [lines, ms] of table)
    expect([lines, retryAfterMs(HeaderBlock.parse(lines)!, wallMs)]).toEqual([lines, ms])
  expect(withRetryAfter('a: 1\r\nRetry-After: 9\r\nretry-after-ms: 9000\r\nb: 2\r\n', 1200.4)).toBe(
    'a: 1\r\nb: 2\r\nretry-after: 2\r\nretry-after-ms: 1201\r\n',
  )
})

test('what a refusal is about is read from its code, and else from its words', () => {
  const table: [object, string | null][] = [
    [{ code: 'context_length_exceeded' }, 'context'],
    [{ message: "This model's maximum context length is 8192 tokens." }, 'context'],
    [
      { type: 'invalid_request_error', message: 'prompt is too long: 210000 tokens > 200000 maximum' },
      'context',
    ],
    [{ code: 'content_filter', message: 'maximum context length' }, 'filter'],
    [{ innererror: { code: 'ResponsibleAIPolicyViolation' } }, 'filter'],
    [{ type: 'insufficient_quota', code: 'insufficient_quota' }, 'quota'],
    [{ code: 'invalid_value', message: 'temperature is too high' }, null],
    [{ code: 7, message: null }, null],
  ]
  for (const [error, kind] of table) expect([error, kindOfError(error)]).toEqual([error, kind as never])
  const reply = { dated: false, contentType: '', body: null, tunnel: null }
  expect(errorFacts({ ...reply, status: 500, headerLines: 'x-should-retry: true\r\n' }, 0)).toEqual({
    kind: null,
    shouldRetry: true,
    retryAfterMs: null,
  })
})

test('what is left of a rate limit is read whatever the case of its names', () => {
  expect(remainingOf('x-ratelimit-remaining-requests: 41\r\nx-ratelimit-remaining-tokens: 9000\r\n')).toEqual(
    {
      requests: 41,
      tokens: 9000,
    },
  )
  expect(remainingOf('X-RateLimit-Remaining-Requests: 3\r\n')).toEqual({ requests: 3, tokens: null })
  expect(remainingOf('x-ratelimit-limit-requests: 3\r\n')).toBeNull()
})
