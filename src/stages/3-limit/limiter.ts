// The contract of stage 3's kinds: one counter for one principal under one rule. Five kinds of time, one contract, and one
// suite of tests that all of them pass.

import type { Moment, Rule } from './rule.ts'

/** How much of a limit one principal has used. What differs by rule is given with each call, to keep counters small. */
export interface Limiter {
  /** All that counts now, reserved amounts included. */
  used(rule: Rule, at: Moment): number
  /** How long until `amount` fits, in ms: 0 = now, Infinity = never by waiting. */
  waitMs(rule: Rule, at: Moment, amount: number): number
  /** Counts an amount, whether or not it fits; gives what `change` knows it by. */
  add(rule: Rule, at: Moment, amount: number): number
  /** Changes an amount counted before, once it is known. What is over by now is not changed. */
  change(rule: Rule, at: Moment, change: { readonly handle: number; readonly delta: number }): void
  /** When it is as it was before its first use, in ms from now; Infinity = never. */
  clearMs(rule: Rule, at: Moment): number
  /** Whether forgetting it changes nothing. */
  isFresh(rule: Rule, at: Moment): boolean
}
