// A limit in a period of the calendar, or for all time. Periods go by steady wall time (base/steady-wall.ts). Where that was
// corrected backwards, what was used goes on counting under the earlier period: no clock gives a budget twice.

import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

/** Start of the period that counts, -Infinity = none yet; what is used in it; what of that is settled, and in which period. */
const start = 0
const used = 1
const settled = 2
const settledOf = 3

export class PeriodLimiter implements Limiter {
  readonly width = 4
  #cells: Float64Array = new Float64Array(4)
  #offset = 0

  constructor(private readonly rule: Rule) {}

  look(cells: Float64Array, offset: number): void {
    this.#cells = cells
    this.#offset = offset
  }

  begin(): void {
    this.#cells[this.#offset + start] = -Infinity
    this.#cells[this.#offset + used] = 0
    this.#cells[this.#offset + settled] = 0
    this.#cells[this.#offset + settledOf] = -Infinity
  }

  release(): void {}

  used(at: Moment): number {
    this.#turn(at)
    return this.#cells[this.#offset + used]!
  }

  waitMs(at: Moment, amount: number): number {
    const { limit } = this.rule
    if (this.used(at) + amount <= limit) return 0
    if (amount > limit) return Infinity
    return this.clearMs(at)
  }

  add(at: Moment, amount: number): number {
    this.#turn(at)
    this.#set(this.#cells[this.#offset + used]! + amount)
    return this.#cells[this.#offset + start]!
  }

  change(at: Moment, handle: number, delta: number): void {
    this.#turn(at)
    // What was reserved in a period that is over belongs to that one, as its ledger row does.
    if (handle < this.#cells[this.#offset + start]!) return
    this.#set(this.#cells[this.#offset + used]! + delta)
  }

  clearMs(at: Moment): number {
    const { span } = this.rule
    return span.kind === 'period' ? Math.max(1, span.calendar.at(at.wallMs).endMs - at.wallMs) : Infinity
  }

  isFresh(at: Moment): boolean {
    return this.used(at) === 0
  }

  /** Notes what was used under a handle of `add`, for `settledIn`. */
  settled(handle: number, amount: number): void {
    const cells = this.#cells
    const at = this.#offset
    if (handle < cells[at + settledOf]!) return
    if (handle > cells[at + settledOf]!) cells[at + settled] = 0
    cells[at + settledOf] = handle
    cells[at + settled] = Math.min(cells[at + settled]! + amount, Number.MAX_SAFE_INTEGER)
  }

  /** What was used for certain in the period with this start, as far as this process knows. */
  settledIn(startMs: number): number {
    return startMs === this.#cells[this.#offset + settledOf] ? this.#cells[this.#offset + settled]! : 0
  }

  #set(amount: number): void {
    this.#cells[this.#offset + used] = Math.min(Math.max(0, amount), Number.MAX_SAFE_INTEGER)
  }

  #turn(at: Moment): void {
    const { span } = this.rule
    const startMs = span.kind === 'period' ? span.calendar.at(at.wallMs).startMs : 0
    const known = this.#cells[this.#offset + start]!
    if (startMs === known) return
    if (startMs > known) this.#cells[this.#offset + used] = 0
    this.#cells[this.#offset + start] = startMs
  }
}
