// The one file that reads the machine's clocks. Durations and deadlines use the monotonic clock (a wall clock that
// jumps must not cut a request or free a limit); only what people read, such as a log line, uses wall time.

import { readFileSync } from 'node:fs'

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

/**
 * How long this thread has worked or waited for a processor so far, in ms: the rest of the time it had nothing to do. Linux
 * says both; elsewhere it is the processor time of the process. Costs some 20 µs.
 */
export function occupiedMs(): number {
  try {
    const [worked, waited] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')
    return (Number(worked) + Number(waited)) / 1e6
  } catch {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
}
