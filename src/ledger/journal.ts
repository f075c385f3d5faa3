// The journal of one process: segments in a folder of its own, one being written, one ready behind it, and those whose rows are
// not in the database yet. It admits work only while every call under way can still get its final row: where no new
// segment can be made (a full disk), new calls are refused long before there is no room, and are taken again by themselves.

import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Entry, ReservationEntry } from './columns.ts'
import { LedgerFailure } from './ledger.ts'
import { kinds, Segment, type Kind, type RecordAt, type RecordParts } from './segment.ts'

/** Room kept for the final row of every call under way. */
const rowBytesMax = 40 * 1024
/** Segments kept to be used again. */
const sparesMax = 2
const againMs = 1000

export interface JournalOptions {
  /** Folder of this process. */
  readonly folder: string
  readonly segmentBytes: number
  /** Most bytes that may wait for the database. */
  readonly waitingBytesMax: number
  /** Tells of trouble, and of its end. */
  readonly tell: (level: 'warn' | 'error', text: string) => void
}

/** A place in the journal: everything before it is in the database. */
export interface Cursor {
  segment: Segment
  offset: number
}

export class Journal {
  /** What is not in the database yet begins here. */
  readonly cursor: Cursor
  readonly #waiting: Segment[]
  #spares: Segment[] = []
  /** Calls under way, and where the reservation of each stands. */
  readonly #open = new Map<string, Cursor>()
  #made = 1
  #making: Promise<void> | null = null
  #trouble: string | null = null
  #closed = false

  private constructor(
    private readonly options: JournalOptions,
    first: Segment,
  ) {
    this.#waiting = [first]
    this.cursor = { segment: first, offset: first.start }
  }

  /** @throws the system's error where no file can be made */
  static async create(options: JournalOptions): Promise<Journal> {
    const first = await Segment.create(join(options.folder, '1.journal'), options.segmentBytes)
    const journal = new Journal(options, first)
    await journal.#makeSpare()
    return journal
  }

  /** Why no new call may begin; null = it may. */
  get trouble(): string | null {
    if (this.#trouble !== null && this.#current.free < (this.#open.size + 1) * rowBytesMax)
      return this.#trouble
    if ((this.#waiting.length + 1) * this.options.segmentBytes > this.options.waitingBytesMax)
      return 'the database takes no rows'
    return null
  }

  /** Calls under way. */
  get openCalls(): number {
    return this.#open.size
  }

  /** The segment that is being written. */
  get #current(): Segment {
    return this.#waiting.at(-1)!
  }

  /** Adds a reservation. @throws LedgerFailure */
  reserve({ id, operationId, numbers, head }: ReservationEntry): void {
    const { trouble } = this
    if (trouble !== null) throw new LedgerFailure(trouble)
    this.#hold(id, { id, numbers, rest: operationId ?? '', shared: head })
  }

  /** Adds a final row; closes its reservation, where there is one. @throws LedgerFailure */
  settle({ id, operationId, numbers, more, dimensions }: Entry): void {
    const rest = operationId === null && more === null ? '' : `${operationId ?? ''}${between}${more ?? ''}`
    this.#append(kinds.row, { id, numbers, rest, shared: dimensions })
    this.#open.delete(id)
  }

  /** Everything so far reaches the disk. @throws the system's error */
  async sync(): Promise<void> {
    for (const segment of this.#waiting.slice(-2)) await segment.sync()
  }

  /** Rows from the cursor on, `max` at most, and where they end. */
  read(max: number): { rows: Entry[]; end: Cursor } {
    const rows: Entry[] = []
    let { segment, offset } = this.cursor
    while (rows.length < max) {
      const { kind, next } = segment.skim(offset)
      if (kind === kinds.row) rows.push(entryOf(segment.partsAt(offset)))
      offset = next
      if (kind !== 0) continue
      const following = this.#waiting[this.#waiting.indexOf(segment) + 1]
      if (following === undefined) break
      segment = following
      offset = segment.start
    }
    return { rows, end: { segment, offset } }
  }

  /** What is before `end` is in the database: segments behind it are free. */
  advance(end: Cursor): void {
    Object.assign(this.cursor, end)
    while (this.#waiting[0] !== end.segment && this.#retire(this.#waiting[0]!)) this.#waiting.shift()
  }

  /** Ends it; whatever is not in the database stays for the next process. */
  close(): void {
    this.#closed = true
    for (const segment of [...this.#waiting, ...this.#spares]) segment.close()
  }

  #hold(id: string, parts: RecordParts): void {
    const offset = this.#append(kinds.reservation, parts)
    this.#open.set(id, { segment: this.#current, offset })
  }

  #append(kind: Kind, parts: RecordParts): number {
    if (!this.#current.fits(parts)) this.#turnOver(parts)
    const offset = this.#current.append(kind, parts)
    // The next one is made while there is time.
    if (this.#spares.length === 0 && this.#making === null && this.#trouble === null) void this.#makeSpare()
    return offset
  }

  #turnOver(parts: RecordParts): void {
    const spare = this.#spares.shift() ?? this.#makeNow()
    spare.renew()
    if (!spare.fits(parts)) throw new LedgerFailure('the row is too long')
    this.#waiting.push(spare)
  }

  /** A call that outlives its segment takes its reservation along. False where there is no room for that now. */
  #retire(segment: Segment): boolean {
    for (const [id, held] of this.#open) {
      if (held.segment !== segment) continue
      try {
        this.#hold(id, segment.partsAt(held.offset))
      } catch {
        return false
      }
    }
    if (this.#spares.length < sparesMax) this.#spares.push(segment)
    else {
      segment.close()
      unlinkSync(segment.path)
    }
    return true
  }

  /** Rows came faster than the disk: better that all wait a moment than that one is lost. @throws LedgerFailure */
  #makeNow(): Segment {
    const { folder, segmentBytes } = this.options
    try {
      return Segment.createNow(join(folder, `${++this.#made}.journal`), segmentBytes)
    } catch (cause) {
      throw new LedgerFailure(this.#trouble ?? String(cause))
    }
  }

  async #makeSpare(): Promise<void> {
    this.#making = this.#tryMakeSpare()
    await this.#making
    this.#making = null
  }

  async #tryMakeSpare(): Promise<void> {
    const { folder, segmentBytes, tell } = this.options
    const path = join(folder, `${++this.#made}.journal`)
    try {
      const segment = await Segment.create(path, segmentBytes)
      if (this.#closed) return segment.close()
      this.#spares.push(segment)
      if (this.#trouble !== null) tell('warn', 'The ledger takes rows again.')
      this.#trouble = null
    } catch (cause) {
      if (this.#closed) return
      const reason = (cause as { code?: string }).code === 'ENOSPC' ? 'the disk is full' : String(cause)
      if (this.#trouble === null)
        tell('error', `The ledger cannot make room for rows: ${reason}. New requests are refused soon.`)
      this.#trouble = reason
      setTimeout(() => void (this.#closed || this.#makeSpare()), againMs).unref()
    }
  }
}

/** Between an operation's id and what few rows have. */
const between = '\n'

function entryOf({ id, numbers, rest, shared }: RecordParts): Entry {
  const at = rest.indexOf(between)
  const operationId = at > 0 ? rest.slice(0, at) : null
  const more = at >= 0 && at + 1 < rest.length ? rest.slice(at + 1) : null
  return { id, operationId, numbers, more, dimensions: shared }
}

/** The row a record holds. */
export function readEntry(record: RecordAt): Entry {
  return entryOf(record.parts())
}

/** The reservation a record holds. */
export function readReservation(record: RecordAt): ReservationEntry {
  const { id, numbers, rest, shared } = record.parts()
  return { id, operationId: rest === '' ? null : rest, numbers, head: shared }
}
