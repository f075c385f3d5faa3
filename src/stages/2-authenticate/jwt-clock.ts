// The time that tokens are judged by: the later of the wall clock and of the time that has passed since the wall clock
// was last trusted. So a wall clock that is set back does not make an expired token good again, and one that jumps ahead
// for a while does no harm that lasts. A wall clock that has kept its new time for an hour is trusted anew; without
// that, a gate started with a clock that was ahead would refuse good tokens for ever.

import type { Clock } from '../../base/clock.ts'

/** Up to here a difference is the everyday correction of a clock, and followed at once. */
const driftMs = 5_000
/** So long a wall clock must keep a time that differs before it is trusted. */
const probationMs = 3_600_000

export class TokenClock {
  #trustedWallMs: number
  #trustedAtMs: number
  /** Monotonic; since when the wall clock has differed, NaN = it does not. */
  #differsSinceMs = NaN
  #differenceMs = 0

  constructor(private readonly clock: Clock) {
    this.#trustedWallMs = clock.wallMs()
    this.#trustedAtMs = clock.nowMs()
  }

  /** Milliseconds since the Unix epoch; in ordinary times the wall clock's. */
  nowMs(): number {
    const wallMs = this.clock.wallMs()
    const elapsedMs = this.clock.nowMs()
    const expectedMs = this.#trustedWallMs + (elapsedMs - this.#trustedAtMs)
    const differenceMs = wallMs - expectedMs
    if (Math.abs(differenceMs) > driftMs && !this.#kept(differenceMs, elapsedMs))
      return Math.max(wallMs, expectedMs)
    this.#trustedWallMs = wallMs
    this.#trustedAtMs = elapsedMs
    this.#differsSinceMs = NaN
    return wallMs
  }

  /** Whether the wall clock has shown this difference, and no other, for long enough. */
  #kept(differenceMs: number, elapsedMs: number): boolean {
    if (Number.isNaN(this.#differsSinceMs) || Math.abs(differenceMs - this.#differenceMs) > driftMs) {
      this.#differsSinceMs = elapsedMs
      this.#differenceMs = differenceMs
    }
    return elapsedMs - this.#differsSinceMs >= probationMs
  }
}
