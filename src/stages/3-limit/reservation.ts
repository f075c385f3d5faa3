// What is reserved for one exchange, and the reserving of it here, in this process: first every rule is asked, then every
// rule counts, with nothing in between that could wait. So parallel requests cannot pass on the same rest, and a request
// that is refused leaves nothing behind.

import type { Exchange, Hold } from '../../exchange.ts'
import type { Failure } from '../../failure.ts'
import { linesOf, refusal, type Standing } from './answers.ts'
import { amountOf, type Costs, type Spent } from './costs.ts'
import type { LimitMemory } from './memory.ts'
import { PeriodLimiter } from './period.ts'
import { ownerText, type Charge } from './plan.ts'
import type { Moment } from './rule.ts'

/** A charge that does not fit, how long until it would, and what was used without it. */
export interface Unfit {
  readonly charge: Charge
  readonly waitMs: number
  readonly used: number
}

/** The charge that does not fit; null = all fit. */
export function firstRefusal(charges: readonly Charge[], at: Moment): Unfit | null {
  let worst: Unfit | null = null
  for (const charge of charges) {
    const { rule } = charge.tracked
    if (!rule.enforce) continue
    const limiter = charge.look(at)
    const waitMs = limiter.waitMs(at, charge.amount)
    // The one that takes longest: a client that waits for another would only come back to be refused again.
    if (waitMs > 0 && (worst === null || waitMs > worst.waitMs))
      worst = { charge, waitMs, used: limiter.used(at) }
  }
  return worst
}

/** Counts all charges, fit or not. */
export function countAll(charges: readonly Charge[], at: Moment): void {
  for (const charge of charges) charge.handle = charge.look(at).add(at, charge.amount)
}

/** Header lines that say where these charges' rules stand. */
export function linesHere(charges: readonly Charge[], at: Moment): string {
  let requests: Charge | null = null
  let tokens: Charge | null = null
  let requestsLeft = Infinity
  let tokensLeft = Infinity
  for (const charge of charges) {
    const { told, rule } = charge.tracked
    if (!told) continue
    const left = Math.max(0, rule.limit - charge.look(at).used(at))
    if (rule.quantity === 'requests' && left < requestsLeft) {
      requests = charge
      requestsLeft = left
    } else if (rule.quantity !== 'requests' && left < tokensLeft) {
      tokens = charge
      tokensLeft = left
    }
  }
  return (
    (requests === null ? '' : linesOf('requests', standingOf(requests, at))) +
    (tokens === null ? '' : linesOf('tokens', standingOf(tokens, at)))
  )
}

function standingOf(charge: Charge, at: Moment): Standing {
  const limiter = charge.look(at)
  return { rule: charge.tracked.rule, used: limiter.used(at), clearMs: limiter.clearMs(at) }
}

/** The refusal in words. */
export function refusalOf({ charge, waitMs, used }: Unfit): Failure {
  const { amount, tracked } = charge
  return refusal({ rule: tracked.rule, owner: ownerText(charge), waitMs, used, amount })
}

/** Charges that are counted and not settled yet. */
export class Reservation implements Hold {
  constructor(
    readonly charges: readonly Charge[],
    private readonly parts: { readonly costs: Costs; readonly memory: LimitMemory },
    /** What else is to be settled, such as a shared store's part; gets the amounts in the order of the charges. */
    private readonly also: ((actual: readonly number[]) => void) | null = null,
  ) {}

  settle(x: Exchange): void {
    this.book(this.parts.costs.spent(x))
  }

  /** Puts what was used in the place of what was reserved. */
  book(spent: Spent): void {
    const at = this.parts.memory.now()
    const actual: number[] | null = this.also === null ? null : []
    for (const charge of this.charges) {
      const { tracked, amount } = charge
      const used = amountOf(spent, tracked.rule.quantity) ?? amount
      actual?.push(used)
      const isPeriod = tracked.rule.span.kind === 'period' || tracked.rule.span.kind === 'total'
      if (used === amount && !isPeriod) continue
      const limiter = charge.look(at)
      if (used !== amount) limiter.change(at, charge.handle, used - amount)
      if (limiter instanceof PeriodLimiter) limiter.settled(charge.handle, used)
    }
    if (actual !== null) this.also!(actual)
  }
}
