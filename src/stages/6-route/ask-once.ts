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

/** Asks one upstream once. Rejects only with what is a bug. Not async: each promise in between costs as much as choosing. */
export function askOnce<T extends Target>(asking: Asking<T>, choice: Choice<T>): Promise<Tried<T>> {
  const { x, send, parts } = asking
  const { target } = choice
  x.routedModel = choice.model
  x.upstream = target.name
  x.attempts++
  const place = x.tried.length
  choice.begin()
  let sending: Promise<Reply>
  try {
    sending = send(x, target)
  } catch (cause) {
    sending = Promise.reject(cause)
  }
  const attempt = attemptAt(asking, place, choice)
  return sending.then(
    (reply) => {
      noteRoom(choice, reply, parts)
      const outcome = { choice, attempt }
      return reply.status >= 400
        ? refused(outcome, reply, parts.clock.wallMs())
        : begun(asking, outcome, reply)
    },
    (cause: unknown) => {
      if (cause instanceof Failure) return broken({ choice, attempt }, cause)
      choice.end(attempt, 'nothing')
      throw cause
    },
  )
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
  const isFull = fault === null && status === 0 && failure?.code === 'rate_limit_exceeded'
  const failed: FailedFacts = {
    fault,
    status,
    kind: isFull ? 'full' : null,
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

function begun<T extends Target>(
  asking: Asking<T>,
  outcome: Outcome<T>,
  reply: Reply,
): Tried<T> | Promise<Tried<T>> {
  const { holds, parts } = asking
  const good = { ...outcome, reply, failure: null, failed: null, retryAfterMs: null }
  const { body } = reply
  const events = /^text\/event-stream\b/i.test(reply.contentType)
  if (body === null || (body.whole !== null && !events)) return good
  const firstTokenMs = parts.firstTokenMs(outcome.choice.target)
  if (!holds && (!events || firstTokenMs >= noBoundMs)) return good
  return looked(asking, good, events && firstTokenMs < noBoundMs ? firstTokenMs : Infinity)
}

async function looked<T extends Target>(
  { x, parts }: Asking<T>,
  good: Tried<T>,
  firstTokenMs: number,
): Promise<Tried<T>> {
  const { attempt, choice } = good
  const reply = good.reply!
  const events = /^text\/event-stream\b/i.test(reply.contentType)
  const { operation } = x.endpoint!
  const chat = operation === 'chat.completions' || operation === 'completions'
  const beginning = await peek(reply.body!, {
    events,
    json: chat || operation === 'responses',
    firstTokenMs,
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

function noteRoom<T extends Target>(
  { health }: Choice<T>,
  { headerLines }: Reply,
  { clock }: TrialParts<T>,
): void {
  const said = remainingOf(headerLines)
  if (said !== null) health.remains(said.requests, said.tokens, clock.nowMs())
}
