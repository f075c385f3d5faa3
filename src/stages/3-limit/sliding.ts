// A limit in any window of a length: exact but for amounts that lie within a 64th of a window, which count together
// until the last of them is over. See base/sliding-sum.ts.

import { SlidingSum, sumWidth } from '../../base/sliding-sum.ts'
import type { Slab } from '../../base/slab.ts'
import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

export class SlidingLimiter implements Limiter {
  readonly width = sumWidth
  readonly #sum: SlidingSum
  readonly #windowMs: number
  readonly #limit: number

  constructor({ span, limit }: Rule, slab: Slab) {
    this.#sum = new SlidingSum(slab)
    this.#windowMs = span.kind === 'sliding' ? span.windowMs : 0
    this.#limit = limit
  }

  look(cells: Float64Array, offset: number): void {
    this.#sum.look(cells, offset)
  }

  begin(): void {
    this.#sum.begin()
  }

  release(): void {
    this.#sum.clear()
  }

  used(at: Moment): number {
    this.#sum.trim(at.nowMs, this.#windowMs)
    return this.#sum.total
  }

  waitMs(at: Moment, amount: number): number {
    if (amount > this.#limit) return Infinity
    if (this.used(at) + amount <= this.#limit) return 0
    return Math.max(1, this.#sum.waitMs(at.nowMs, this.#windowMs, this.#limit - amount))
  }

  add(at: Moment, amount: number): number {
    this.#sum.trim(at.nowMs, this.#windowMs)
    return this.#sum.add(at.nowMs, this.#windowMs, amount)
  }

  change(at: Moment, handle: number, delta: number): void {
    // More than was reserved, and its window is over: it is counted now rather than never.
    if (!this.#sum.change(handle, delta) && delta > 0) this.add(at, delta)
  }

  clearMs(at: Moment): number {
    return this.#sum.clearMs(at.nowMs, this.#windowMs)
  }

  isFresh(at: Moment): boolean {
    this.#sum.trim(at.nowMs, this.#windowMs)
    return this.#sum.isEmpty
  }
}
