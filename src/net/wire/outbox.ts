// What is to be written to one socket. A socket takes what its kernel buffer holds and leaves the rest to us; the rest
// waits here, and whoever pushes is told to stop until it is gone. So at most one source's last push is ever held.

import type { Socket } from 'bun'
import { unpinned } from './pieces.ts'

/** Whose messages go by the batch. */
export interface BatchOwner {
  /** What lay in the batch is written, or waits. */
  onDrain(): void
  /** Cuts the connection. */
  destroy(): void
}

/** Everything that goes out of one socket goes through its outbox. */
export class Outbox {
  #waiting: Uint8Array[] = []
  /** Bytes handed over and not yet taken by the kernel. */
  waitingBytes = 0
  /** Bytes taken by the kernel so far: progress, for the stall timer. */
  sentBytes = 0
  onDrain: (() => void) | null = null
  /** Something of it lies in the batch. */
  batched = false
  /** Nothing goes by the batch for now. */
  alone = false

  constructor(
    private readonly socket: Socket<unknown>,
    /** Told when what lay in the batch is out, or waits like anything else; null = nothing goes by the batch. */
    readonly owner: BatchOwner | null = null,
    /** Told of what `owner` throws, which is a bug. */
    readonly bug: (cause: unknown) => void = throwLater,
  ) {}

  /** Writes `bytes`, which the outbox may keep. False = not all was taken: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean {
    this.hurry()
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
    this.hurry()
    if (this.waitingBytes > 0) return this.write(copyOf(buffer, 0, length))
    return this.#send(buffer, 0, length)
  }

  /** Writes what lies in the batch, with all the others; whether something of this one did, and went out. */
  hurry(): boolean {
    if (!this.batched) return false
    const { sentBytes } = this
    batch.flush()
    return this.sentBytes > sentBytes
  }

  /** Writes what lies in the batch. */
  writeBatched(buffer: Uint8Array, start: number, end: number): void {
    this.batched = false
    this.waitingBytes -= end - start
    if (this.#send(buffer, start, end) || this.#waiting.length < 2) return
    // What could not be sent stands before whatever was to follow it.
    this.#waiting.unshift(this.#waiting.pop()!)
  }

  #send(buffer: Uint8Array, start: number, end: number): boolean {
    const taken = Math.max(0, this.socket.write(buffer, start, end - start))
    this.sentBytes += taken
    if (taken === end - start) return true
    this.#keep(copyOf(buffer, start + taken, end))
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

/** Messages of one batch, and their bytes; longer ones go out by themselves. */
const batchMax = 32
const batchBytes = 128 * 1024
const batchedBytesMax = 8 * 1024

/**
 * Whole messages, answers and requests, that are given in one turn of the loop, but for the first: they go out together, a few at
 * a time or when the turn ends. Whoever reads them is woken once: to wake a process that waits costs more than all the
 * rest of a write.
 */
class Batch {
  readonly #buffer = Buffer.allocUnsafeSlow(batchBytes)
  readonly #outboxes: Outbox[] = []
  readonly #ends: number[] = []
  /** A message has gone out in this turn. */
  #open = false
  #flushing = false
  /** The buffer is being read. */
  #writing = false
  readonly #turnEnds = (): void => {
    this.#open = false
    this.flush()
  }

  /** Whether a message of so many bytes is to be added. The first one of a turn is not. */
  takes({ owner, alone, waitingBytes }: Outbox, bytes: number): boolean {
    if (owner === null || alone || waitingBytes > 0 || this.#writing) return false
    if (this.#open) return bytes <= batchedBytesMax && this.#makesRoom(bytes)
    this.#open = true
    // oxlint-disable-next-line no-restricted-globals -- one at a time: no queue hides behind it
    setImmediate(this.#turnEnds)
    return false
  }

  /** Adds a message. It waits until `owner.onDrain` is called. */
  add(outbox: Outbox, head: readonly string[], body: Uint8Array | null): void {
    const start = this.#ends.at(-1) ?? 0
    const end = putTogether(this.#buffer, start, { head, body })
    outbox.batched = true
    outbox.waitingBytes += end - start
    this.#outboxes.push(outbox)
    this.#ends.push(end)
  }

  /** Writes all of them, then tells their owners, who may go on to their next request, and add to the next batch. */
  flush(): void {
    // Once at a time, or requests that are pipelined would nest as deep as they are long.
    if (this.#flushing) return
    this.#flushing = true
    const outboxes: (Outbox | null)[] = this.#outboxes.splice(0)
    const ends = this.#ends.splice(0)
    this.#writing = true
    for (const [index, outbox] of outboxes.entries()) {
      try {
        outbox!.writeBatched(this.#buffer, ends[index - 1] ?? 0, ends[index]!)
      } catch (cause) {
        // Its owner is not told: what was not written would count as delivered.
        outboxes[index] = null
        cut(outbox!, cause)
      }
    }
    this.#writing = false
    for (const outbox of outboxes) {
      try {
        outbox?.owner!.onDrain()
      } catch (cause) {
        cut(outbox!, cause)
      }
    }
    this.#flushing = false
  }

  #makesRoom(bytes: number): boolean {
    if (this.#outboxes.length >= batchMax) this.flush()
    return (this.#ends.at(-1) ?? 0) + bytes <= batchBytes
  }
}

/** A bug with one connection cuts that one, and stops no other. */
function cut({ owner, bug }: Outbox, cause: unknown): void {
  try {
    owner!.destroy()
  } catch (another) {
    bug(another)
  }
  bug(cause)
}

/** The process has somebody to tell. */
export function throwLater(cause: unknown): void {
  queueMicrotask(() => {
    throw cause
  })
}

const batch = new Batch()

const scratchBytes = 128 * 1024
const scratch = Buffer.allocUnsafeSlow(scratchBytes)

/**
 * Writes a head (latin1 text) and the body behind it in one system call where they fit into the shared scratch buffer.
 * False = not all was taken.
 */
export function writeMessage(outbox: Outbox, head: string, body: Uint8Array | null): boolean {
  // Before the scratch buffer is filled: others may be told, and write.
  outbox.hurry()
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
  outbox.hurry()
  let bytes = body?.length ?? 0
  for (let index = 0; index < head.length; index++) bytes += head[index]!.length
  if (bytes > scratchBytes) return writeMessage(outbox, head.join(''), body)
  if (batch.takes(outbox, bytes)) {
    batch.add(outbox, head, body)
    return false
  }
  putTogether(scratch, 0, { head, body })
  return outbox.writeBorrowed(scratch, bytes)
}

/** Gives the offset behind the last byte. */
function putTogether(
  buffer: Buffer,
  start: number,
  { head, body }: { readonly head: readonly string[]; readonly body: Uint8Array | null },
): number {
  let at = start
  for (let index = 0; index < head.length; index++) {
    const piece = head[index]!
    if (piece === '') continue
    Buffer.prototype.latin1Write.call(buffer, piece, at)
    at += piece.length
  }
  if (body === null) return at
  buffer.set(body, at)
  return at + body.length
}

/** Writes one chunk of the chunked coding in one system call. False = not all was taken. */
export function writeChunk(outbox: Outbox, bytes: Uint8Array): boolean {
  outbox.hurry()
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
