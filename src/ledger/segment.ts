// A file of records, mapped into memory: a record is there for every other process, and outlives this one, as soon as its
// bytes are copied, without a system call. The file has its full size from the start, so that a full disk shows when it is made
// and never amid a record. A segment that is done with is used again; the checksum of a record starts from the segment's
// generation, so what an earlier use left behind is never read as a record.
// Layout: `HGL2`, generation, then records: length, checksum, kind, number of numbers, length of the id, offset of the record
// with the shared text; then id, numbers (64 bits, not a number = null) and rest. What many records have in common is
// written once in a segment, and numbers are written as they are: a record is made and read without JSON, and nothing of
// it has to stay in memory meanwhile. The length is written last: a process killed amid a record leaves none.

import { closeSync, fdatasync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'

const headerBytes = 16
const recordBytes = 16
const magic = 0x48474c32
/** Longer records are not looked for behind damage: each is read through to see whether it is one. */
const soughtBytesMax = 64 * 1024

/** What a record is: kept before the call, final, or a text that others refer to. */
export const kinds = { reservation: 1, row: 2, shared: 3 } as const
export type Kind = (typeof kinds)[keyof typeof kinds]

/** What a record says. */
export interface RecordParts {
  readonly id: string
  readonly numbers: readonly (number | null)[]
  readonly rest: string
  /** Text that other records have as well. */
  readonly shared: string
}

/** A record as it is read, and where the next one begins. Its parts are decoded when asked for. */
export interface RecordAt {
  readonly kind: number
  readonly next: number
  parts(): RecordParts
}

/** What a record refers to is not there. */
export class DamagedRecord extends Error {}

export class Segment {
  /** Offset behind the last record. */
  end = headerBytes
  #generation: number
  readonly #view: DataView
  /** Offsets of shared texts, and texts by their offsets. */
  readonly #offsets = new Map<string, number>()
  readonly #texts = new Map<number, string>()

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
    this.#offsets.clear()
    this.#texts.clear()
  }

  /** Whether a record fits, whatever its characters. */
  fits({ id, numbers, rest, shared }: RecordParts): boolean {
    const characters = id.length + rest.length + shared.length
    return this.end + 2 * recordBytes + numbers.length * 8 + characters * 3 + 4 <= this.bytes.length
  }

  /** Bytes left. */
  get free(): number {
    return this.bytes.length - this.end
  }

  /** Adds a record; it must fit. Gives where it is. */
  append(kind: Kind, { id, numbers, rest, shared }: RecordParts): number {
    const common = this.#offsetOf(shared)
    const view = this.#view
    const { end } = this
    let at = end + recordBytes
    const idBytes = this.#write(id, at)
    at += idBytes
    for (let index = 0; index < numbers.length; index++, at += 8)
      view.setFloat64(at, numbers[index] ?? Number.NaN)
    if (rest !== '') at += this.#write(rest, at)
    view.setUint8(end + 8, kind)
    view.setUint8(end + 9, numbers.length)
    view.setUint16(end + 10, idBytes)
    view.setUint32(end + 12, common)
    // What follows must not be taken for a record of this generation.
    view.setUint32(at, 0)
    view.setUint32(end + 4, this.#checksum(end + 8, at))
    view.setUint32(end, at - end - recordBytes + 1)
    this.end = at
    return end
  }

  /** The record at `offset`; null where there is none. */
  read(offset: number): RecordAt | null {
    const view = this.#view
    if (offset + recordBytes > view.byteLength || view.getUint32(0) !== magic) return null
    const length = view.getUint32(offset)
    const next = offset + recordBytes + length - 1
    if (length === 0 || next > view.byteLength) return null
    if (view.getUint32(offset + 4) !== this.#checksum(offset + 8, next)) return null
    return { kind: view.getUint8(offset + 8), next, parts: () => this.#parts(offset, next) }
  }

  /** The first record at `offset` or behind it, past bytes that are none; null where none follows. */
  search(offset: number): RecordAt | null {
    for (let at = offset; at + recordBytes <= this.bytes.length; at++) {
      const record = this.#mayBegin(at) ? this.read(at) : null
      if (record !== null) return record
    }
    return null
  }

  /** Whether the figures of a head fit together. Numbers are full of zeros, which look like short lengths. */
  #mayBegin(at: number): boolean {
    const view = this.#view
    const length = view.getUint32(at) - 1
    if (length < 0 || length > soughtBytesMax) return false
    const kind = view.getUint8(at + 8)
    if (kind < kinds.reservation || kind > kinds.shared || view.getUint32(at + 12) >= at) return false
    return view.getUint16(at + 10) + view.getUint8(at + 9) * 8 <= length
  }

  /** Whether something else than a segment begins here. */
  get isForeign(): boolean {
    const first = this.#view.getUint32(0)
    return first !== magic && first !== 0
  }

  /** Kind of a record that this process wrote, and where the next one begins; 0 = there is none. */
  skim(offset: number): { kind: number; next: number } {
    if (offset >= this.end) return { kind: 0, next: offset }
    const view = this.#view
    return { kind: view.getUint8(offset + 8), next: offset + recordBytes + view.getUint32(offset) - 1 }
  }

  /** The parts of a record that is known to be whole. */
  partsAt(offset: number): RecordParts {
    return this.#parts(offset, offset + recordBytes + this.#view.getUint32(offset) - 1)
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

  #parts(offset: number, next: number): RecordParts {
    const view = this.#view
    let at = offset + recordBytes
    const id = this.#text(at, (at += view.getUint16(offset + 10)))
    const numbers: (number | null)[] = []
    for (let left = view.getUint8(offset + 9); left > 0; left--, at += 8) {
      const value = view.getFloat64(at)
      numbers.push(Number.isNaN(value) ? null : value)
    }
    const rest = at === next ? '' : this.#text(at, next)
    return { id, numbers, rest, shared: this.#sharedAt(view.getUint32(offset + 12)) }
  }

  /** Where a shared text stands; written where it does not stand yet. 0 = it is empty. */
  #offsetOf(shared: string): number {
    if (shared === '') return 0
    const known = this.#offsets.get(shared)
    if (known !== undefined) return known
    const offset = this.append(kinds.shared, { id: '', numbers: [], rest: shared, shared: '' })
    this.#offsets.set(shared, offset)
    this.#texts.set(offset, shared)
    return offset
  }

  #sharedAt(offset: number): string {
    if (offset === 0) return ''
    const known = this.#texts.get(offset)
    if (known !== undefined) return known
    const record = this.read(offset)
    if (record?.kind !== kinds.shared) throw new DamagedRecord(`${this.path} is damaged`)
    const { rest } = record.parts()
    this.#texts.set(offset, rest)
    return rest
  }

  #write(text: string, at: number): number {
    return Buffer.prototype.utf8Write.call(this.bytes, text, at)
  }

  #text(start: number, end: number): string {
    return Buffer.prototype.utf8Slice.call(this.bytes, start, end)
  }

  #checksum(from: number, to: number): number {
    return Bun.hash.crc32(this.bytes.subarray(from, to), this.#generation) >>> 0
  }
}
