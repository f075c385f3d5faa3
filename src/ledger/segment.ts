// A file of records, mapped into memory: a record is there for every other process, and outlives this one, as soon as its
// bytes are copied, without a system call. The file has its full size from the start, so that a full disk shows when it is made
// and never amid a record. A segment that is done with is used again; the checksum of a record starts from the segment's
// generation, so what an earlier use left behind is never read as a record.
// Layout: `HGL1`, generation, then records: length, checksum, kind, text. The length is written last: a process killed
// amid a record leaves none.

import { closeSync, fdatasync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'

const headerBytes = 16
const recordBytes = 9
const magic = 0x48474c31
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** What a record is: kept before the call, or final. */
export const kinds = { reservation: 1, row: 2 } as const
export type Kind = (typeof kinds)[keyof typeof kinds]

/** A record as it is read, and where the next one begins. */
export interface RecordAt {
  readonly kind: number
  readonly next: number
  /** The text, decoded when asked for. */
  text(): string
}

export class Segment {
  /** Offset behind the last record. */
  end = headerBytes
  #generation: number
  readonly #view: DataView

  private constructor(
    readonly path: string,
    readonly bytes: Uint8Array,
    private readonly fd: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#generation = this.#view.getUint32(4)
  }

  /** Makes a file of full size. @throws the system's error, such as ENOSPC; then no file is left */
  static async create(path: string, bytes: number): Promise<Segment> {
    const file = await open(path, 'wx', 0o600)
    try {
      const block = new Uint8Array(Math.min(bytes, 256 * 1024))
      for (let left = bytes; left > 0; left -= block.length)
        await file.write(block, 0, Math.min(left, block.length))
      // Space is only promised once it is on the disk.
      await file.datasync()
    } catch (cause) {
      unlinkSync(path)
      throw cause
    } finally {
      await file.close()
    }
    const segment = Segment.open(path)
    segment.renew()
    return segment
  }

  /** The same, while the whole process waits. */
  static createNow(path: string, bytes: number): Segment {
    const fd = openSync(path, 'wx', 0o600)
    try {
      const block = new Uint8Array(256 * 1024)
      for (let left = bytes; left > 0; left -= block.length)
        writeSync(fd, block, 0, Math.min(left, block.length))
    } catch (cause) {
      unlinkSync(path)
      throw cause
    } finally {
      closeSync(fd)
    }
    const segment = Segment.open(path)
    segment.renew()
    return segment
  }

  /** Maps a file that is there. @throws the system's error, or where it is no segment's size */
  static open(path: string): Segment {
    const fd = openSync(path, 'r+')
    try {
      if (fstatSync(fd).size < headerBytes + recordBytes) throw new Error(`${path} is cut short`)
      return new Segment(path, Bun.mmap(path, { shared: true }), fd)
    } catch (cause) {
      closeSync(fd)
      throw cause
    }
  }

  /** Empties it. */
  renew(): void {
    this.#view.setUint32(0, magic)
    this.#view.setUint32(headerBytes, 0)
    this.#view.setUint32(4, (this.#generation = (this.#generation + 1) >>> 0))
    this.end = headerBytes
  }

  /** Whether a text of this length fits, whatever its characters. */
  fits(characters: number): boolean {
    return this.end + recordBytes + characters * 3 + 4 <= this.bytes.length
  }

  /** Bytes left. */
  get free(): number {
    return this.bytes.length - this.end
  }

  /** Adds a record; it must fit. */
  append(kind: Kind, text: string): void {
    const { end } = this
    const start = end + recordBytes
    const { written } = encoder.encodeInto(text, this.bytes.subarray(start))
    // What follows must not be taken for a record of this generation.
    this.#view.setUint32(start + written, 0)
    this.#view.setUint8(end + 8, kind)
    this.#view.setUint32(end + 4, this.#checksum(end + 8, start + written))
    this.#view.setUint32(end, written)
    this.end = start + written
  }

  /** The record at `offset`; null where there is none. */
  read(offset: number): RecordAt | null {
    const view = this.#view
    if (offset + recordBytes > view.byteLength || view.getUint32(0) !== magic) return null
    const length = view.getUint32(offset)
    const next = offset + recordBytes + length
    if (length === 0 || next > view.byteLength) return null
    if (view.getUint32(offset + 4) !== this.#checksum(offset + 8, next)) return null
    const { bytes } = this
    return {
      kind: view.getUint8(offset + 8),
      next,
      text: () => decoder.decode(bytes.subarray(offset + recordBytes, next)),
    }
  }

  /** Offset of the first record. */
  get start(): number {
    return headerBytes
  }

  /** Everything written so far reaches the disk before this resolves. @throws the system's error */
  sync(): Promise<void> {
    return new Promise((resolve, reject) =>
      fdatasync(this.fd, (cause) => (cause === null ? resolve() : reject(cause))),
    )
  }

  /** Lets go of the file, which stays. */
  close(): void {
    closeSync(this.fd)
  }

  #checksum(from: number, to: number): number {
    return Bun.hash.crc32(this.bytes.subarray(from, to), this.#generation) >>> 0
  }
}
