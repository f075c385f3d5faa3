// One attempt, up to the beginning of its answer: asks, and looks at what came of it. Whether to ask another is for the trial
// to judge; here the facts are gathered that it judges by.

import { Attempt, type Exchange, type Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Choice, Target } from './choice.ts'
import { errorFacts, remainingOf } from './error-facts.ts'
import { emptyHanded, type Tried } from './outcome.ts'
import { peek } from './peek.ts'
import type { FailedFacts } from './retry-rules.ts'
import type { Send, TrialParts } from './trial-parts.ts'

/** First waits of a day or more are none. */
const noBoundMs = 86_400_000

/** The request, and how closely its answers are looked at. */
export interface Asking<T extends Target> {
  readonly x: Exchange
  readonly send: Send<T>
  readonly parts: TrialParts<T>
  /** The opening of an answer is held back until its content comes. */
  readonly holds: boolean
}

/** An attempt and what came of it. */
interface Outcome<T extends Target> {
  readonly choice: Choice<T>
  readonly attempt: Attempt
}

/** Asks one upstream once. Throws only what is a bug. */
export async function askOnce<T extends Target>(asking: Asking<T>, choice: Choice<T>): Promise<Tried<T>> {
  const { x, send, parts } = asking
  const { target } = choice
  x.routedModel = choice.model
  x.upstream = target.name
  x.attempts++
  const place = x.tried.length
  choice.begin()
  let reply: Reply | null = null
  let failure: Failure | null = null
  let attempt: Attempt | undefined
  try {
    const sending = send(x, target)
    attempt = attemptAt(asking, place, choice)
    reply = await sending
  } catch (cause) {
    attempt ??= attemptAt(asking, place, choice)
    if (!(cause instanceof Failure)) {
      choice.end(attempt, 'nothing')
      throw cause
    }
    failure = cause
  }
  if (reply === null) return broken({ choice, attempt }, failure)
  noteRoom(choice, reply, parts.clock.nowMs())
  if (reply.status >= 400) return refused({ choice, attempt }, reply, parts.clock.wallMs())
  return begun(asking, { choice, attempt }, reply)
}

function attemptAt<T extends Target>({ x, parts }: Asking<T>, place: number, choice: Choice<T>): Attempt {
  let attempt = x.tried[place]
  if (attempt === undefined) {
    attempt = new Attempt(`${x.id}-${place + 1}`, choice.target, parts.clock)
    x.tried.push(attempt)
  }
  attempt.underWay = choice
  return attempt
}

function broken<T extends Target>(outcome: Outcome<T>, failure: Failure | null): Tried<T> {
  const { attempt } = outcome
  const { sent, status } = attempt
  // An answer that is held until it is whole may break off behind its head.
  if (attempt.fault === null && status >= 200 && status < 300)
    attempt.fault = failure?.code === 'upstream_timeout' ? 'idle_timeout' : 'truncated'
  const { fault } = attempt
  const failed: FailedFacts = {
    fault,
    status,
    kind: null,
    shouldRetry: null,
    // Without a fault and without an answer it was we who did not send it.
    sent: sent && !(fault === null && status === 0),
    errorEvent: false,
  }
  return { ...outcome, reply: null, failure, failed, retryAfterMs: null }
}

function refused<T extends Target>(outcome: Outcome<T>, reply: Reply, wallMs: number): Tried<T> {
  const { kind, shouldRetry, retryAfterMs } = errorFacts(reply, wallMs)
  const failed = { fault: null, status: reply.status, kind, shouldRetry, sent: true, errorEvent: false }
  return { ...outcome, reply, failure: null, failed, retryAfterMs }
}

async function begun<T extends Target>(
  { x, parts, holds }: Asking<T>,
  outcome: Outcome<T>,
  reply: Reply,
): Promise<Tried<T>> {
  const good = { ...outcome, reply, failure: null, failed: null, retryAfterMs: null }
  const { body } = reply
  const events = /^text\/event-stream\b/i.test(reply.contentType)
  if (body === null || (body.whole !== null && !events)) return good
  const { attempt, choice } = outcome
  const firstTokenMs = parts.firstTokenMs(choice.target)
  if (!holds && (!events || firstTokenMs >= noBoundMs)) return good
  const { operation } = x.endpoint!
  const chat = operation === 'chat.completions' || operation === 'completions'
  const beginning = await peek(body, {
    events,
    json: chat || operation === 'responses',
    needsLastWord: chat && events,
    firstTokenMs: events && firstTokenMs < noBoundMs ? firstTokenMs : Infinity,
    sweeper: parts.sweeper,
  })
  reply.body = beginning.body
  // Most chat completions are not kept, and their ids are never asked for.
  if (beginning.id !== null && !chat) parts.made(beginning.id, choice.target)
  const { fault, errorEvent, refusal: kind } = beginning
  if (fault === null && !errorEvent) return good
  const failed = { fault, status: reply.status, kind, shouldRetry: null, sent: true, errorEvent }
  if (fault === null) return { ...good, failed }
  if (fault !== 'no_content') attempt.fault = fault
  reply.body.abort()
  attempt.failure = emptyHanded(fault)
  attempt.endedAtMs = parts.clock.nowMs()
  return { ...good, reply: null, failure: attempt.failure, failed }
}

function noteRoom<T extends Target>({ health }: Choice<T>, { headerLines }: Reply, nowMs: number): void {
  const said = remainingOf(headerLines)
  if (said === null) return
  health.remainingRequests = said.requests
  health.remainingTokens = said.tokens
  health.remainingAtMs = nowMs
}
