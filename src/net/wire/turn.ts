// Answers of upstreams come in bursts of hundreds, and each is half of what a request costs: read one after the other
// they would keep all others waiting for 50 ms, also those who are only to hear that there is too much to do. So within
// one turn of the loop they have little time, and the rest waits in order for its slice, with sockets looked at between.

import { systemClock, type Clock } from '../../base/clock.ts'
import { throwLater } from './outbox.ts'

/** Answers that come within this time of the first one of a turn are read as they come. */
const atOnceMs = 2
/** Time for those that wait, in each turn. */
const sliceMs = 2
/** Most that may wait; above it the oldest are read at once. */
const heldBytesMax = 16 * 1024 * 1024

/** A socket and its owner. */
export interface Source {
  readonly data: {
    /** Events that wait; written here. */
    held: number
    onData(bytes: Buffer): void
    /** `orderly` is false for a reset. */
    onClose(orderly: boolean): void
  }
  terminate(): void
}

interface Held {
  readonly from: Source
  /** What came, or how the socket ended. */
  readonly what: Buffer | boolean
}

/** Passes on what sockets have to say, each socket's events in their order. */
export class Turn {
  #queue: Held[] = []
  #next = 0
  #bytes = 0
  #fromMs = 0
  #armed = false
  #untilMs = 0
  readonly #slice = (): void => {
    this.#armed = false
    this.#untilMs = this.clock.nowMs() + sliceMs
    this.#step()
  }
  readonly #step = (): void => {
    if (this.waiting === 0) return
    if (this.clock.nowMs() >= this.#untilMs) return this.#arm()
    this.#pass()
    this.settle(this.#step)
  }

  constructor(
    private readonly clock: Clock,
    /** Calls `next` once all that waits for promises has run: its time counts with the answer that it belongs to. */
    private readonly settle: (next: () => void) => void = behindPromises,
    /** Told of what a socket's owner throws. */
    private readonly bug: (cause: unknown) => void = throwLater,
  ) {}

  /** Events that wait. */
  get waiting(): number {
    return this.#queue.length - this.#next
  }

  data(from: Source, bytes: Buffer): void {
    if (this.#now()) from.data.onData(bytes)
    else this.#hold(from, bytes)
  }

  closed(from: Source, orderly: boolean): void {
    // Whoever has nothing waiting may be given to the next request: it has to know.
    if (from.data.held === 0) from.data.onClose(orderly)
    else this.#hold(from, orderly)
  }

  /** Whether this turn has time yet. */
  #now(): boolean {
    if (this.waiting > 0) return false
    const nowMs = this.clock.nowMs()
    if (this.#armed) return nowMs - this.#fromMs < atOnceMs
    this.#fromMs = nowMs
    this.#arm()
    return true
  }

  #hold(from: Source, what: Buffer | boolean): void {
    from.data.held += 1
    this.#queue.push({ from, what })
    if (typeof what !== 'boolean') this.#bytes += what.length
    while (this.#bytes > heldBytesMax) this.#pass()
  }

  #arm(): void {
    if (this.#armed) return
    this.#armed = true
    // oxlint-disable-next-line no-restricted-globals -- one at a time: no queue hides behind it
    setImmediate(this.#slice)
  }

  /** Passes on what has waited longest. */
  #pass(): void {
    const { from, what } = this.#queue[this.#next++]!
    if (typeof what !== 'boolean') this.#bytes -= what.length
    this.#tidy()
    from.data.held -= 1
    try {
      if (typeof what === 'boolean') from.data.onClose(what)
      else from.data.onData(what)
    } catch (cause) {
      // As where a socket's own handler throws: that one ends, and it is told as a bug.
      from.data.onClose(false)
      from.terminate()
      this.bug(cause)
    }
  }

  #tidy(): void {
    if (this.waiting === 0) this.#queue = []
    else if (this.#next < 1024) return
    else this.#queue = this.#queue.slice(this.#next)
    this.#next = 0
  }
}

/** The trap: `drainMicrotasks` of `bun:jsc` does this at once, but importing that module makes all code slower. */
function behindPromises(next: () => void): void {
  queueMicrotask(() => process.nextTick(next))
}

/** Of this process: it has one loop. */
export const turn = new Turn(systemClock)
