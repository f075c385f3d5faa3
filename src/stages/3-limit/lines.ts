// Lines of requests that wait, one for each tenant; lines take turns, and within one who came first goes first.

/** Lines told apart; who comes beyond them waits in the line of those who have none. */
export const linesMax = 1000

/** What waits, and since when. */
export interface Waiting<T> {
  readonly request: T
  /** Monotonic. */
  readonly readAtMs: number
}

interface Line<T> {
  readonly tenant: string
  /** From `first` on. */
  waiting: Waiting<T>[]
  first: number
}

export class Lines<T> {
  /** Those that are not empty, by tenant. */
  readonly #lines = new Map<string, Line<T>>()
  /** The same, whoever is next first. */
  #turns: Line<T>[] = []
  #size = 0

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Since when whoever is next has waited; Infinity = nobody waits. */
  get nextAtMs(): number {
    return this.#turns.length === 0 ? Infinity : headOf(this.#turns[0]!).readAtMs
  }

  /** How many would be served before a new one of a tenant, at most. */
  before(tenant: string): number {
    const line = this.#lineOf(tenant)
    const own = line === undefined ? 0 : line.waiting.length - line.first
    return Math.min(this.#size, (own + 1) * this.#turns.length)
  }

  add(tenant: string, one: Waiting<T>): void {
    let line = this.#lineOf(tenant)
    if (line === undefined) {
      line = { tenant: this.#lines.size < linesMax ? tenant : '', waiting: [], first: 0 }
      this.#lines.set(line.tenant, line)
      this.#turns.push(line)
    }
    line.waiting.push(one)
    this.#size += 1
  }

  /** Takes whoever is next out; null = nobody waits. */
  take(): Waiting<T> | null {
    const line = this.#turns.shift()
    if (line === undefined) return null
    const taken = headOf(line)
    this.#size -= 1
    line.first += 1
    if (line.first === line.waiting.length) this.#lines.delete(line.tenant)
    else {
      this.#turns.push(line)
      if (line.first * 2 > line.waiting.length) {
        line.waiting = line.waiting.slice(line.first)
        line.first = 0
      }
    }
    return taken
  }

  clear(): void {
    this.#lines.clear()
    this.#turns = []
    this.#size = 0
  }

  #lineOf(tenant: string): Line<T> | undefined {
    return this.#lines.get(tenant) ?? (this.#lines.size < linesMax ? undefined : this.#lines.get(''))
  }
}

function headOf<T>({ waiting, first }: Line<T>): Waiting<T> {
  return waiting[first]!
}
