// A limit in a period of the calendar, or for all time. Periods go by steady wall time (base/steady-wall.ts). Where that was
// corrected backwards, what was used goes on counting under the earlier period: no clock gives a budget twice.

import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

export class PeriodLimiter implements Limiter {
  /** Start of the period that counts; -Infinity = none yet. */
  #startMs = -Infinity
  #used = 0

  used(rule: Rule, at: Moment): number {
    this.#turn(rule, at)
    return this.#used
  }

  waitMs(rule: Rule, at: Moment, amount: number): number {
    this.#turn(rule, at)
    if (this.#used + amount <= rule.limit) return 0
    if (amount > rule.limit) return Infinity
    return this.clearMs(rule, at)
  }

  add(rule: Rule, at: Moment, amount: number): number {
    this.#turn(rule, at)
    this.#used = Math.min(this.#used + amount, Number.MAX_SAFE_INTEGER)
    return this.#startMs
  }

  change(rule: Rule, at: Moment, { handle, delta }: { handle: number; delta: number }): void {
    this.#turn(rule, at)
    // What was reserved in a period that is over belongs to that one, as its ledger row does.
    if (handle < this.#startMs) return
    this.#used = Math.min(Math.max(0, this.#used + delta), Number.MAX_SAFE_INTEGER)
  }

  clearMs(rule: Rule, at: Moment): number {
    const { span } = rule
    return span.kind === 'period' ? Math.max(1, span.calendar.at(at.wallMs).endMs - at.wallMs) : Infinity
  }

  isFresh(rule: Rule, at: Moment): boolean {
    this.#turn(rule, at)
    return this.#used === 0
  }

  #turn(rule: Rule, at: Moment): void {
    const startMs = rule.span.kind === 'period' ? rule.span.calendar.at(at.wallMs).startMs : 0
    if (startMs === this.#startMs) return
    if (startMs > this.#startMs) this.#used = 0
    this.#startMs = startMs
  }
}
