// What is reserved for one exchange, and the reserving of it here, in this process: first every rule is asked, then every
// rule counts, with nothing in between that could wait. So parallel requests cannot pass on the same rest, and a request
// that is refused leaves nothing behind.

import type { Exchange, Hold } from '../../exchange.ts'
import type { Failure } from '../../failure.ts'
import { refusal, type Standing } from './answers.ts'
import { amountOf, type Costs, type Spent } from './costs.ts'
import type { LimitMemory } from './memory.ts'
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
    const waitMs = charge.account.counter.waitMs(rule, at, charge.amount)
    // The one that takes longest: a client that waits for another would only come back to be refused again.
    if (waitMs > 0 && (worst === null || waitMs > worst.waitMs))
      worst = { charge, waitMs, used: charge.account.counter.used(rule, at) }
  }
  return worst
}

/** Counts all charges, fit or not. */
export function countAll(charges: readonly Charge[], at: Moment): void {
  for (const charge of charges)
    charge.handle = charge.account.counter.add(charge.tracked.rule, at, charge.amount)
}

/** Where those rules of these charges stand that clients are told of. */
export function standingsOf(charges: readonly Charge[], at: Moment): Standing[] {
  const standings: Standing[] = []
  for (const { tracked, account } of charges) {
    if (!tracked.told) continue
    const { rule } = tracked
    standings.push({ rule, used: account.counter.used(rule, at), clearMs: account.counter.clearMs(rule, at) })
  }
  return standings
}

/** The refusal in words. */
export function refusalOf({ charge, waitMs, used }: Unfit): Failure {
  const { account, amount, tracked } = charge
  const { rule } = tracked
  return refusal({ rule, owner: ownerText(rule, account.owner), waitMs, used, amount })
}

/** Used again for each change: counters keep nothing of it. */
const change = { handle: 0, delta: 0 }

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
      const { account, tracked, amount, handle } = charge
      const used = amountOf(spent, tracked.rule.quantity) ?? amount
      actual?.push(used)
      if (used !== amount) {
        change.handle = handle
        change.delta = used - amount
        account.counter.change(tracked.rule, at, change)
      }
      if (tracked.rule.span.kind === 'period' || tracked.rule.span.kind === 'total')
        account.settled(handle, used)
    }
    if (actual !== null) this.also!(actual)
  }
}
