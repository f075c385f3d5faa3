// Bytes that are held for later. The trap: a piece is mostly a view, and a view of one byte keeps alive the whole read it
// was cut from. So small pieces are copied together, and whoever holds n bytes pays for about n bytes, however finely a
// hostile sender has cut them; large ones are kept as they are.

/** Pieces below this are copied: the copy costs less than the object that a view is. */
const smallBytes = 4096
const blockBytesMax = 64 * 1024

/** Pieces in the order added. */
export class Pieces {
  /** Bytes held. */
  bytes = 0
  #whole: Uint8Array[] = []
  #block: Uint8Array | null = null
  #used = 0

  /** Adds `piece`, which is ours to keep. */
  add(piece: Uint8Array): void {
    if (piece.length >= smallBytes) {
      this.#closeBlock()
      this.#whole.push(piece)
    } else {
      if (this.#block === null || this.#block.length - this.#used < piece.length) {
        this.#closeBlock()
        // Grows with what is here, so that a short body does not pay for a long one.
        this.#block = new Uint8Array(Math.min(blockBytesMax, Math.max(1024, piece.length, this.bytes)))
      }
      this.#block.set(piece, this.#used)
      this.#used += piece.length
    }
    this.bytes += piece.length
  }

  /** Hands everything over, in order and in as few pieces as were kept; empty afterwards. */
  take(): Uint8Array[] {
    this.#closeBlock()
    const taken = this.#whole
    this.#whole = []
    this.bytes = 0
    return taken
  }

  /** As `take`, in one piece. */
  join(): Uint8Array {
    const { bytes } = this
    const taken = this.take()
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken, bytes)
  }

  #closeBlock(): void {
    if (this.#block === null) return
    this.#whole.push(this.#block.subarray(0, this.#used))
    this.#block = null
    this.#used = 0
  }
}

/** A view that keeps alive more than twice its own bytes becomes a copy; else it is returned as it is. */
export function unpinned(bytes: Uint8Array): Uint8Array {
  return bytes.length * 2 < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes
}
