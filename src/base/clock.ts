// The one file that reads the machine's clocks. Durations and deadlines use the monotonic clock (a wall clock that
// jumps must not cut a request or free a limit); only what people read, such as a log line, uses wall time.

/** Where the time comes from; injected, so that tests set it. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start, with a fraction. */
  nowMs(): number
  /** Milliseconds since the Unix epoch. */
  wallMs(): number
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
}
