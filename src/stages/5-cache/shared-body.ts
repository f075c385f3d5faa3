// One upstream's bytes for several readers. What came is held from the start while it is to be stored, so that whoever
// joins late gets the whole; each reader has its own place in it, and one that is slow only falls behind. The fastest
// reader sets the pace of the upstream. Where the answer grows beyond what is stored, only the last few megabytes are
// held on, and a reader that has fallen further behind than that is cut: never the others, never our memory.

import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'

/** The upstream pauses while even the fastest reader is this far behind. */
const aheadBytesMax = 256 * 1024
/** How far a reader may fall behind what is no longer held as a whole. */
const windowBytes = 4 * 1024 * 1024

/** What happens to the whole. */
export interface SharedEvents {
  /** A chunk has come; before any reader gets it. */
  came(bytes: Uint8Array): void
  /** All has come. The first reader has been told; the others are told when this returns. `null`: too long to be held. */
  ended(whole: readonly Uint8Array[] | null): void
  broke(cause: WireError): void
  /** No reader is left: whether to give up the upstream. */
  unread(): boolean
}

/** The bytes of one answer, and its readers. The first one made is its owner, fed on even when its client has left. */
export class SharedBytes implements BodySink {
  readonly #readers: Reader[] = []
  #chunks: Uint8Array[] = []
  /** Chunks given up in front. */
  #gone = 0
  #bytes = 0
  #held = true
  #state: 'open' | 'ended' | WireError | 'given up' = 'open'
  #paused = false

  constructor(
    private readonly source: Body,
    private readonly heldBytesMax: number,
    private readonly events: SharedEvents,
  ) {}

  /** Whether a reader that comes now still gets the whole. */
  get whole(): boolean {
    return this.#held
  }

  /** Readers whose clients are there. */
  get readers(): number {
    return this.#readers.filter((reader) => !reader.left).length
  }

  /** Bytes held now. */
  get heldBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  begin(): void {
    this.source.start(this)
  }

  /** A body that reads all from the start. */
  read(): Body {
    const reader = new Reader(this, this.source.length)
    this.#readers.push(reader)
    return reader
  }

  chunk(bytes: Uint8Array): void {
    this.events.came(bytes)
    // Small ones are views of large reads, and would keep those in memory.
    this.#chunks.push(bytes.length * 2 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes)
    this.#bytes += bytes.length
    if (this.#bytes > this.heldBytesMax) this.#held = false
    // A copy of the list, since whoever gets bytes may leave.
    if (this.#readers.length === 1) this.pump(this.#readers[0]!)
    else for (const reader of this.#readers.slice()) this.pump(reader)
    if (!this.#held) this.#trim()
    this.#pace()
  }

  end(): void {
    this.#state = 'ended'
    const [owner, ...others] = this.#readers.slice()
    if (owner !== undefined) this.pump(owner)
    this.events.ended(this.#held ? this.#chunks : null)
    for (const reader of others) this.pump(reader)
  }

  error(cause: WireError): void {
    this.#state = cause
    this.events.broke(cause)
    for (const reader of this.#readers.slice()) this.pump(reader)
  }

  /** Gives a reader what it can take. */
  pump(reader: Reader): void {
    const { sink } = reader
    if (sink === null || reader.busy || reader.over) return
    reader.busy = true
    while (!reader.stopped && !reader.over && reader.at < this.#gone + this.#chunks.length) {
      const bytes = this.#chunks[reader.at - this.#gone]!
      reader.at++
      reader.bytes += bytes.length
      sink.chunk(bytes)
    }
    reader.busy = false
    if (reader.over || reader.at < this.#gone + this.#chunks.length) return
    if (this.#state === 'ended') {
      reader.over = true
      sink.end()
    } else if (this.#state instanceof WireError) {
      reader.over = true
      sink.error(this.#state)
    }
  }

  /** A reader can take more. */
  resumed(reader: Reader): void {
    this.pump(reader)
    this.#pace()
  }

  /** A reader's client has left. The owner is read on for the others, and for what it has to count. */
  leave(reader: Reader): void {
    if (reader.left) return
    reader.left = true
    const owner = reader === this.#readers[0]
    if (!owner) {
      reader.over = true
      this.#readers.splice(this.#readers.indexOf(reader), 1)
    }
    if (this.#state !== 'open') return
    if (this.readers === 0 && this.events.unread()) {
      this.#state = 'given up'
      this.source.abort()
    } else {
      if (owner) this.pump(reader)
      this.#pace()
    }
  }

  #pace(): void {
    if (this.#state !== 'open') return
    let least = Infinity
    for (const reader of this.#readers) {
      if (!reader.left && !reader.over) least = Math.min(least, this.#bytes - reader.bytes)
    }
    if (least === Infinity) least = 0
    if (least > aheadBytesMax && !this.#paused) {
      this.#paused = true
      this.source.pause()
    } else if (least <= aheadBytesMax / 2 && this.#paused) {
      this.#paused = false
      this.source.resume()
    }
  }

  #trim(): void {
    let least = this.#gone + this.#chunks.length
    for (const reader of this.#readers.slice()) {
      if (reader.over) continue
      if (this.#bytes - reader.bytes > windowBytes) {
        reader.over = true
        reader.sink?.error(new WireError('reset', 'this reader was too slow for a shared answer', true))
      } else least = Math.min(least, reader.at)
    }
    const given = least - this.#gone
    // Not one by one: moving a long list for each chunk would cost more than the chunk.
    if (given < 64 && given < this.#chunks.length) return
    this.#chunks.splice(0, given)
    this.#gone = least
  }
}

/** One reader's body. */
class Reader implements Body {
  readonly whole = null
  sink: BodySink | null = null
  paused = false
  busy = false
  over = false
  left = false
  /** Chunk and bytes it has got to. */
  at = 0
  bytes = 0

  constructor(
    private readonly shared: SharedBytes,
    readonly length: number,
  ) {}

  /** Takes nothing now; one whose client has left takes all there is. */
  get stopped(): boolean {
    return this.paused && !this.left
  }

  start(sink: BodySink): void {
    this.sink = sink
    this.shared.resumed(this)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.shared.resumed(this)
  }

  abort(): void {
    this.shared.leave(this)
  }
}
