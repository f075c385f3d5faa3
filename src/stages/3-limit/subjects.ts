// Who is counted, and what each has used. All limits that count the same requests by the same subjects (`per` and `match`
// alike) share one table: a request looks its subject up once, and finds what all of them remember side by side in one
// record of plain numbers. Records lie in large blocks and are found by number, so a hundred thousand subjects are a map
// and some blocks, and not a million objects.
// Bounded: at most 200,000 subjects, of which those are forgotten whom nobody could tell from one never seen; a few are
// looked at with each new one, so that no timer is needed and no request pays for all. Where all are in use, further ones
// share one record: the limits then hold for them together, and nobody gets a fresh window by pushing others out.
// A record that was forgotten is somebody else's afterwards: it bears a number of its life, which who waits has to compare.

import type { Slab } from '../../base/slab.ts'
import { PeriodLimiter } from './period.ts'
import { RateLimiter } from './rate.ts'
import type { Moment, Rule } from './rule.ts'
import { SlidingLimiter } from './sliding.ts'
import { SlotLimiter } from './slots.ts'

/** Most subjects one table tells apart. */
export const subjectsMax = 200_000
const sweptAtOnce = 4
/** A block has so many records; the first one grows up to that. */
const blockBits = 10
const blockRecords = 1 << blockBits
const firstRecords = 4

/** A limiter of any kind; their contract is `Limiter`. */
export type AnyLimiter = SlidingLimiter | RateLimiter | PeriodLimiter | SlotLimiter

function limiterOf(rule: Rule, slab: Slab): AnyLimiter {
  const { kind } = rule.span
  if (kind === 'sliding') return new SlidingLimiter(rule, slab)
  if (kind === 'rate') return new RateLimiter(rule)
  return kind === 'slots' ? new SlotLimiter(rule) : new PeriodLimiter(rule)
}

/** What all gateways together had used, as the shared store said last, and when it said so. */
export interface SharedUse {
  readonly used: number
  readonly atMs: number
  /** What of it is not this gateway's, where that is asked for. */
  readonly others: number
}

/** One limit's part of each record of a table. */
export class Column {
  /** Where it begins in a record; -1 = the limit was dropped, and this is no part of any record. */
  offset = -1
  /** Configuration that had it last. */
  seen = 0
  /** How many of the rule's `warnAt` were said, by record; see warnings.ts. */
  readonly warned = new Map<number, number>()
  readonly shared = new Map<number, SharedUse>()
  /** What is looked at where there is no record any more. */
  readonly nowhere: Float64Array

  /** A view of its own, for what the table itself does. */
  readonly limiter: AnyLimiter

  constructor(
    readonly definition: string,
    rule: Rule,
    private readonly slab: Slab,
  ) {
    this.limiter = limiterOf(rule, slab)
    this.nowhere = new Float64Array(this.limiter.width)
  }

  /** A further view, for a rule of the same definition. */
  another(rule: Rule): AnyLimiter {
    return limiterOf(rule, this.slab)
  }
}

export class Subjects {
  readonly columns: Column[] = []
  readonly #records = new Map<string, number>()
  readonly #owners: (string | null)[] = []
  readonly #free: number[] = []
  #blocks: Float64Array[] = []
  /** Numbers in a record: its life, then the columns. */
  #width = 1
  #swept = 0
  /** The record that those share for whom there is no room; -1 = there is none yet. */
  shared = -1

  constructor(private readonly most = subjectsMax) {}

  get size(): number {
    return this.#records.size
  }

  /** Numbers held in memory. */
  get length(): number {
    return this.#blocks.reduce((sum, block) => sum + block.length, 0)
  }

  /** The record of a subject, made where there is none. */
  of(owner: string, at: Moment): number {
    const known = this.#records.get(owner)
    return known === undefined ? this.#make(owner, at) : known
  }

  /** The record of a subject; -1 = it has none. */
  find(owner: string): number {
    return this.#records.get(owner) ?? -1
  }

  /** Whose a record is; null = nobody's now. */
  ownerOf(record: number): string | null {
    return this.#owners[record] ?? null
  }

  /** Number of a record's life: another one = it is somebody else's. */
  lifeOf(record: number): number {
    return this.#blockOf(record)[(record & (blockRecords - 1)) * this.#width]! | 0
  }

  /** Moves a column's limiter, or another of its kind, to a record. */
  look(limiter: AnyLimiter, column: Column, record: number): void {
    if (column.offset >= 0)
      limiter.look(this.#blockOf(record), (record & (blockRecords - 1)) * this.#width + column.offset)
    else {
      limiter.look(column.nowhere, 0)
      limiter.begin()
    }
  }

  /** All records that are somebody's; new ones may be among them. */
  *records(): Generator<number> {
    for (let record = 0; record < this.#owners.length; record++)
      if (this.#owners[record] !== null) yield record
  }

  /** Gives every record a further part. */
  add(column: Column): void {
    const from = this.#width
    this.columns.push(column)
    this.#widen(from + column.limiter.width)
    column.offset = from
    for (let record = 0; record < this.#owners.length; record++) {
      this.look(column.limiter, column, record)
      column.limiter.begin()
    }
  }

  /** Takes columns out of every record. */
  drop(dropped: readonly Column[]): void {
    for (const column of dropped) {
      for (const record of this.records()) {
        this.look(column.limiter, column, record)
        column.limiter.release()
      }
    }
    const kept = this.columns.filter((column) => !dropped.includes(column))
    const old = { width: this.#width, blocks: this.#blocks, offsets: kept.map(({ offset }) => offset) }
    for (const column of dropped) column.offset = -1
    let width = 1
    for (const column of kept) {
      column.offset = width
      width += column.limiter.width
    }
    this.columns.splice(0, this.columns.length, ...kept)
    this.#width = width
    this.#blocks = old.blocks.map((block) => {
      const records = block.length / old.width
      const fresh = new Float64Array(records * width)
      for (let record = 0; record < records; record++) {
        fresh[record * width] = block[record * old.width]!
        for (const [index, { offset, limiter }] of kept.entries()) {
          const from = record * old.width + old.offsets[index]!
          fresh.set(block.subarray(from, from + limiter.width), record * width + offset)
        }
      }
      return fresh
    })
  }

  #blockOf(record: number): Float64Array {
    return this.#blocks[record >>> blockBits]!
  }

  #widen(width: number): void {
    const from = this.#width
    this.#width = width
    this.#blocks = this.#blocks.map((block) => {
      const records = block.length / from
      const fresh = new Float64Array(records * width)
      for (let record = 0; record < records; record++)
        fresh.set(block.subarray(record * from, (record + 1) * from), record * width)
      return fresh
    })
  }

  #make(owner: string, at: Moment): number {
    for (let looked = 0; looked < sweptAtOnce && this.#owners.length > 0; looked++) this.#sweepOne(at)
    if (this.#records.size < this.most) {
      const record = this.#takeRecord(owner)
      this.#records.set(owner, record)
      return record
    }
    if (this.shared < 0) this.shared = this.#takeRecord('*')
    return this.shared
  }

  #takeRecord(owner: string): number {
    const record = this.#free.pop() ?? this.#owners.length
    this.#owners[record] = owner
    this.#reach(record)
    for (const column of this.columns) {
      this.look(column.limiter, column, record)
      column.limiter.begin()
    }
    return record
  }

  /** Sees to it that there is memory for a record. */
  #reach(record: number): void {
    const index = record >>> blockBits
    const block = this.#blocks[index]
    if (block === undefined)
      this.#blocks.push(new Float64Array((index === 0 ? firstRecords : blockRecords) * this.#width))
    else if ((record & (blockRecords - 1)) * this.#width >= block.length) {
      const larger = new Float64Array(block.length * 4)
      larger.set(block)
      this.#blocks[index] = larger
    }
  }

  /** Looks at one record, and forgets whose it is where nothing in it counts. */
  #sweepOne(at: Moment): void {
    const record = this.#swept
    this.#swept = record + 1 < this.#owners.length ? record + 1 : 0
    const owner = this.#owners[record]!
    if (owner === null || record === this.shared) return
    for (const column of this.columns) {
      this.look(column.limiter, column, record)
      if (!column.limiter.isFresh(at)) return
    }
    for (const column of this.columns) {
      this.look(column.limiter, column, record)
      column.limiter.release()
      column.warned.delete(record)
      column.shared.delete(record)
    }
    this.#records.delete(owner)
    this.#owners[record] = null
    this.#free.push(record)
    this.#blockOf(record)[(record & (blockRecords - 1)) * this.#width]! += 1
  }
}
