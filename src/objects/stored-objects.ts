// Objects in the store. Reads come from memory, from SQLite at once, or from PostgreSQL by a query; a record of somebody else's
// is always read from the store, so that "not yours" takes as long as "never heard of", and is not told from an old memory.
// Writes that come together go together: one statement for all that waited while the one before was under way.

import type { Clock } from '../base/clock.ts'
import type { Storage } from '../storage/open.ts'
import { RememberedObjects, type ObjectRecord, type Objects } from './objects.ts'

export interface StoredObjectsOptions {
  readonly storage: Storage
  readonly clock: Clock
  /** How long an object is remembered that nobody uses. */
  readonly keepMs: number
}

interface Waiting {
  readonly ids: readonly string[]
  readonly record: ObjectRecord
  readonly done: () => void
  readonly failed: (cause: unknown) => void
}

/** Both databases have a bound on the values of one statement. */
const idsAtOnce = 1000
const rowsAtOnce = 200
/** Writes that may wait; beyond it the store is not keeping up, and whoever asks is told so. */
const waitingMax = 10_000
const pruneMs = 3_600_000
const prunedAtOnce = 5000

export class StoredObjects implements Objects {
  readonly #remembered = new RememberedObjects()
  #waiting: Waiting[] = []
  #writing: Promise<void> | null = null
  readonly #timer: ReturnType<typeof setInterval>

  constructor(private readonly options: StoredObjectsOptions) {
    this.#timer = setInterval(() => void this.prune().catch(() => {}), pruneMs)
    this.#timer.unref()
  }

  find(
    ids: readonly string[],
    owner: string,
  ): ReadonlyMap<string, ObjectRecord> | Promise<ReadonlyMap<string, ObjectRecord>> {
    const found = new Map<string, ObjectRecord>()
    const unknown: string[] = []
    for (const id of ids) {
      const record = this.#remembered.get(id)
      if (record?.owner === owner) found.set(id, record)
      else unknown.push(id)
    }
    if (unknown.length === 0) return found
    const { objectRow } = this.options.storage
    if (objectRow === null) return this.#query(unknown, found)
    for (const id of unknown) {
      const row = objectRow(id)
      if (row !== null) this.#learn(row, found)
    }
    return found
  }

  async record(ids: readonly string[], record: ObjectRecord): Promise<void> {
    const fresh = ids.filter((id) => this.#remembered.get(id) === null)
    if (fresh.length === 0 || (this.#writing === null && this.#addedAtOnce(fresh, record))) return
    if (this.#waiting.length >= waitingMax) throw new Error('too many objects wait for the store')
    await new Promise<void>((done, failed) => {
      this.#waiting.push({ ids: fresh, record, done, failed })
      this.#writing ??= this.#write()
    })
  }

  async forget(id: string): Promise<void> {
    this.#remembered.delete(id)
    await this.options.storage.db
      .transaction()
      .execute((tx) => tx.deleteFrom('objects').where('id', '=', id).execute())
    this.#remembered.delete(id)
  }

  /** Forgets what nobody has used for long. */
  async prune(): Promise<void> {
    const { storage, clock, keepMs } = this.options
    const old = await storage.db
      .selectFrom('objects')
      .select('id')
      .where('seen_at_ms', '<', clock.wallMs() - keepMs)
      .orderBy('seen_at_ms')
      .limit(prunedAtOnce)
      .execute()
    for (let at = 0; at < old.length; at += idsAtOnce) {
      const ids = old.slice(at, at + idsAtOnce).map(({ id }) => id)
      await storage.db
        .transaction()
        .execute((tx) => tx.deleteFrom('objects').where('id', 'in', ids).execute())
      for (const id of ids) this.#remembered.delete(id)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
  }

  async #query(
    ids: readonly string[],
    found: Map<string, ObjectRecord>,
  ): Promise<ReadonlyMap<string, ObjectRecord>> {
    for (let at = 0; at < ids.length; at += idsAtOnce) {
      const rows = await this.options.storage.db
        .selectFrom('objects')
        .selectAll()
        .where('id', 'in', ids.slice(at, at + idsAtOnce))
        .execute()
      for (const row of rows) this.#learn(row, found)
    }
    return found
  }

  #learn(row: ObjectRecord & { id: string; seen_at_ms: number }, found: Map<string, ObjectRecord>): void {
    const record = { owner: row.owner, account: row.account }
    found.set(row.id, record)
    this.#remembered.put(row.id, record)
    if (row.seen_at_ms < this.options.clock.wallMs() - this.options.keepMs / 2) this.#touch(row.id)
  }

  /** What is used stays. Not waited for, and no harm where it fails: there is half the time left to try again. */
  #touch(id: string): void {
    const { storage, clock } = this.options
    const touched = storage.db
      .transaction()
      .execute((tx) =>
        tx.updateTable('objects').set({ seen_at_ms: clock.wallMs() }).where('id', '=', id).execute(),
      )
    touched.catch(() => {})
  }

  /** False where it has to wait: then it goes with the next statement. @throws what the store throws */
  #addedAtOnce(ids: readonly string[], { owner, account }: ObjectRecord): boolean {
    const { storage, clock } = this.options
    const seen_at_ms = clock.wallMs()
    const added = storage.addObjects(ids.map((id) => ({ id, owner, account, seen_at_ms })))
    if (added === null) return false
    for (const id of added) this.#remembered.put(id, { owner, account })
    return true
  }

  /** Never rejects: whoever waits is told. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting
      this.#waiting = []
      try {
        await this.#insert(taken)
        for (const { done } of taken) done()
      } catch (cause) {
        for (const { failed } of taken) failed(cause)
      }
    }
    this.#writing = null
  }

  async #insert(taken: readonly Waiting[]): Promise<void> {
    const records = new Map<string, ObjectRecord>()
    for (const { ids, record } of taken) for (const id of ids) if (!records.has(id)) records.set(id, record)
    const seen_at_ms = this.options.clock.wallMs()
    const rows = [...records].map(([id, { owner, account }]) => ({ id, owner, account, seen_at_ms }))
    const added: string[] = []
    await this.options.storage.db.transaction().execute(async (tx) => {
      for (let at = 0; at < rows.length; at += rowsAtOnce) {
        const made = await tx
          .insertInto('objects')
          .values(rows.slice(at, at + rowsAtOnce))
          .onConflict((conflict) => conflict.column('id').doNothing())
          .returning('id')
          .execute()
        for (const { id } of made) added.push(id)
      }
    })
    for (const id of added) {
      this.#remembered.put(id, records.get(id)!)
      records.delete(id)
    }
    // What was there already has an owner, whom only the store knows.
    if (records.size > 0) await this.#query([...records.keys()], new Map())
  }
}
