// Wall time that a jump of the clock cannot move at once. Periods of the calendar need wall time, and a clock that jumps
// ahead and back must neither begin a new period nor bring an old one back. So time goes on with the monotonic clock; what
// the wall clock says beyond a small drift is believed once it has said the same for ten minutes. It never goes back, but
// for a correction of more than a day: a machine that came up in the wrong year must not be locked in it.

import type { Clock } from './clock.ts'

/** As much as a clock is slewed, or a reading delayed, without anybody having set it. */
const driftMs = 2_000
/** How long a jump must last. */
export const believedAfterMs = 600_000
const correctionMs = 25 * 3_600_000

export class SteadyWall {
  #wallMs: number
  #readAtMs: number
  /** Where the clock was set back a little, time stands still here until it has caught up. */
  #floorMs = 0
  /** Since when the clock is off by so much; -1 = it is not. */
  #offSinceMs = -1
  #offByMs = 0

  constructor(private readonly clock: Clock) {
    this.#wallMs = clock.wallMs()
    this.#readAtMs = clock.nowMs()
  }

  /** Milliseconds since the Unix epoch. `nowMs`: the monotonic clock, which the caller has read already. */
  now(nowMs: number): number {
    const steadyMs = this.#wallMs + (nowMs - this.#readAtMs)
    const saidMs = this.clock.wallMs()
    const offMs = saidMs - steadyMs
    if (Math.abs(offMs) <= driftMs) {
      this.#offSinceMs = -1
      this.#take(saidMs, nowMs)
      this.#floorMs = Math.max(this.#floorMs, steadyMs, saidMs)
      return this.#floorMs
    }
    if (this.#offSinceMs < 0 || Math.abs(offMs - this.#offByMs) > driftMs) {
      this.#offSinceMs = nowMs
      this.#offByMs = offMs
    } else if (nowMs - this.#offSinceMs >= believedAfterMs) {
      this.#offSinceMs = -1
      this.#take(saidMs, nowMs)
      this.#floorMs = offMs < -correctionMs ? saidMs : Math.max(this.#floorMs, steadyMs, saidMs)
      return this.#floorMs
    }
    this.#floorMs = Math.max(this.#floorMs, steadyMs)
    return this.#floorMs
  }

  #take(wallMs: number, nowMs: number): void {
    this.#wallMs = wallMs
    this.#readAtMs = nowMs
  }
}
