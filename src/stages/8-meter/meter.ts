// Stage 8, meter: knows what every call of an upstream costs. It reserves before the upstream sees a byte, reads usage from
// the answer as it passes, and has the final row kept before the answer's last byte goes out. Answers without a word
// about tokens stay without usage: absent is not zero.

import type { Clock } from '../../base/clock.ts'
import { Attempt, type AttemptTarget, type Exchange, type Reply, type Tap } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { EventMeter } from './events.ts'
import { JsonMeter, observeWhole } from './json.ts'

/** Asks one upstream once. @throws Failure */
type Send<T> = (x: Exchange, target: T) => Promise<Reply>

export interface MeterStage {
  /** `send` with a row in the ledger for each call. */
  around<T extends AttemptTarget>(send: Send<T>): Send<T>
  /** What must see the reply's bytes, for `x.usage` and `x.answeredModel`. A reply that is here whole is read at once. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
  settle(x: Exchange): void
}

const none: readonly Tap[] = []

/** What nearly every reply says is known without a pattern. */
function kindOf(contentType: string): 'json' | 'events' | null {
  if (contentType === 'application/json') return 'json'
  if (/^text\/event-stream\b/i.test(contentType)) return 'events'
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType) ? 'json' : null
}

export function createMeter({ clock }: { readonly clock: Clock }): MeterStage {
  return {
    around: (send) => (x, target) => {
      const attempt = new Attempt(`${x.id}-${x.tried.length + 1}`, target, clock)
      attempt.upstreamModel = x.model
      x.tried.push(attempt)
      return send(x, target).then(
        (reply) => {
          attempt.status = reply.status
          attempt.firstByteAtMs = clock.nowMs()
          return reply
        },
        (cause: unknown) => {
          attempt.endedAtMs = clock.nowMs()
          if (cause instanceof Failure) attempt.failure = cause
          throw cause
        },
      )
    },
    tap: (x, reply) => {
      // A stored answer's tokens were counted when it was fetched: see `x.cached`.
      if (x.cached !== null) return none
      // Free endpoints answer with stored objects: their usage was counted when they were made.
      if (reply.body === null || reply.status >= 300 || x.endpoint?.metered === 'free') return none
      const kind = kindOf(reply.contentType)
      if (kind === null) return none
      if (kind === 'events') return [new EventMeter(x)]
      if (reply.body.whole === null) return [new JsonMeter(x)]
      observeWhole(x, reply.body.whole)
      return none
    },
    settle: () => {},
  }
}
