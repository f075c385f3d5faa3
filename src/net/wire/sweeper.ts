// Deadlines of sockets. A timer per wait would be set and cleared several times a request; here a wait is one number
// written to a field, and one timer looks at all sockets every few milliseconds. A deadline is met up to one tick late,
// never early. Where this process stood still, what came meanwhile lies unread in the kernel, and timers run before it
// is read: the tick behind a standstill judges nobody, so that no peer is blamed for it.

import type { Clock } from '../../base/clock.ts'

/** Something with at most one deadline at a time. */
export interface Waiting {
  /** Monotonic; Infinity = no deadline. Written freely by its owner. */
  deadlineAtMs: number
  /** Called once per deadline: it is Infinity again by then. */
  onDeadline(): void
}

/** Longest time a deadline is met late by a process that runs. */
export const tickMs = 25
/** A tick that comes so long after the one before it shows a standstill. */
const standstillMs = 4 * tickMs

/** Watches deadlines while anything is registered; keeps no process alive. */
export class Sweeper {
  readonly #watched = new Set<Waiting>()
  #timer: ReturnType<typeof setInterval> | null = null
  #tickedAtMs = 0
  /** Two ticks behind each other never judge nobody: a process that is always late still meets its deadlines. */
  #passedOver = false

  constructor(readonly clock: Clock) {}

  /** How many are watched: 0 once every socket is gone. */
  get watching(): number {
    return this.#watched.size
  }

  add(waiting: Waiting): void {
    this.#watched.add(waiting)
    if (this.#timer === null) {
      this.#tickedAtMs = this.clock.nowMs()
      this.#passedOver = false
      this.#timer = setInterval(() => this.tick(), tickMs)
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

  /** Called by the timer: sweeps, unless the process has just stood still. */
  tick(): void {
    const nowMs = this.clock.nowMs()
    this.#passedOver = !this.#passedOver && nowMs - this.#tickedAtMs > standstillMs
    this.#tickedAtMs = nowMs
    if (!this.#passedOver) this.sweep()
  }

  /** Meets every deadline that has passed. */
  sweep(): void {
    const nowMs = this.clock.nowMs()
    for (const waiting of this.#watched) {
      if (waiting.deadlineAtMs > nowMs) continue
      waiting.deadlineAtMs = Infinity
      waiting.onDeadline()
    }
  }
}
