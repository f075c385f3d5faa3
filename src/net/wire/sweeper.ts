// Deadlines of sockets. A timer per wait would be set and cleared several times a request; here a wait is one number
// written to a field, and one timer looks at all sockets every few milliseconds. A deadline is met up to one tick late,
// never early.

import type { Clock } from '../../base/clock.ts'

/** Something with at most one deadline at a time. */
export interface Waiting {
  /** Monotonic; Infinity = no deadline. Written freely by its owner. */
  deadlineAtMs: number
  /** Called once per deadline: it is Infinity again by then. */
  onDeadline(): void
}

/** Longest time a deadline is met late. */
export const tickMs = 25

/** Watches deadlines while anything is registered; keeps no process alive. */
export class Sweeper {
  readonly #watched = new Set<Waiting>()
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(readonly clock: Clock) {}

  /** How many are watched: 0 once every socket is gone. */
  get watching(): number {
    return this.#watched.size
  }

  add(waiting: Waiting): void {
    this.#watched.add(waiting)
    if (this.#timer === null) {
      this.#timer = setInterval(() => this.sweep(), tickMs)
      this.#timer.unref()
    }
  }

  remove(waiting: Waiting): void {
    this.#watched.delete(waiting)
    if (this.#watched.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer)
      this.#timer = null
    }
  }

  /** Meets every deadline that has passed. Called by the timer, or by a test with its own clock. */
  sweep(): void {
    const nowMs = this.clock.nowMs()
    for (const waiting of this.#watched) {
      if (waiting.deadlineAtMs > nowMs) continue
      waiting.deadlineAtMs = Infinity
      waiting.onDeadline()
    }
  }
}
