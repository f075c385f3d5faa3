// A body that stops at what must be kept before it passes. What came behind it waits, and its source is paused meanwhile.

import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'
import { SseFrames } from '../../openai/sse.ts'
import { Failure } from '../../failure.ts'

export interface Holding {
  /** Bytes are looked at in whole frames; else as one beginning, until `find` has seen enough of it. */
  readonly events: boolean
  /** Ids in these bytes; null = more is needed to say. */
  readonly find: (bytes: Uint8Array) => readonly string[] | null
  readonly keep: (ids: readonly string[]) => Promise<void>
}

const frameBytesMax = 16 * 1024 * 1024

export class HeldBody implements Body, BodySink {
  readonly whole = null
  readonly length: number
  #sink: BodySink | null = null
  readonly #frames: SseFrames | null
  /** The beginning, while it is too short to say. */
  #head: Uint8Array | null = null
  #found = false
  /** What waits behind the bytes that are being kept; null = nothing is. */
  #waiting: (Uint8Array | 'end' | WireError)[] | null = null
  #pausedBySink = false
  #gone = false

  constructor(
    private readonly source: Body,
    private readonly holding: Holding,
  ) {
    this.length = source.length
    this.#frames = holding.events ? new SseFrames(frameBytesMax) : null
  }

  start(sink: BodySink): void {
    this.#sink = sink
    this.source.start(this)
  }

  chunk(bytes: Uint8Array): void {
    if (this.#waiting !== null) {
      this.#waiting.push(bytes)
      return
    }
    const frames = this.#frames
    const whole = frames === null ? bytes : (frames.push(bytes) ?? (frames.overflowed ? frames.rest() : null))
    if (whole !== null) this.#look(whole, false)
  }

  end(): void {
    if (this.#waiting !== null) {
      this.#waiting.push('end')
      return
    }
    const rest = this.#frames?.rest() ?? this.#head
    this.#head = null
    if (rest !== null) this.#look(rest, true)
    if (this.#waiting === null) this.#sink!.end()
    else (this.#waiting as (Uint8Array | 'end')[]).push('end')
  }

  error(cause: WireError): void {
    if (this.#waiting === null) this.#sink!.error(cause)
    else this.#waiting.push(cause)
  }

  pause(): void {
    this.#pausedBySink = true
    this.source.pause()
  }

  resume(): void {
    this.#pausedBySink = false
    if (this.#waiting === null) this.source.resume()
  }

  abort(): void {
    this.#gone = true
    this.#waiting = null
    this.source.abort()
  }

  #look(bytes: Uint8Array, last: boolean): void {
    if (this.#frames === null && this.#found) return this.#sink!.chunk(bytes)
    const seen = this.#head === null ? bytes : Buffer.concat([this.#head, bytes])
    const ids = this.holding.find(seen)
    if (ids === null && !last) {
      this.#head = seen
      return
    }
    this.#head = null
    this.#found = true
    if (ids === null || ids.length === 0) return this.#sink!.chunk(seen)
    this.#waiting = []
    this.source.pause()
    void this.holding.keep(ids).then(
      () => this.#goOn(seen),
      (cause: unknown) => this.#fail(cause),
    )
  }

  #goOn(bytes: Uint8Array): void {
    const waiting = this.#waiting
    if (this.#gone || waiting === null) return
    this.#waiting = null
    this.#sink!.chunk(bytes)
    for (const [index, item] of waiting.entries()) {
      if (this.#gone) return
      if (item === 'end') this.end()
      else if (item instanceof WireError) this.error(item)
      else this.chunk(item)
      if (this.#waiting === null) continue
      // Stopped anew: the rest waits behind it.
      ;(this.#waiting as (Uint8Array | 'end' | WireError)[]).push(...waiting.slice(index + 1))
      return
    }
    if (!this.#pausedBySink) this.source.resume()
  }

  #fail(cause: unknown): void {
    if (this.#gone) return
    this.#gone = true
    this.source.abort()
    const detail = cause instanceof Failure ? (cause.detail ?? cause.message) : String(cause)
    this.#sink!.error(new WireError('reset', detail, true))
  }
}
