// A sum over a sliding window that never counts too little: amounts are kept with the time of the last one that was put
// together with others, and what is younger than the window counts in full. Amounts within a 64th of a window share an
// entry, so that memory is bounded (65 entries at most) and an amount counts for at most a 64th of the window too long;
// amounts that lie farther apart are kept one by one, and exactly. So in no window of this length, wherever it begins,
// can more pass than the limit. Two fixed windows weighed by their share (as many limiters do) were refused: they assume
// that amounts came evenly, and let up to twice the limit through where they did not.
// There are very many of them, so a sum is eight numbers in memory of its owner's, one line of a processor's cache; only
// entries before the newest lie elsewhere. An object of this class is a view that is moved over such sums.

import { Slab } from './slab.ts'

/** An entry's share of the window. */
export const slices = 64

/** Numbers that one sum takes. */
export const sumWidth = 8
const total = 0
/** The newest entry: when its first and its last amount came, and what they come to; `last` is -Infinity where there is none. */
const first = 1
const last = 2
const amount = 3
/** The newest entry's number; they go up for ever. */
const number = 4
/** Entries before the newest, and where they are: a place and its size, as one number. */
const olderCount = 5
const olderPlace = 6
/** When the last amount of the oldest entry came. */
const oldestLast = 7

/** Last time and amount of each older entry. */
const entryWidth = 2
const capacities = [2, 4, 8, 16, 32, slices + 2]

/** Where sums keep what is older than their newest entry. */
export function slabOfSums(): Slab {
  return new Slab(capacities.map((entries) => entries * entryWidth))
}

export class SlidingSum {
  private cells: Float64Array = new Float64Array(sumWidth)
  private offset = 0

  constructor(private readonly slab: Slab) {}

  /** Moves to another sum: `sumWidth` cells from there. */
  look(cells: Float64Array, offset: number): void {
    this.cells = cells
    this.offset = offset
  }

  /** Makes cells a sum of nothing. */
  begin(): void {
    this.cells.fill(0, this.offset, this.offset + sumWidth)
    this.#empty()
  }

  /** All that counts; what is over leaves with `trim`. */
  get total(): number {
    return this.cells[this.offset + total]!
  }

  /** Entries kept. */
  get entries(): number {
    return this.isEmpty ? 0 : this.cells[this.offset + olderCount]! + 1
  }

  get isEmpty(): boolean {
    return this.cells[this.offset + last] === -Infinity
  }

  /** Forgets what is older than the window. */
  trim(nowMs: number, windowMs: number): void {
    const { cells, offset } = this
    if (cells[offset + oldestLast]! + windowMs > nowMs || cells[offset + last] === -Infinity) return
    if (cells[offset + last]! + windowMs <= nowMs) this.clear()
    else this.#dropOlder(nowMs, windowMs)
  }

  /** Forgets all, and gives its memory back. */
  clear(): void {
    this.#releaseOlder()
    this.#empty()
  }

  /** Adds an amount now; gives the number of its entry, for `change`. Call `trim` first. */
  add(nowMs: number, windowMs: number, added: number): number {
    const { cells, offset } = this
    cells[offset + total]! += added
    const newestMs = cells[offset + last]!
    if (newestMs !== -Infinity && nowMs < cells[offset + first]! + windowMs / slices) {
      if (nowMs > newestMs) {
        cells[offset + last] = nowMs
        if (cells[offset + olderCount] === 0) cells[offset + oldestLast] = nowMs
      }
      cells[offset + amount]! += added
      return cells[offset + number]!
    }
    if (newestMs !== -Infinity) this.#push(newestMs, cells[offset + amount]!)
    else cells[offset + oldestLast] = nowMs
    cells[offset + first] = nowMs
    cells[offset + last] = nowMs
    cells[offset + amount] = added
    return (cells[offset + number]! += 1)
  }

  /** Changes an amount added before, where its entry still counts; false where it is over. */
  change(entry: number, delta: number): boolean {
    const { cells, offset } = this
    const back = cells[offset + number]! - entry
    const index = cells[offset + olderCount]! - back
    if (this.isEmpty || back < 0 || index < 0) return false
    if (back === 0) cells[offset + amount]! += delta
    else {
      const place = this.#place()
      this.slab.block(place)[this.slab.offset(place) + index * entryWidth + 1]! += delta
    }
    cells[offset + total]! += delta
    return true
  }

  /** How long until no more than `rest` counts, in ms; 0 = now. */
  waitMs(nowMs: number, windowMs: number, rest: number): number {
    const { cells, offset } = this
    let left = cells[offset + total]!
    if (left <= rest || this.isEmpty) return 0
    const count = cells[offset + olderCount]!
    const place = count === 0 ? 0 : this.#place()
    for (let index = 0; index < count; index++) {
      const at = this.slab.offset(place) + index * entryWidth
      left -= this.slab.block(place)[at + 1]!
      if (left <= rest) return Math.max(0, this.slab.block(place)[at]! + windowMs - nowMs)
    }
    return this.clearMs(nowMs, windowMs)
  }

  /** When the newest amount stops to count, in ms from now. */
  clearMs(nowMs: number, windowMs: number): number {
    return Math.max(0, this.cells[this.offset + last]! + windowMs - nowMs)
  }

  #empty(): void {
    const { cells, offset } = this
    cells[offset + total] = 0
    cells[offset + olderCount] = 0
    cells[offset + last] = -Infinity
    cells[offset + oldestLast] = -Infinity
  }

  #place(): number {
    return Math.floor(this.cells[this.offset + olderPlace]! / capacities.length)
  }

  #sizeClass(): number {
    return this.cells[this.offset + olderPlace]! % capacities.length
  }

  #keep(place: number, sizeClass: number): void {
    this.cells[this.offset + olderPlace] = place * capacities.length + sizeClass
  }

  #releaseOlder(): void {
    if (this.cells[this.offset + olderCount]! > 0) this.slab.give(this.#sizeClass(), this.#place())
  }

  /** Takes an entry to the older ones. */
  #push(lastMs: number, sum: number): void {
    const { cells, offset } = this
    const count = cells[offset + olderCount]!
    if (count === 0) this.#keep(this.slab.take(0), 0)
    else if (count === capacities[this.#sizeClass()]) this.#grow(count)
    const place = this.#place()
    const block = this.slab.block(place)
    const at = this.slab.offset(place) + count * entryWidth
    block[at] = lastMs
    block[at + 1] = sum
    cells[offset + olderCount] = count + 1
  }

  #grow(count: number): void {
    const sizeClass = this.#sizeClass()
    const from = this.#place()
    const to = this.slab.take(sizeClass + 1)
    const start = this.slab.offset(from)
    const entries = this.slab.block(from).subarray(start, start + count * entryWidth)
    this.slab.block(to).set(entries, this.slab.offset(to))
    this.slab.give(sizeClass, from)
    this.#keep(to, sizeClass + 1)
  }

  #dropOlder(nowMs: number, windowMs: number): void {
    const { cells, offset } = this
    const count = cells[offset + olderCount]!
    const place = this.#place()
    const block = this.slab.block(place)
    const start = this.slab.offset(place)
    let gone = 0
    while (gone < count && block[start + gone * entryWidth]! + windowMs <= nowMs)
      cells[offset + total]! -= block[start + gone++ * entryWidth + 1]!
    if (gone === count) this.#releaseOlder()
    else block.copyWithin(start, start + gone * entryWidth, start + count * entryWidth)
    cells[offset + olderCount] = count - gone
    cells[offset + oldestLast] = gone === count ? cells[offset + last]! : block[start]!
  }
}
