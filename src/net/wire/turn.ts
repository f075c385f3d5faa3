// Answers of upstreams come in bursts of hundreds, and each is half of what a request costs: read one after the other
// they would keep all others waiting for 50 ms, also those who are only to hear that there is too much to do. So within
// one turn of the loop they have little time, and the rest waits in order for its slice, with sockets looked at between.

import { systemClock, type Clock } from '../../base/clock.ts'
import { throwLater } from './outbox.ts'

/** Answers that come within this time of the first one of a turn are read as they come. */
const atOnceMs = 2
/** Time for those that wait, in each turn. */
const sliceMs = 2
/** Longer pieces do not wait, and no more than this of one socket: its reader could not push back. */
const heldBytesMax = 16 * 1024

/** A socket and its owner. */
export interface Source {
  readonly data: {
    /** What waits, oldest first: bytes, or how the socket ended. Written here; null = nothing. */
    held: (Buffer | boolean)[] | null
    /** An answer is to begin. Only then may it wait. */
    readonly awaitsAnswer: boolean
    onData(bytes: Buffer): void
    /** `orderly` is false for a reset. */
    onClose(orderly: boolean): void
  }
  terminate(): void
}

/** Passes on what sockets have to say, each socket's events in their order. */
export class Turn {
  #queue: Source[] = []
  #next = 0
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
    const source = this.#queue[this.#next++]!
    this.#tidy()
    this.#pass(source)
    this.settle(this.#step)
  }

  constructor(
    private readonly clock: Clock,
    /** Calls `next` once all that waits for promises has run: its time counts with the answer that it belongs to. */
    private readonly settle: (next: () => void) => void = behindPromises,
    /** Told of what a socket's owner throws. */
    private readonly bug: (cause: unknown) => void = throwLater,
  ) {}

  /** Sockets of which something waits. */
  get waiting(): number {
    return this.#queue.length - this.#next
  }

  data(source: Source, bytes: Buffer): void {
    const { data } = source
    if (data.held !== null) {
      data.held.push(bytes)
      if (bytesOf(data.held) > heldBytesMax) this.#pass(source)
    } else if (bytes.length > heldBytesMax || !data.awaitsAnswer || this.#now()) data.onData(bytes)
    else {
      data.held = [bytes]
      this.#queue.push(source)
    }
  }

  closed({ data }: Source, orderly: boolean): void {
    // Whoever has nothing waiting may be given to the next request: it has to know.
    if (data.held === null) data.onClose(orderly)
    else data.held.push(orderly)
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

  #arm(): void {
    if (this.#armed) return
    this.#armed = true
    // oxlint-disable-next-line no-restricted-globals -- one at a time: no queue hides behind it
    setImmediate(this.#slice)
  }

  /** Passes on what waits of a socket; nothing where that has been done. */
  #pass(source: Source): void {
    const { data } = source
    try {
      while (data.held !== null) {
        const what = data.held.shift()!
        // Not before the last one: until then it must not be given to another request.
        if (data.held.length === 0) data.held = null
        if (typeof what === 'boolean') data.onClose(what)
        else data.onData(what)
      }
    } catch (cause) {
      // As where a socket's own handler throws: that one ends, and it is told as a bug.
      data.held = null
      data.onClose(false)
      source.terminate()
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

function bytesOf(pieces: readonly (Buffer | boolean)[]): number {
  let bytes = 0
  for (const piece of pieces) if (typeof piece !== 'boolean') bytes += piece.length
  return bytes
}

/** The trap: `drainMicrotasks` of `bun:jsc` does this at once, but importing that module makes all code slower. */
function behindPromises(next: () => void): void {
  queueMicrotask(() => process.nextTick(next))
}

/** Of this process: it has one loop. */
export const turn = new Turn(systemClock)
