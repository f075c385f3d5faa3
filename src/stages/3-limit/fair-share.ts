// Who is turned away where not all can be served: max-min fairness among tenants. Each gets what it asks for up to one
// level, and that level is as high as capacity allows, so whoever asks for less than its share is never turned away, and
// one tenant cannot starve the others. Counted over one interval and applied in the next. After core-stateless fair
// queueing (Stoica, Shenker, Zhang 1998): a share of a tenant's requests is dropped, and no queue is kept for it.

/** Tenants told apart in one interval; what comes beyond them shares one place. */
export const tenantsMax = 1000

export class FairShare {
  #asked = new Map<string, number>()
  #admitted = new Map<string, number>()
  /** Requests a tenant may have in this interval; Infinity = all. */
  #level = Infinity

  /** Counts a request of a tenant, and says whether it fits into the tenant's share. */
  admits(tenant: string): boolean {
    const name = this.#asked.has(tenant) || this.#asked.size < tenantsMax ? tenant : ''
    this.#asked.set(name, (this.#asked.get(name) ?? 0) + 1)
    if (this.#level === Infinity) return true
    const admitted = this.#admitted.get(name) ?? 0
    if (admitted >= this.#level) return false
    this.#admitted.set(name, admitted + 1)
    return true
  }

  /** Begins an interval in which `capacity` requests can be served; Infinity = all. */
  next(capacity: number): void {
    this.#level = capacity === Infinity ? Infinity : levelFor([...this.#asked.values()], capacity)
    this.#asked = new Map()
    this.#admitted = new Map()
  }
}

/** The level at which the parts of `asked` below it, and the level for each above it, come to `capacity`. */
export function levelFor(asked: readonly number[], capacity: number): number {
  const rising = asked.toSorted((a, b) => a - b)
  let left = capacity
  for (const [index, each] of rising.entries()) {
    const level = left / (rising.length - index)
    if (each > level) return level
    left -= each
  }
  return Infinity
}
