// So many at the same time.

import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

/** Nobody knows when a slot is free: what a refused client is told to wait. */
const guessMs = 1000

export class SlotLimiter implements Limiter {
  /** One cell: slots taken. */
  readonly width = 1
  readonly #limit: number
  #cells: Float64Array = new Float64Array(1)
  #offset = 0

  constructor({ limit }: Rule) {
    this.#limit = limit
  }

  look(cells: Float64Array, offset: number): void {
    this.#cells = cells
    this.#offset = offset
  }

  begin(): void {
    this.#cells[this.#offset] = 0
  }

  release(): void {}

  used(): number {
    return this.#cells[this.#offset]!
  }

  waitMs(_at: Moment, amount: number): number {
    return this.#cells[this.#offset]! + amount <= this.#limit ? 0 : guessMs
  }

  add(_at: Moment, amount: number): number {
    this.#cells[this.#offset]! += amount
    return 0
  }

  change(_at: Moment, _handle: number, delta: number): void {
    this.#cells[this.#offset] = Math.max(0, this.#cells[this.#offset]! + delta)
  }

  clearMs(): number {
    return this.#cells[this.#offset] === 0 ? 0 : guessMs
  }

  isFresh(): boolean {
    return this.#cells[this.#offset] === 0
  }
}
