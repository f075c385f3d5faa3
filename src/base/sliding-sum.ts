// A sum over a sliding window that never counts too little: amounts are kept with the time of the last one that was put
// together with others, and what is younger than the window counts in full. Amounts within a 64th of a window share an
// entry, so that memory is bounded (65 entries at most) and an amount counts for at most a 64th of the window too long;
// amounts that lie farther apart are kept one by one, and exactly. So in no window of this length, wherever it begins,
// can more pass than the limit. Two fixed windows weighed by their share (as many limiters do) were refused: they assume
// that amounts came evenly, and let up to twice the limit through where they did not.

/** An entry's share of the window. */
export const slices = 64

/** Most entries there can be: one that is nearly over, and those of a whole window. */
const entriesMax = slices + 2

/** First time, last time, amount. */
const width = 3

export class SlidingSum {
  /** All that counts; entries that are over leave at the next call of `trim`. */
  total = 0
  /** A ring of entries in one piece of memory: when the first and the last amount came, and what they come to. */
  #ring = new Float64Array(2 * width)
  #capacity = 2
  #head = 0
  #length = 0
  /** Number of the entry at the head; numbers go up for ever. */
  #headNumber = 0

  /** Forgets what is older than the window. */
  trim(nowMs: number, windowMs: number): void {
    while (this.#length > 0 && this.#ring[this.#head * width + 1]! + windowMs <= nowMs) {
      this.total -= this.#ring[this.#head * width + 2]!
      this.#head = (this.#head + 1) % this.#capacity
      this.#headNumber += 1
      this.#length -= 1
    }
    if (this.#length === 0) this.total = 0
  }

  /** Adds an amount now; gives the number of its entry, for `change`. Call `trim` first. */
  add(nowMs: number, windowMs: number, amount: number): number {
    this.total += amount
    if (this.#length > 0) {
      const newest = this.#at(this.#length - 1)
      if (nowMs < this.#ring[newest]! + windowMs / slices) {
        if (nowMs > this.#ring[newest + 1]!) this.#ring[newest + 1] = nowMs
        this.#ring[newest + 2]! += amount
        return this.#headNumber + this.#length - 1
      }
    }
    if (this.#length === this.#capacity) this.#grow()
    const at = this.#at(this.#length)
    this.#ring[at] = nowMs
    this.#ring[at + 1] = nowMs
    this.#ring[at + 2] = amount
    this.#length += 1
    return this.#headNumber + this.#length - 1
  }

  /** Changes an amount added before, where its entry still counts; false where it is over. */
  change(number: number, delta: number): boolean {
    const index = number - this.#headNumber
    if (index < 0 || index >= this.#length) return false
    this.#ring[this.#at(index) + 2]! += delta
    this.total += delta
    return true
  }

  /** How long until no more than `rest` counts, in ms; 0 = now. */
  waitMs(nowMs: number, windowMs: number, rest: number): number {
    let left = this.total
    for (let index = 0; index < this.#length && left > rest; index++) {
      const at = this.#at(index)
      left -= this.#ring[at + 2]!
      if (left <= rest || index === this.#length - 1)
        return Math.max(0, this.#ring[at + 1]! + windowMs - nowMs)
    }
    return 0
  }

  /** When the newest amount stops to count, in ms from now. */
  clearMs(nowMs: number, windowMs: number): number {
    if (this.#length === 0) return 0
    return Math.max(0, this.#ring[this.#at(this.#length - 1) + 1]! + windowMs - nowMs)
  }

  /** Entries kept. */
  get entries(): number {
    return this.#length
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** Where an entry begins in the ring. */
  #at(index: number): number {
    return ((this.#head + index) % this.#capacity) * width
  }

  #grow(): void {
    const capacity = Math.min(this.#capacity * 2, entriesMax)
    const ring = new Float64Array(capacity * width)
    for (let index = 0; index < this.#length; index++) {
      const from = this.#at(index)
      for (let part = 0; part < width; part++) ring[index * width + part] = this.#ring[from + part]!
    }
    this.#ring = ring
    this.#capacity = capacity
    this.#head = 0
  }
}
