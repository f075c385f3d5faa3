// A steady rate with a burst, as NGINX's `limit_req … burst=N nodelay`: the generic cell rate algorithm (ITU-T I.371),
// one number a principal. In any time t pass at most burst + 1 + t / eachMs; exact, without windows.

import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

/** A rounding error must not refuse what is exactly at the bound. */
const roundingMs = 0.001

export class RateLimiter implements Limiter {
  /** One cell: when all that passed is made up for. */
  readonly width = 1
  readonly #eachMs: number
  readonly #limit: number
  #cells: Float64Array = new Float64Array(1)
  #offset = 0

  constructor({ span, limit }: Rule) {
    this.#eachMs = span.kind === 'rate' ? span.eachMs : 0
    this.#limit = limit
  }

  look(cells: Float64Array, offset: number): void {
    this.#cells = cells
    this.#offset = offset
  }

  begin(): void {
    this.#cells[this.#offset] = -Infinity
  }

  release(): void {}

  used(at: Moment): number {
    return Math.ceil(this.clearMs(at) / this.#eachMs - roundingMs)
  }

  waitMs(at: Moment, amount: number): number {
    if (amount > this.#limit) return Infinity
    const waitMs = this.clearMs(at) - (this.#limit - amount) * this.#eachMs
    return waitMs > roundingMs ? waitMs : 0
  }

  add(at: Moment, amount: number): number {
    this.#cells[this.#offset] = at.nowMs + this.clearMs(at) + amount * this.#eachMs
    return 0
  }

  change(at: Moment, _handle: number, delta: number): void {
    this.#cells[this.#offset] = at.nowMs + Math.max(0, this.clearMs(at) + delta * this.#eachMs)
  }

  clearMs(at: Moment): number {
    return Math.max(0, this.#cells[this.#offset]! - at.nowMs)
  }

  isFresh(at: Moment): boolean {
    return this.#cells[this.#offset]! <= at.nowMs
  }
}
