// Small pieces of flat memory, in a few sizes, out of large blocks: for what there are hundreds of thousands of, where
// objects would cost more in headers, pointers and garbage collection than what they hold. A piece that is given back
// waits in a list of its size for the next who needs one; blocks are never given up, so memory stays at its highest need.

/** Numbers in a block; no piece is larger. */
const blockBits = 15
const blockLength = 1 << blockBits
const none = -1

export class Slab {
  readonly #blocks: Float64Array[] = []
  /** Where the last block is unused from. */
  #next = blockLength
  /** First free piece of each size; a free piece holds the place of the next. */
  readonly #free: number[]

  /** `sizes`: numbers in a piece of each class, rising. */
  constructor(private readonly sizes: readonly number[]) {
    this.#free = sizes.map(() => none)
  }

  /** Numbers that all blocks hold. */
  get length(): number {
    return this.#blocks.length * blockLength
  }

  /** The place of a piece of a class; what is in it is not defined. */
  take(sizeClass: number): number {
    const free = this.#free[sizeClass]!
    if (free !== none) {
      this.#free[sizeClass] = this.block(free)[this.offset(free)]!
      return free
    }
    const size = this.sizes[sizeClass]!
    if (this.#next + size > blockLength) {
      this.#blocks.push(new Float64Array(blockLength))
      this.#next = 0
    }
    const place = (this.#blocks.length - 1) * blockLength + this.#next
    this.#next += size
    return place
  }

  /** Gives a piece back. */
  give(sizeClass: number, place: number): void {
    this.block(place)[this.offset(place)] = this.#free[sizeClass]!
    this.#free[sizeClass] = place
  }

  /** The block a piece lies in. */
  block(place: number): Float64Array {
    return this.#blocks[place >>> blockBits]!
  }

  /** Where in its block a piece begins. */
  offset(place: number): number {
    return place & (blockLength - 1)
  }
}
