// What a stream has said so far, for the estimate if it breaks off. The text is copied out of the frames as they pass: one
// search a chunk, no parsing, and no frame is kept alive. Names of members that hold what a model writes are looked for by
// their end, so that `content":` is also found in `"reasoning_content":`; a quote inside of a text is escaped, so what
// a model writes is never taken for a name.

const quote = 34
const backslash = 92

const chatNames = ['content":', 'arguments":', 'reasoning":', 'refusal":'].map((name) => Buffer.from(name))
const eventNames = ['"delta":'].map((name) => Buffer.from(name))
const completionNames = ['"text":'].map((name) => Buffer.from(name))

/** Bytes of text kept; of what follows the length counts. */
const keptMax = 512 * 1024
const firstRoom = 2048

/** The text of one stream, as JSON has it: with escapes. */
export class OutputText {
  #kept = new Uint8Array(0)
  #keptBytes = 0
  /** Bytes of text that passed, those not kept included. */
  bytes = 0
  readonly #names: readonly Uint8Array[]

  constructor(operation: string) {
    this.#names =
      operation === 'chat.completions'
        ? chatNames
        : operation === 'completions'
          ? completionNames
          : eventNames
  }

  /** Takes the text out of whole frames. */
  add(frames: Uint8Array): void {
    for (const name of this.#names) {
      let at = Buffer.prototype.indexOf.call(frames, name)
      const before = this.bytes
      while (at >= 0) at = this.#addFrom(frames, at + name.length, name)
      // A chunk says something in one way only, nearly always.
      if (this.bytes > before) return
    }
  }

  /** What was said, escapes resolved; '' = nothing. */
  text(): string {
    const raw = Buffer.prototype.utf8Slice.call(this.#kept, 0, this.#keptBytes)
    try {
      return JSON.parse(`"${raw}"`) as string
    } catch {
      // Cut off amid an escape or a character: as it stands it is as long, or a little longer.
      return raw
    }
  }

  #addFrom(frames: Uint8Array, from: number, name: Uint8Array): number {
    let start = from
    while (frames[start] === 32) start += 1
    if (frames[start] !== quote) return Buffer.prototype.indexOf.call(frames, name, start)
    let end = start + 1
    while (end < frames.length && frames[end] !== quote) end += frames[end] === backslash ? 2 : 1
    this.#keep(frames, start + 1, Math.min(end, frames.length))
    return Buffer.prototype.indexOf.call(frames, name, end)
  }

  #keep(frames: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.bytes += length
    if (this.#keptBytes + length > keptMax) return
    if (this.#keptBytes + length > this.#kept.length) {
      const room = new Uint8Array(
        Math.min(keptMax, Math.max(firstRoom, 2 * this.#kept.length, this.#keptBytes + length)),
      )
      room.set(this.#kept.subarray(0, this.#keptBytes))
      this.#kept = room
    }
    // A token has a few bytes: fewer than what a view of them costs.
    if (length > 32) this.#kept.set(frames.subarray(start, end), this.#keptBytes)
    else for (let at = 0; at < length; at++) this.#kept[this.#keptBytes + at] = frames[start + at]!
    this.#keptBytes += length
  }
}
