// The counters of one limit, by principal. Bounded: at most 200,000 principals, of which those are forgotten that are as
// fresh as one never seen; a few are looked at with each new one, so that no timer is needed and no request pays for all.
// Where all of them are in use, further principals share one counter: the limit then holds for them together, and nobody
// gets a fresh window by pushing others out.

import { PeriodLimiter } from './period.ts'
import { RateLimiter } from './rate.ts'
import type { Moment, Rule } from './rule.ts'
import { SlidingLimiter } from './sliding.ts'
import { SlotLimiter } from './slots.ts'

/** Most principals one limit tells apart. */
export const principalsMax = 200_000
const sweptAtOnce = 4

/** A counter of any kind; their contract is `Limiter`. */
export type Counter = SlidingLimiter | RateLimiter | PeriodLimiter | SlotLimiter

/** One principal under one limit. */
export class Account {
  readonly counter: Counter
  /** How many of the rule's `warnAt` were said; see warnings.ts. */
  warned = 0
  /** What all gateways together had used, as the shared store said last, and when it said so; NaN = never. */
  sharedUsed = Number.NaN
  sharedAtMs = 0
  #settled = 0
  #settledOf = -Infinity

  constructor(
    rule: Rule,
    readonly owner: string,
  ) {
    this.counter = counterOf(rule)
  }

  /** Notes what was used under a handle of `add`, for `settledIn`. */
  settled(handle: number, amount: number): void {
    if (handle < this.#settledOf) return
    if (handle > this.#settledOf) this.#settled = 0
    this.#settledOf = handle
    this.#settled = Math.min(this.#settled + amount, Number.MAX_SAFE_INTEGER)
  }

  /** What was used for certain in the period with this start, as far as this process knows. */
  settledIn(startMs: number): number {
    return startMs === this.#settledOf ? this.#settled : 0
  }
}

function counterOf({ span }: Rule): Counter {
  if (span.kind === 'sliding') return new SlidingLimiter()
  if (span.kind === 'rate') return new RateLimiter()
  return span.kind === 'slots' ? new SlotLimiter() : new PeriodLimiter()
}

export class Counters {
  readonly #accounts = new Map<string, Account>()
  #sweep: Iterator<[string, Account]> | null = null
  #shared: Account | null = null

  constructor(private readonly mostPrincipals = principalsMax) {}

  get size(): number {
    return this.#accounts.size
  }

  /** Whether there were more principals than are told apart. */
  get overflowed(): boolean {
    return this.#shared !== null
  }

  /** The account of a principal, made where there is none. */
  of(owner: string, rule: Rule, at: Moment): Account {
    const known = this.#accounts.get(owner)
    if (known !== undefined) return known
    this.#forgetSome(rule, at)
    if (this.#accounts.size >= this.mostPrincipals) return (this.#shared ??= new Account(rule, '*'))
    const fresh = new Account(rule, owner)
    this.#accounts.set(owner, fresh)
    return fresh
  }

  /** The account of a principal; null = it has none. */
  find(owner: string): Account | null {
    return this.#accounts.get(owner) ?? null
  }

  /** All accounts there are. */
  values(): Iterable<Account> {
    return this.#shared === null ? this.#accounts.values() : [this.#shared, ...this.#accounts.values()]
  }

  #forgetSome(rule: Rule, at: Moment): void {
    for (let looked = 0; looked < sweptAtOnce; looked++) {
      this.#sweep ??= this.#accounts.entries()
      const next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = null
        return
      }
      const [owner, account] = next.value
      if (account.counter.isFresh(rule, at)) this.#accounts.delete(owner)
    }
  }
}
