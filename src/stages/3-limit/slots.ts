// So many at the same time.

import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

/** Nobody knows when a slot is free: what a refused client is told to wait. */
const guessMs = 1000

export class SlotLimiter implements Limiter {
  #used = 0

  used(): number {
    return this.#used
  }

  waitMs(rule: Rule, _at: Moment, amount: number): number {
    return this.#used + amount <= rule.limit ? 0 : guessMs
  }

  add(_rule: Rule, _at: Moment, amount: number): number {
    this.#used += amount
    return 0
  }

  change(_rule: Rule, _at: Moment, { delta }: { handle: number; delta: number }): void {
    this.#used = Math.max(0, this.#used + delta)
  }

  clearMs(): number {
    return this.#used === 0 ? 0 : guessMs
  }

  isFresh(): boolean {
    return this.#used === 0
  }
}
