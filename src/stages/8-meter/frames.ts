// WebSocket frames (RFC 6455 section 5) of a copy of what passes: finds the text messages, whole, within bounds. Nothing is
// held back and nothing changed: who looks at a tunnel must not be able to break it. What cannot be read (compressed
// frames though no extension was agreed on, lengths that cannot be) ends the looking, and says so.

import { Pieces } from '../../net/wire/pieces.ts'

const textOpcode = 1
const binaryOpcode = 2
/** A text message longer than this is passed over. */
const messageBytesMax = 16 * 1024 * 1024

export class TextMessages {
  #header = new Uint8Array(14)
  #headerBytes = 0
  #left = 0
  #inFrame = false
  #final = true
  #control = false
  #mask: Uint8Array | null = null
  #maskAt = 0
  /** The message under way is text that is wanted. */
  #wanted = false
  readonly #held = new Pieces()
  /** The frames cannot be read any more. */
  broken = false
  /** Messages that were too long. */
  unread = 0

  /** `visit` is shown each whole text message; the bytes are good until it returns. */
  constructor(private readonly visit: (message: Uint8Array) => void) {}

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length && !this.broken) {
      if (this.#inFrame) {
        const end = Math.min(bytes.length, at + this.#left)
        this.#payload(bytes.subarray(at, end))
        at = end
      } else {
        this.#header[this.#headerBytes++] = bytes[at++]!
        if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerLength()) this.#begin()
      }
    }
  }

  #headerLength(): number {
    const short = this.#header[1]! & 127
    return 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + ((this.#header[1]! & 128) === 0 ? 0 : 4)
  }

  #begin(): void {
    const header = this.#header
    const opcode = header[0]! & 15
    const short = header[1]! & 127
    const view = new DataView(header.buffer)
    this.#left =
      short === 127
        ? view.getUint32(2) * 2 ** 32 + view.getUint32(6)
        : short === 126
          ? view.getUint16(2)
          : short
    const masked = (header[1]! & 128) !== 0
    this.#mask = masked ? header.slice(this.#headerBytes - 4, this.#headerBytes) : null
    this.#maskAt = 0
    this.#headerBytes = 0
    if ((header[0]! & 0x70) !== 0 || !Number.isSafeInteger(this.#left)) {
      this.broken = true
      this.#held.take()
      return
    }
    this.#control = opcode >= 8
    this.#final = (header[0]! & 128) !== 0
    if (opcode === textOpcode || opcode === binaryOpcode) {
      this.#held.take()
      this.#wanted = opcode === textOpcode
    }
    this.#inFrame = true
    if (this.#left === 0) this.#frameEnded()
  }

  #payload(part: Uint8Array): void {
    this.#left -= part.length
    if (!this.#control && this.#wanted) {
      const plain = this.#mask === null ? part : this.#unmasked(part, this.#mask)
      // Nearly every message is one frame and comes whole.
      if (this.#left === 0 && this.#final && this.#held.bytes === 0) {
        this.#inFrame = false
        this.visit(plain)
        return
      }
      this.#held.add(plain)
      if (this.#held.bytes > messageBytesMax) {
        this.#held.take()
        this.#wanted = false
        this.unread += 1
      }
    }
    if (this.#left === 0) this.#frameEnded()
  }

  #unmasked(part: Uint8Array, mask: Uint8Array): Uint8Array {
    const plain = new Uint8Array(part.length)
    for (let at = 0; at < part.length; at++) plain[at] = part[at]! ^ mask[this.#maskAt++ & 3]!
    return plain
  }

  #frameEnded(): void {
    this.#inFrame = false
    if (this.#control || !this.#final) return
    if (this.#wanted && this.#held.bytes > 0) this.visit(this.#held.join())
    else this.#held.take()
    this.#wanted = false
  }
}
