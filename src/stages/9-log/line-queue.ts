// Lines on their way to a file: gathered in memory, written in batches by one writer. The exchange that is logged waits
// for nothing. Memory is bounded: where the disk stalls or is full, lines wait up to a limit, then are counted and
// dropped, and the log says how many once it can be written again. Blocking the exchanges instead was refused: a log
// that is full must not be an outage. Lines wait as bytes, in two buffers that take turns: waiting strings keep alive what
// they were joined from, many times their own size, and are dearer to clean up than to encode.

import type { Clock } from '../../base/clock.ts'

/** Where lines go. One call at a time. */
export interface LineSink {
  /** Writes from `offset` on and gives how many bytes it took. `offset` 0 = at the start of a line. Rejects where it cannot. */
  append(bytes: Uint8Array, offset: number): Promise<number>
  /** Take a file of this name anew before the next write. */
  reopen(): void
  close(): void
}

/** What a queue needs of its surroundings. */
export interface QueueOptions {
  readonly clock: Clock
  /** The line that says how many were dropped. */
  readonly droppedLine: (lines: number, wallMs: number) => string
  readonly onTrouble: (cause: unknown) => void
  readonly onRecovery: (droppedLines: number) => void
  readonly gatherMs?: number
  readonly retryMs?: number
  /** Bytes kept while nothing can be written. */
  readonly pendingMax?: number
  readonly closeMs?: number
}

const batchSize = 64 * 1024
/** Size of a buffer that was never too small; what comes while a batch is written fits too. */
const bufferSize = 128 * 1024
/** Bytes of UTF-8 that one character of a string can need. */
const bytesPerCharacter = 3

export class LineQueue {
  /** Lines that wait: the first `#end` bytes of `#buffer`. */
  #buffer: Buffer
  #end = 0
  /** The other buffer, while no batch is in it. */
  #spare: Buffer | null = null
  #batch: Uint8Array | null = null
  #offset = 0
  #writing: Promise<void> | null = null
  #timer: ReturnType<typeof setTimeout> | null = null
  #troubled = false
  /** Lines dropped since the last batch was made, and those that the batch under way tells of. */
  #dropped = 0
  #told = 0
  #closed = false
  readonly #pendingMax: number

  constructor(
    private readonly sink: LineSink,
    private readonly options: QueueOptions,
  ) {
    this.#pendingMax = options.pendingMax ?? 8 * 1024 * 1024
    this.#buffer = this.#newBuffer(bufferSize)
  }

  /** Takes one line with its line end. Never throws, never waits. */
  add(line: string): void {
    if (this.#closed || !this.#hasRoom(line)) {
      this.#dropped += 1
      return
    }
    this.#end += Buffer.prototype.utf8Write.call(this.#buffer, line, this.#end)
    if (this.#writing === null && !this.#troubled) this.#schedule()
  }

  /** Resolves when all lines taken so far are written, or cannot be. */
  async flush(): Promise<void> {
    // The batch under way was made before the last lines came; they go with the next.
    if (this.#writing !== null) await this.#writing
    if (this.#closed) return
    if (this.#batch !== null || this.#end > 0 || this.#dropped > 0) await this.#write()
  }

  reopen(): void {
    this.sink.reopen()
  }

  /** Writes what is left, within a few seconds, and closes. Gives what is lost: bytes not written, lines dropped. */
  async close(): Promise<{ lostBytes: number; droppedLines: number }> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.options.closeMs ?? 5000)
    })
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    // A write that hangs still owns the file.
    if (this.#writing === null) this.sink.close()
    const lostBytes = this.#end + (this.#batch === null ? 0 : this.#batch.length - this.#offset)
    return { lostBytes, droppedLines: this.#dropped + this.#told }
  }

  #schedule(): void {
    if (this.#end >= batchSize) void this.#write()
    else this.#timer ??= this.#after(this.options.gatherMs ?? 50)
  }

  #after(ms: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => void this.#write(), ms)
    // The process ends by closing the log, not by waiting for its timer.
    timer.unref()
    return timer
  }

  #write(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = null
      if (this.#closed) return
      if (this.#troubled) this.#timer ??= this.#after(this.options.retryMs ?? 1000)
      else if (this.#end > 0) this.#schedule()
    })
    return this.#writing
  }

  async #writeBatch(): Promise<void> {
    const batch = (this.#batch ??= this.#nextBatch())
    try {
      while (this.#offset < batch.length) this.#offset += await this.sink.append(batch, this.#offset)
    } catch (cause) {
      if (!this.#troubled) this.options.onTrouble(cause)
      this.#troubled = true
      return
    }
    this.#batch = null
    this.#reuse(batch)
    if (this.#troubled || this.#told > 0) this.options.onRecovery(this.#told)
    this.#troubled = false
    this.#told = 0
  }

  #nextBatch(): Uint8Array {
    let batch: Uint8Array = this.#buffer.subarray(0, this.#end)
    this.#buffer = this.#spare ?? this.#newBuffer(bufferSize)
    this.#spare = null
    this.#end = 0
    this.#offset = 0
    if (this.#dropped > 0) {
      const told = this.options.droppedLine(this.#dropped, this.options.clock.wallMs())
      batch = Buffer.concat([batch, Buffer.from(told)])
    }
    this.#told += this.#dropped
    this.#dropped = 0
    return batch
  }

  /** A buffer that had to grow is given up. */
  #reuse(batch: Uint8Array): void {
    const size = Math.min(bufferSize, this.#pendingMax)
    if (batch.buffer.byteLength === size) this.#spare = Buffer.from(batch.buffer as ArrayBuffer)
  }

  /** Whether the line can wait; the buffer grows as far as it may. */
  #hasRoom(line: string): boolean {
    if (this.#end + line.length * bytesPerCharacter <= this.#buffer.length) return true
    const needed = this.#end + Buffer.byteLength(line)
    if (needed > this.#pendingMax) return false
    if (needed > this.#buffer.length) {
      const larger = this.#newBuffer(Math.max(needed, this.#buffer.length * 2))
      larger.set(this.#buffer.subarray(0, this.#end))
      this.#buffer = larger
    }
    return true
  }

  #newBuffer(size: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(size, this.#pendingMax))
  }
}
