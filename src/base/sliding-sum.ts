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

export class SlidingSum {
  /** All that counts; entries that are over leave at the next call of `trim`. */
  total = 0
  // A ring: when the first and last amount of an entry came, and what they come to.
  #first = new Float64Array(2)
  #last = new Float64Array(2)
  #amounts = new Float64Array(2)
  #head = 0
  #length = 0
  /** Number of the entry at the head; numbers go up for ever. */
  #headNumber = 0

  /** Forgets what is older than the window. */
  trim(nowMs: number, windowMs: number): void {
    while (this.#length > 0 && this.#last[this.#head]! + windowMs <= nowMs) {
      this.total -= this.#amounts[this.#head]!
      this.#head = (this.#head + 1) % this.#first.length
      this.#headNumber += 1
      this.#length -= 1
    }
    if (this.#length === 0) this.total = 0
  }

  /** Adds an amount now; gives the number of its entry, for `change`. Call `trim` first. */
  add(nowMs: number, windowMs: number, amount: number): number {
    if (this.#length > 0) {
      const newest = (this.#head + this.#length - 1) % this.#first.length
      if (nowMs < this.#first[newest]! + windowMs / slices) {
        if (nowMs > this.#last[newest]!) this.#last[newest] = nowMs
        this.#amounts[newest]! += amount
        this.total += amount
        return this.#headNumber + this.#length - 1
      }
    }
    if (this.#length === this.#first.length) this.#grow()
    const at = (this.#head + this.#length) % this.#first.length
    this.#first[at] = nowMs
    this.#last[at] = nowMs
    this.#amounts[at] = amount
    this.#length += 1
    this.total += amount
    return this.#headNumber + this.#length - 1
  }

  /** Changes an amount added before, where its entry still counts; false where it is over. */
  change(number: number, delta: number): boolean {
    const index = number - this.#headNumber
    if (index < 0 || index >= this.#length) return false
    this.#amounts[(this.#head + index) % this.#first.length]! += delta
    this.total += delta
    return true
  }

  /** How long until no more than `rest` counts, in ms; 0 = now. */
  waitMs(nowMs: number, windowMs: number, rest: number): number {
    let left = this.total
    for (let index = 0; index < this.#length && left > rest; index++) {
      const at = (this.#head + index) % this.#first.length
      left -= this.#amounts[at]!
      if (left <= rest || index === this.#length - 1) return Math.max(0, this.#last[at]! + windowMs - nowMs)
    }
    return 0
  }

  /** When the newest amount stops to count, in ms from now. */
  clearMs(nowMs: number, windowMs: number): number {
    if (this.#length === 0) return 0
    const newest = (this.#head + this.#length - 1) % this.#first.length
    return Math.max(0, this.#last[newest]! + windowMs - nowMs)
  }

  /** Entries kept. */
  get entries(): number {
    return this.#length
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  #grow(): void {
    const size = Math.min(this.#first.length * 2, entriesMax)
    const move = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(size)
      for (let index = 0; index < this.#length; index++) to[index] = from[(this.#head + index) % from.length]!
      return to
    }
    const [first, last, amounts] = [move(this.#first), move(this.#last), move(this.#amounts)]
    this.#first = first
    this.#last = last
    this.#amounts = amounts
    this.#head = 0
  }
}
