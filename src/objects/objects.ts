// The contract of the table of objects: what an upstream keeps for a caller (a file, a response, a thread), whose it is and
// which upstream has it. Answers at once where they are in memory or in SQLite; a promise where PostgreSQL is asked.

/** What is known of an object. */
export interface ObjectRecord {
  /** As `ownerOf` writes it. */
  readonly owner: string
  /** Name of the upstream that keeps it. */
  readonly account: string
}

/** The table. Every method @throws (or rejects) where the store cannot be reached: that is never "not found". */
export interface Objects {
  /** The record of each id that has one. `owner`: whoever asks; a record of another's is never taken from memory alone. */
  find(
    ids: readonly string[],
    owner: string,
  ): ReadonlyMap<string, ObjectRecord> | Promise<ReadonlyMap<string, ObjectRecord>>
  /** Adds ids; one that has an owner keeps it. Resolves when every gateway on the store can see them. */
  record(ids: readonly string[], record: ObjectRecord): Promise<void>
  forget(id: string): Promise<void>
}

/** Ids of which the record is kept in memory. */
const rememberedMax = 50_000

/** The newest records, in front of a store. */
export class RememberedObjects {
  readonly #records = new Map<string, ObjectRecord>()

  constructor(private readonly max = rememberedMax) {}

  get(id: string): ObjectRecord | null {
    return this.#records.get(id) ?? null
  }

  put(id: string, record: ObjectRecord): void {
    this.#records.delete(id)
    this.#records.set(id, record)
    if (this.#records.size > this.max) this.#records.delete(this.#records.keys().next().value!)
  }

  delete(id: string): void {
    this.#records.delete(id)
  }
}

/** Objects without a store: gone with the process, and the oldest beyond 50,000 before. */
export class MemoryObjects implements Objects {
  readonly #records = new RememberedObjects()

  find(ids: readonly string[], _owner: string): Map<string, ObjectRecord> {
    const found = new Map<string, ObjectRecord>()
    for (const id of ids) {
      const record = this.#records.get(id)
      if (record !== null) found.set(id, record)
    }
    return found
  }

  record(ids: readonly string[], record: ObjectRecord): Promise<void> {
    for (const id of ids) if (this.#records.get(id) === null) this.#records.put(id, record)
    return Promise.resolve()
  }

  forget(id: string): Promise<void> {
    this.#records.delete(id)
    return Promise.resolve()
  }
}
