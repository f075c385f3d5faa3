// A limit in any window of a length: exact but for amounts that lie within a 64th of a window, which count together
// until the last of them is over. See base/sliding-sum.ts.

import { SlidingSum } from '../../base/sliding-sum.ts'
import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

export class SlidingLimiter implements Limiter {
  readonly #sum = new SlidingSum()

  used(rule: Rule, at: Moment): number {
    this.#sum.trim(at.nowMs, windowOf(rule))
    return this.#sum.total
  }

  waitMs(rule: Rule, at: Moment, amount: number): number {
    if (amount > rule.limit) return Infinity
    const windowMs = windowOf(rule)
    this.#sum.trim(at.nowMs, windowMs)
    if (this.#sum.total + amount <= rule.limit) return 0
    return Math.max(1, this.#sum.waitMs(at.nowMs, windowMs, rule.limit - amount))
  }

  add(rule: Rule, at: Moment, amount: number): number {
    this.#sum.trim(at.nowMs, windowOf(rule))
    return this.#sum.add(at.nowMs, windowOf(rule), amount)
  }

  change(rule: Rule, at: Moment, { handle, delta }: { handle: number; delta: number }): void {
    // More than was reserved, and its window is over: it is counted now rather than never.
    if (!this.#sum.change(handle, delta) && delta > 0) this.add(rule, at, delta)
  }

  clearMs(rule: Rule, at: Moment): number {
    return this.#sum.clearMs(at.nowMs, windowOf(rule))
  }

  isFresh(rule: Rule, at: Moment): boolean {
    this.#sum.trim(at.nowMs, windowOf(rule))
    return this.#sum.isEmpty
  }
}

function windowOf(rule: Rule): number {
  return rule.span.kind === 'sliding' ? rule.span.windowMs : 0
}
