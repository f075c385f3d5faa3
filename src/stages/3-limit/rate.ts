// A steady rate with a burst, as NGINX's `limit_req … burst=N nodelay`: the generic cell rate algorithm (ITU-T I.371),
// one number a principal. In any time t pass at most burst + 1 + t / eachMs; exact, without windows.

import type { Limiter } from './limiter.ts'
import type { Moment, Rule } from './rule.ts'

/** A rounding error must not refuse what is exactly at the bound. */
const roundingMs = 0.001

export class RateLimiter implements Limiter {
  /** When all that passed is made up for. */
  #clearAtMs = -Infinity

  used(rule: Rule, at: Moment): number {
    return Math.ceil(this.#aheadMs(at) / eachOf(rule) - roundingMs)
  }

  waitMs(rule: Rule, at: Moment, amount: number): number {
    if (amount > rule.limit) return Infinity
    const waitMs = this.#aheadMs(at) - (rule.limit - amount) * eachOf(rule)
    return waitMs > roundingMs ? waitMs : 0
  }

  add(rule: Rule, at: Moment, amount: number): number {
    this.#clearAtMs = at.nowMs + this.#aheadMs(at) + amount * eachOf(rule)
    return 0
  }

  change(rule: Rule, at: Moment, { delta }: { handle: number; delta: number }): void {
    this.#clearAtMs = at.nowMs + Math.max(0, this.#aheadMs(at) + delta * eachOf(rule))
  }

  clearMs(_rule: Rule, at: Moment): number {
    return this.#aheadMs(at)
  }

  isFresh(_rule: Rule, at: Moment): boolean {
    return this.#clearAtMs <= at.nowMs
  }

  #aheadMs(at: Moment): number {
    return Math.max(0, this.#clearAtMs - at.nowMs)
  }
}

function eachOf(rule: Rule): number {
  return rule.span.kind === 'rate' ? rule.span.eachMs : 0
}
