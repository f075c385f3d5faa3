// What is to be written to one socket. A socket takes what its kernel buffer holds and leaves the rest to us; the rest
// waits here, and whoever pushes is told to stop until it is gone. So at most one source's last push is ever held.

import type { Socket } from 'bun'
import { unpinned } from './pieces.ts'

/** Everything that goes out of one socket goes through its outbox. */
export class Outbox {
  #waiting: Uint8Array[] = []
  /** Bytes handed over and not yet taken by the kernel. */
  waitingBytes = 0
  /** Bytes taken by the kernel so far: progress, for the stall timer. */
  sentBytes = 0
  onDrain: (() => void) | null = null

  constructor(private readonly socket: Socket<unknown>) {}

  /** Writes `bytes`, which the outbox may keep. False = not all was taken: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean {
    if (this.waitingBytes > 0) {
      this.#keep(bytes)
      return false
    }
    const taken = Math.max(0, this.socket.write(bytes))
    this.sentBytes += taken
    if (taken === bytes.length) return true
    this.#keep(bytes.subarray(taken))
    return false
  }

  /** As `write`, for the first `length` bytes of a buffer that is used again as soon as this returns. */
  writeBorrowed(buffer: Uint8Array, length: number): boolean {
    if (this.waitingBytes > 0) return this.write(copyOf(buffer, 0, length))
    const taken = Math.max(0, this.socket.write(buffer, 0, length))
    this.sentBytes += taken
    if (taken === length) return true
    this.#keep(copyOf(buffer, taken, length))
    return false
  }

  /** The socket can take more; calls `onDrain` once nothing waits. */
  flush(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!
      const taken = Math.max(0, this.socket.write(first))
      this.sentBytes += taken
      this.waitingBytes -= taken
      if (taken < first.length) {
        if (taken > 0) this.#waiting[0] = unpinned(first.subarray(taken))
        return
      }
      this.#waiting.shift()
    }
    this.onDrain?.()
  }

  #keep(bytes: Uint8Array): void {
    // What is left of a large read may wait as long as a slow reader likes.
    this.#waiting.push(unpinned(bytes))
    this.waitingBytes += bytes.length
  }
}

/** A copy in memory of its own. The trap: `slice` of a Buffer is a view, and what is kept would change under us. */
function copyOf(buffer: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer.subarray(start, end))
}

const scratchBytes = 128 * 1024
const scratch = Buffer.allocUnsafeSlow(scratchBytes)

/**
 * Writes a head (latin1 text) and the body behind it in one system call where they fit into the shared scratch buffer.
 * False = not all was taken.
 */
export function writeMessage(outbox: Outbox, head: string, body: Uint8Array | null): boolean {
  const bytes = head.length + (body?.length ?? 0)
  if (bytes > scratchBytes) {
    const taken = outbox.write(Buffer.from(head, 'latin1'))
    return body === null ? taken : outbox.write(body)
  }
  scratch.write(head, 0, 'latin1')
  if (body !== null) scratch.set(body, head.length)
  return outbox.writeBorrowed(scratch, bytes)
}

/** As `writeMessage`, for a head in pieces: putting them together first would cost more than writing them. */
export function writePieces(outbox: Outbox, head: readonly string[], body: Uint8Array | null): boolean {
  let bytes = body?.length ?? 0
  for (let index = 0; index < head.length; index++) bytes += head[index]!.length
  if (bytes > scratchBytes) return writeMessage(outbox, head.join(''), body)
  let at = 0
  for (let index = 0; index < head.length; index++) {
    const piece = head[index]!
    if (piece === '') continue
    Buffer.prototype.latin1Write.call(scratch, piece, at)
    at += piece.length
  }
  if (body !== null) scratch.set(body, at)
  return outbox.writeBorrowed(scratch, bytes)
}

/** Writes one chunk of the chunked coding in one system call. False = not all was taken. */
export function writeChunk(outbox: Outbox, bytes: Uint8Array): boolean {
  const size = `${bytes.length.toString(16)}\r\n`
  const whole = size.length + bytes.length + 2
  const target = whole > scratchBytes ? Buffer.allocUnsafe(whole) : scratch
  target.write(size, 0, 'latin1')
  target.set(bytes, size.length)
  target[whole - 2] = 13
  target[whole - 1] = 10
  return whole > scratchBytes ? outbox.write(target) : outbox.writeBorrowed(target, whole)
}

/** The last chunk of the chunked coding, without trailers. */
export const lastChunk: Uint8Array = Buffer.from('0\r\n\r\n', 'latin1')
