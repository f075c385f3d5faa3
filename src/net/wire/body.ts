// Bodies as both sides of the wire make them: one that is already whole, and one that is pushed from a socket. A pushed
// body that nobody has started yet holds what came early, up to a bound, and then stops its socket: a slow reader
// pushes back on the sender, never on our memory.

import type { Body, BodySink, WireError } from './message.ts'
import { Pieces } from './pieces.ts'

/** Bytes held for a body that is not started yet before its socket is paused. */
const heldBytesMax = 256 * 1024

const nothing = new Uint8Array(0)

/** A body whose bytes are all here. */
export class WholeBody implements Body {
  constructor(
    readonly whole: Uint8Array,
    /** Differs from the bytes only for an answer to HEAD, where it is the length announced (-1: none was). */
    readonly length: number = whole.length,
  ) {}

  static readonly empty = new WholeBody(nothing)

  start(sink: BodySink): void {
    if (this.whole.length > 0) sink.chunk(this.whole)
    sink.end()
  }
  pause(): void {}
  resume(): void {}
  abort(): void {}
}

/** What a pushed body asks of the connection it comes from. */
export interface BodyOwner {
  pauseReading(): void
  resumeReading(): void
  /** The body is given up: bytes still owed must not be read as anything else. */
  abandonBody(): void
  /** The body has been asked for: the moment for `100 Continue`. */
  bodyStarted(): void
}

/** A body pushed by a connection: the connection calls `push`, `finish` and `fail`, a stage calls the rest. */
export class PushedBody implements Body {
  readonly whole = null
  #sink: BodySink | null = null
  #held = new Pieces()
  #paused = false
  #state: 'open' | 'ended' | 'failed' | 'dropped' = 'open'
  #cause: WireError | null = null

  constructor(
    readonly length: number,
    readonly owner: BodyOwner,
  ) {}

  /** All bytes have come, or the body broke off, or nobody wants it. */
  get closed(): boolean {
    return this.#state !== 'open'
  }

  /** Nobody wants the bytes any more. */
  get dropped(): boolean {
    return this.#state === 'dropped'
  }

  push(bytes: Uint8Array): void {
    if (this.#state !== 'open') return
    if (this.#sink !== null) {
      this.#sink.chunk(bytes)
      return
    }
    this.#held.add(bytes)
    if (this.#held.bytes > heldBytesMax) this.pause()
  }

  finish(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#sink?.end()
  }

  fail(cause: WireError): void {
    if (this.#state !== 'open') return
    this.#state = 'failed'
    this.#cause = cause
    this.#sink?.error(cause)
  }

  start(sink: BodySink): void {
    if (this.#sink !== null) throw new Error('a body can be started once only')
    this.#sink = sink
    const held = this.#held.take()
    const pausedByHolding = this.#paused
    this.#paused = false
    for (const bytes of held) if (!this.dropped) sink.chunk(bytes)
    if (this.#state === 'ended') sink.end()
    else if (this.#state === 'failed') sink.error(this.#cause!)
    else if (this.#state === 'open') {
      this.owner.bodyStarted()
      // The sink may have paused anew while it took what was held.
      if (pausedByHolding && !this.#paused) this.owner.resumeReading()
    }
  }

  pause(): void {
    if (this.#paused || this.#state !== 'open') return
    this.#paused = true
    this.owner.pauseReading()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#state === 'open') this.owner.resumeReading()
  }

  abort(): void {
    const open = this.#state === 'open'
    this.#held.take()
    this.#state = 'dropped'
    if (open) this.owner.abandonBody()
  }
}

/**
 * Reads a body to its end.
 * @returns its bytes, or null once more than `bytesMax` have come: then the body is aborted.
 * @throws WireError where it breaks off
 */
export function collect(body: Body, bytesMax: number): Promise<Uint8Array | null> {
  if (body.whole !== null) return Promise.resolve(body.whole.length > bytesMax ? null : body.whole)
  return new Promise((resolve, reject) => {
    const pieces = new Pieces()
    let over = false
    body.start({
      chunk(part) {
        if (over) return
        if (pieces.bytes + part.length > bytesMax) {
          over = true
          pieces.take()
          body.abort()
          resolve(null)
        } else pieces.add(part)
      },
      end() {
        if (!over) resolve(pieces.join())
      },
      error: reject,
    })
  })
}

/** Reads a body for those who look at it on its way. Resolves when it is over, however it ends. */
export function readAway(body: Body): Promise<void> {
  return new Promise((resolve) => body.start({ chunk: () => {}, end: resolve, error: () => resolve() }))
}
