// Stage 8, meter: knows what every call of an upstream costs. It reserves before the upstream sees a byte, reads usage from
// the answer as it passes, and has the final row kept before the answer's last byte goes out. Answers without a word
// about tokens stay without usage: absent is not zero.

import type { Clock } from '../../base/clock.ts'
import { Attempt, type AttemptTarget, type Exchange, type Reply, type Tap } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { noLedger, type Ledger } from '../../ledger/ledger.ts'
import { Book, type BookParts } from './book.ts'
import { BookTap, CallRow, SharedRow } from './book-tap.ts'
import { Estimator } from './estimate.ts'
import { estimateRoughly } from './estimate-roughly.ts'
import type { TakeItem } from './item.ts'
import { prepareBody } from './metered-body.ts'
import { noPricing, type Pricing } from './pricing.ts'
import { reserve } from './reserve.ts'
import { spent, worstCost, worstTokens, type Spent, type WorstCost } from './spent.ts'
import { tapsOf } from './taps.ts'

export { Estimator, type Pricing, type Spent, type WorstCost }

/** Asks one upstream once. @throws Failure */
type Send<T> = (x: Exchange, target: T) => Promise<Reply>

export interface MeterStage {
  /** `send` with a row in the ledger for each call. */
  around<T extends AttemptTarget>(send: Send<T>): Send<T>
  /** What must see the reply's bytes, for `x.usage` and `x.answeredModel`. A reply that is here whole is read at once. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
  /** Keeps the rows of whatever is not kept yet; where tokens have to be counted first, a little later. */
  settle(x: Exchange): void
  /** What a request can cost at most; `priced`: in money too. */
  worstCase(x: Exchange, priced: boolean): WorstCost
  /** What it did cost; after `settle`. */
  spent(x: Exchange): Spent
  /** Resolves when every row is kept that is still being counted. */
  idle(): Promise<void>
}

/** What stage 8 is given. */
export interface MeterParts {
  readonly clock: Clock
  /** Absent = no rows are kept. */
  readonly ledger?: Ledger
  readonly pricing?: Pricing
  readonly estimate?: BookParts['estimate']
  readonly bug?: (cause: unknown) => void
  readonly warn?: (text: string) => void
}

const isEvents = /^text\/event-stream\b/i

export function createMeter(parts: MeterParts): MeterStage {
  const { clock, ledger = noLedger, pricing = noPricing, bug = () => {}, warn = () => {} } = parts
  const estimate = parts.estimate ?? ((x, attempt) => Promise.resolve(estimateRoughly(x, attempt)))
  const book = new Book({ clock, ledger, pricing, estimate, bug, warn })
  const keepItem: TakeItem = (x, item) => book.item(x, item)
  return {
    around: (send) => (x, target) => {
      const attempt = new Attempt(`${x.id}-${x.tried.length + 1}`, target, clock)
      attempt.upstreamModel = x.routedModel ?? x.model
      const before = x.tried.at(-1)
      // Another call is made: the one before was not the last.
      if (before !== undefined && before.endedAtMs > 0) void book.close(x, before, failed)
      if (x.tried.push(attempt) === 1) prepareBody(x)
      try {
        reserve(x, attempt, { ledger, pricing })
      } catch (cause) {
        // It was never made, so there is nothing to keep of it.
        x.tried.pop()
        return Promise.reject(cause)
      }
      return send(x, target).then(
        (reply) => {
          attempt.status = reply.status
          attempt.firstByteAtMs = clock.nowMs()
          reply.attempt = attempt
          return reply
        },
        (cause: unknown) => {
          attempt.endedAtMs = clock.nowMs()
          if (cause instanceof Failure) attempt.failure ??= cause
          throw cause
        },
      )
    },
    tap(x, reply) {
      // Its tokens were counted when it was fetched.
      if (x.cached !== null) return given(x, reply, book)
      const { attempt } = reply
      if (attempt === undefined) return tapsOf(x, reply, noItem)
      deliversBy(x, attempt)
      const taps = tapsOf(x, reply, keepItem)
      if (reply.tunnel !== null) return taps
      // Where nothing can be learned from the rest, it is not read without its client.
      x.reading = taps.length > 0
      const { body } = reply
      const stream = isEvents.test(reply.contentType)
      if (body !== null && (body.whole === null || stream))
        return [...taps, new BookTap(x, new CallRow(x, attempt, book), { reply, stream })]
      x.durable = book.close(x, attempt, { complete: true, last: true })
      return taps
    },
    settle(x) {
      const last = x.tried.length - 1
      void book.given(x, x.status)
      for (let index = 0; index <= last; index++)
        void book.close(x, x.tried[index]!, index === last && x.ownRow === 'none' ? broken : failed)
    },
    worstCase: (x, priced) => (priced ? worstCost(x, pricing, clock.wallMs()) : worstTokens(x)),
    spent: (x) => spent(x, pricing),
    idle: () => book.idle(),
  }
}

const failed = { complete: false, last: false }
const broken = { complete: false, last: true }
const noItem = (): void => {}
const none: readonly Tap[] = []

/** An answer that needed no call has its row at once, unless another exchange is still fetching it. */
function given(x: Exchange, reply: Reply, book: Book): readonly Tap[] {
  x.ownRow = 'due'
  const stream = isEvents.test(reply.contentType)
  const { body } = reply
  if (x.cacheStatus === 'COALESCED' && body !== null && body.whole === null)
    return [new BookTap(x, new SharedRow(x, reply, book), { reply, stream })]
  x.stream = stream
  x.durable = book.given(x, reply.status)
  return none
}

/** The call whose answer goes out is the last, whichever began last. */
function deliversBy(x: Exchange, attempt: Attempt): void {
  attempt.delivered = attempt.status < 400
  if (x.tried.at(-1) === attempt) return
  x.tried.splice(x.tried.indexOf(attempt), 1)
  x.tried.push(attempt)
}
