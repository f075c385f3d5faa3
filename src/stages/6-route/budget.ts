// The retry budget: when everything fails, trying again makes it worse. Each request that succeeds pays a fifth of a
// repeat in, each repeat takes one out; so in the long run repeats are at most a fifth on top. It starts full, so that an
// upstream that dies under many calls at once can be left for another. An attempt that reached nobody is no load, and free.

const share = 0.2
const most = 256

export class RetryBudget {
  #left = most

  /** A request was answered. */
  pay(): void {
    this.#left = Math.min(most, this.#left + share)
  }

  /** Takes one repeat out. False where there is none left. */
  take(): boolean {
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }

  /** Repeats that could be made now. */
  get left(): number {
    return Math.floor(this.#left)
  }
}
