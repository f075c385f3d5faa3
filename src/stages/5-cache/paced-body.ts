// A stored stream with the pauses it came with, for clients that show text as it is written. The pauses are bounded, so that
// an upstream that once hung does not hang for ever.

import type { Body, BodySink } from '../../net/wire/message.ts'

/** Longest pause given again, and all of them together. */
const pauseMsMax = 2_000
const pausesMsMax = 30_000

export class PacedBody implements Body {
  readonly whole = null
  readonly length = -1
  #sink: BodySink | null = null
  #at = 0
  #next = 0
  #leftMs = pausesMsMax
  #timer: ReturnType<typeof setTimeout> | null = null
  #paused = false
  #over = false

  constructor(
    private readonly bytes: Uint8Array,
    /** Bytes, then milliseconds before them, for each piece. */
    private readonly pace: readonly number[],
  ) {}

  start(sink: BodySink): void {
    this.#sink = sink
    this.#go()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#go()
  }

  abort(): void {
    this.#over = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #go(): void {
    while (!this.#over && !this.#paused && this.#timer === null) {
      if (this.#at >= this.bytes.length) {
        this.#over = true
        return this.#sink!.end()
      }
      const waitMs = Math.min(this.pace[this.#next + 1] ?? 0, pauseMsMax, this.#leftMs)
      if (waitMs >= 1) {
        this.#leftMs -= waitMs
        this.#timer = setTimeout(() => {
          this.#timer = null
          this.#piece()
          this.#go()
        }, waitMs)
      } else this.#piece()
    }
  }

  #piece(): void {
    const length = this.pace[this.#next] ?? this.bytes.length
    this.#next += 2
    const end = Math.min(this.bytes.length, this.#at + Math.max(1, length))
    const piece = this.bytes.subarray(this.#at, end)
    this.#at = end
    this.#sink!.chunk(piece)
  }
}
