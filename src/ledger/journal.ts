// The journal of one process: segments in a folder of its own, one being written, one ready behind it, and those whose rows are
// not in the database yet. It admits work only while every call under way can still get its final row: where no new
// segment can be made (a full disk), new calls are refused long before there is no room, and are taken again by themselves.

import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Values } from './columns.ts'
import { LedgerFailure } from './ledger.ts'
import { kinds, Segment, type Kind } from './segment.ts'

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

/** Rows kept as they are beside their text, so that they need not be read again; beyond it the journal is read. */
const freshMax = 4096

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
  /** Calls under way: the segment that holds the reservation, and its text. */
  readonly #open = new Map<string, { segment: Segment; readonly text: string }>()
  /** Rows from the cursor on, as they were given; null = there are more than that, and the text is read. */
  #fresh: Values[] | null = []
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
  reserve(id: string, text: string): void {
    const { trouble } = this
    if (trouble !== null) throw new LedgerFailure(trouble)
    this.#append(kinds.reservation, text)
    this.#open.set(id, { segment: this.#current, text })
  }

  /** Adds a final row; closes its reservation, where there is one. @throws LedgerFailure */
  settle(id: string, values: Values): void {
    this.#append(kinds.row, JSON.stringify(values))
    this.#open.delete(id)
    if (this.#fresh !== null && this.#fresh.push(values) > freshMax) this.#fresh = null
  }

  /** Everything so far reaches the disk. @throws the system's error */
  async sync(): Promise<void> {
    for (const segment of this.#waiting.slice(-2)) await segment.sync()
  }

  /** Rows from the cursor on, `max` at most, and where they end. */
  read(max: number): { rows: Values[]; end: Cursor } {
    const rows: Values[] = []
    let { segment, offset } = this.cursor
    while (rows.length < max) {
      const record = segment.read(offset)
      if (record !== null) {
        if (record.kind === kinds.row)
          rows.push(this.#fresh?.[rows.length] ?? (JSON.parse(record.text()) as Values))
        offset = record.next
        continue
      }
      const following = this.#waiting[this.#waiting.indexOf(segment) + 1]
      if (following === undefined) break
      segment = following
      offset = segment.start
    }
    return { rows, end: { segment, offset } }
  }

  /** What is before `end`, `rows` of them, is in the database: segments behind it are free. */
  advance(end: Cursor, rows: number): void {
    if (this.#fresh !== null) this.#fresh.splice(0, rows)
    // Caught up: from here on rows are at hand again.
    else if (rows === 0) this.#fresh = []
    Object.assign(this.cursor, end)
    while (this.#waiting[0] !== end.segment && this.#retire(this.#waiting[0]!)) this.#waiting.shift()
  }

  /** Ends it; whatever is not in the database stays for the next process. */
  close(): void {
    this.#closed = true
    for (const segment of [...this.#waiting, ...this.#spares]) segment.close()
  }

  #append(kind: Kind, text: string): void {
    if (!this.#current.fits(text.length)) this.#turnOver(text)
    this.#current.append(kind, text)
    // The next one is made while there is time.
    if (this.#spares.length === 0 && this.#making === null && this.#trouble === null) void this.#makeSpare()
  }

  #turnOver(text: string): void {
    const spare = this.#spares.shift() ?? this.#makeNow()
    spare.renew()
    if (!spare.fits(text.length)) throw new LedgerFailure('the row is too long')
    this.#waiting.push(spare)
  }

  /** A call that outlives its segment takes its reservation along. False where there is no room for that now. */
  #retire(segment: Segment): boolean {
    for (const [id, held] of this.#open) {
      if (held.segment !== segment) continue
      try {
        this.#append(kinds.reservation, held.text)
      } catch {
        return false
      }
      this.#open.set(id, { segment: this.#current, text: held.text })
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
