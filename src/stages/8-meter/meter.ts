// Stage 8, meter: knows what every call of an upstream costs. It reserves before the upstream sees a byte, reads usage from
// the answer as it passes, and has the final row kept before the answer's last byte goes out. Answers without a word
// about tokens stay without usage: absent is not zero.

import type { Clock } from '../../base/clock.ts'
import { Attempt, type AttemptTarget, type Exchange, type Reply, type Tap } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { TakeItem } from './item.ts'
import { prepareBody } from './metered-body.ts'
import { tapsOf } from './taps.ts'

/** Asks one upstream once. @throws Failure */
type Send<T> = (x: Exchange, target: T) => Promise<Reply>

export interface MeterStage {
  /** `send` with a row in the ledger for each call. */
  around<T extends AttemptTarget>(send: Send<T>): Send<T>
  /** What must see the reply's bytes, for `x.usage` and `x.answeredModel`. A reply that is here whole is read at once. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
  settle(x: Exchange): void
}

/** What stage 8 is given. */
export interface MeterParts {
  readonly clock: Clock
  /** Costs that are not those of the call under way. */
  readonly takeItem?: TakeItem
}

export function createMeter({ clock, takeItem = () => {} }: MeterParts): MeterStage {
  return {
    around: (send) => (x, target) => {
      const attempt = new Attempt(`${x.id}-${x.tried.length + 1}`, target, clock)
      attempt.upstreamModel = x.routedModel ?? x.model
      if (x.tried.push(attempt) === 1) prepareBody(x)
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
    tap: (x, reply) => tapsOf(x, reply, takeItem),
    settle: () => {},
  }
}
