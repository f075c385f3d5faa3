// Bytes that come again and again, such as heads and bodies of requests, and what was found out about them: whoever reads
// something out of such bytes keeps it with them, and the next request with the same bytes is read by comparing them. A place
// is found by a short hash, and the bytes there are compared one by one, since a short hash can be made to collide.

/** Bytes that came before, in memory of their own. */
export class KnownBytes {
  /** By the number of each `Note`. */
  readonly notes: unknown[] = []
  /** Bytes of what is kept with them, where that is much. */
  heldBytes = 0
  /** The table they are in; null = none, or no more. */
  table: { grew(bytes: number): void } | null = null

  constructor(readonly bytes: Uint8Array) {}

  /** What is kept with them has become so much more, or less. */
  grow(bytes: number): void {
    this.heldBytes += bytes
    this.table?.grew(bytes)
  }
}

let noteCount = 0

/** A place for something about bytes that are known, the same for all of them. For module level: each has a number. */
export class Note<Found> {
  readonly #at = noteCount++

  /** What is kept with these bytes; undefined = nothing. */
  kept(known: KnownBytes): Found | undefined {
    return known.notes[this.#at] as Found | undefined
  }

  keep(known: KnownBytes, found: Found): void {
    const { notes } = known
    // Without holes: reading past the end of a list, or a hole in it, is slow.
    while (notes.length < noteCount) notes.push(undefined)
    notes[this.#at] = found
  }
}

/** Something that can be found out about bytes: that depends on nothing else, or says itself what it holds for. */
export class Finding<About, Found> extends Note<Found> {
  /** `find`: finds it out; what it throws is not kept. */
  constructor(private readonly find: (about: About) => Found) {
    super()
  }

  /** What is known of these bytes, or found out now; `known` null = the bytes are not known. */
  of(known: KnownBytes | null, about: About): Found {
    if (known === null) return this.find(about)
    const kept = this.kept(known)
    if (kept !== undefined) return kept
    const found = this.find(about)
    this.keep(known, found)
    return found
  }
}

/** How much is remembered. */
export interface KnownOptions {
  /** For all of it: bytes, and a guess at what is kept with them. */
  readonly bytesMax: number
  /** Longer ones are never known: keeping them would cost more than reading them. */
  readonly lengthMax: number
  /** Known from their second coming on: most never come again. */
  readonly secondTime: boolean
}

const ways = 4
const doorPlaces = 2048
/** What one costs besides its bytes, about. */
const overheadBytes = 1024

/** Remembers bytes: a table of places, each with the last few that fell on it. Bounded by bytes. */
export class KnownTable<T extends KnownBytes> {
  #places: (T[] | undefined)[] = []
  /** Hashes of what came once. */
  #door: Uint32Array | null = null
  #bytes = 0
  #clearing = 0

  constructor(private readonly options: KnownOptions) {}

  /** Those that came before, or, of what is to be known from now on, what `make` makes of a copy; null = neither. */
  of(bytes: Uint8Array, make: (copy: Uint8Array) => T | null): T | null {
    if (bytes.length > this.options.lengthMax) return null
    if (this.#places.length === 0) this.#begin()
    const hash = Bun.hash.xxHash32(bytes)
    const at = hash & (this.#places.length - 1)
    const place = this.#places[at]
    if (place !== undefined) {
      for (const one of place)
        if (one.bytes.length === bytes.length && Buffer.compare(one.bytes, bytes) === 0) return one
    }
    if (this.#door !== null && !this.#cameBefore(hash)) return null
    // A view of a few bytes would keep the whole read in memory.
    const made = make(new Uint8Array(bytes))
    if (made !== null) this.#add(at, made)
    return made
  }

  #begin(): void {
    const { bytesMax, secondTime } = this.options
    const size = 2 ** Math.round(Math.log2(Math.max(64, bytesMax / (2 * overheadBytes))))
    this.#places = Array.from({ length: size })
    if (secondTime) this.#door = new Uint32Array(doorPlaces)
  }

  #cameBefore(hash: number): boolean {
    const door = this.#door!
    const place = (hash >>> 16) % doorPlaces
    if (door[place] === hash) return true
    door[place] = hash
    return false
  }

  #add(at: number, one: T): void {
    const place = (this.#places[at] ??= [])
    if (place.length >= ways) this.#drop(place.shift()!)
    place.push(one)
    one.table = this
    this.grew(sizeOf(one))
  }

  /** Something in it has become larger, or smaller. */
  grew(bytes: number): void {
    this.#bytes += bytes
    // Gives up places in turn: whoever is asked for again comes back at once.
    for (let left = this.#places.length; left > 0 && this.#bytes > this.options.bytesMax; left--) {
      for (const old of this.#places[this.#clearing] ?? []) this.#drop(old)
      this.#places[this.#clearing] = undefined
      this.#clearing = (this.#clearing + 1) % this.#places.length
    }
  }

  #drop(one: T): void {
    one.table = null
    this.#bytes -= sizeOf(one)
  }
}

function sizeOf({ bytes, heldBytes }: KnownBytes): number {
  return bytes.length + heldBytes + overheadBytes
}
