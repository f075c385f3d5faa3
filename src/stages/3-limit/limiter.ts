// The contract of stage 3's kinds: how one rule counts for one principal. Five kinds of time, one contract, and one suite of
// tests that all of them pass. What a kind remembers of a principal is a few numbers in a record that all limits of the same
// subject share (subjects.ts), so a limiter is a view: whoever uses it moves it to a record first.

import type { Moment } from './rule.ts'

/** How much of a limit one principal has used. */
export interface Limiter {
  /** Numbers it takes of a record. */
  readonly width: number
  /** Moves to a record: its own cells there begin at `offset`. */
  look(cells: Float64Array, offset: number): void
  /** Makes the cells those of a principal never seen; gives nothing back. */
  begin(): void
  /** Gives back what the cells hold elsewhere. */
  release(): void
  /** All that counts now, reserved amounts included. */
  used(at: Moment): number
  /** How long until `amount` fits, in ms: 0 = now, Infinity = never by waiting. */
  waitMs(at: Moment, amount: number): number
  /** Counts an amount, whether or not it fits; gives what `change` knows it by. */
  add(at: Moment, amount: number): number
  /** Changes an amount counted before, once it is known. What is over by now is not changed. */
  change(at: Moment, handle: number, delta: number): void
  /** When it is as it was before its first use, in ms from now; Infinity = never. */
  clearMs(at: Moment): number
  /** Whether forgetting it changes nothing. */
  isFresh(at: Moment): boolean
}
