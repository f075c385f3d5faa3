// Keeps the index in step with the store, whoever changed it: this process, the command line, another gateway. Each
// change of a key takes the next number of one counter inside its transaction; the counter's row stays locked until that
// commits, so numbers become visible in their order and none is ever skipped. A follower asks for what is newer than the
// last number it saw. With SQLite it first asks whether the file was written at all, which takes a microsecond.
// While the store is away, what is known stays in force.

import { isWellFormedClientKey } from '../base/client-key.ts'
import { reason, type Storage } from '../storage/open.ts'
import type { OwnerKind } from '../objects/owner.ts'
import { KeyIndex, type IndexedRow } from './key-index.ts'
import { indexColumns } from './key-rows.ts'
import type { KeyVerdict } from './key-service.ts'
import type { KeyedHash } from './pepper.ts'

/** How a follower tells what happens to it. */
export interface FollowEvents {
  /** For the log of events. */
  readonly event: (level: 'info' | 'warn' | 'error', text: string) => void
  /** A key was revoked, here or elsewhere. */
  readonly revoked: (id: string) => void
}

export interface FollowParts {
  readonly storage: Storage
  readonly hash: KeyedHash
  /** What the pepper of the keys in the store must come to. */
  readonly pepperCheck: string
  readonly events: FollowEvents
  /** How often changes of others are looked for. */
  readonly pollMs: number
}

const pageSize = 10_000

export class Follower {
  #index = new KeyIndex()
  #seen = 0
  #stamp: number | null = null
  #lost = false
  #pepperSeen = false
  #closed = false
  #timer: ReturnType<typeof setTimeout> | null = null
  #reading: Promise<void> = Promise.resolve()

  constructor(private readonly parts: FollowParts) {}

  /** Keys known, of any state. */
  get size(): number {
    return this.#index.size
  }

  /** What a credential comes to at a moment of the wall clock; see KeyLookup. */
  lookup(credential: string, nowMs: number): KeyVerdict {
    if (!isWellFormedClientKey(credential)) return null
    return this.#index.find(this.parts.hash.words(credential), nowMs)
  }

  /** The id of the key that a credential belongs to, whatever its state. */
  idOf(credential: string): string | null {
    return isWellFormedClientKey(credential) ? this.#index.idOf(this.parts.hash.words(credential)) : null
  }

  /** Up to two owners of objects; see KeyLookup. */
  nameOf(id: string): string | null {
    return this.#index.nameOf(id)
  }

  someOwners(kind: OwnerKind): ReadonlySet<string> {
    return this.#index.someOwners(kind)
  }

  /** Reads everything, then follows. @throws what the store throws */
  async start(): Promise<void> {
    await this.refresh()
    this.#schedule()
  }

  /** Reads what is new. Calls run one after the other. @throws what the store throws */
  refresh(): Promise<void> {
    const next = this.#reading.then(() => this.#read())
    this.#reading = next.catch(() => {})
    return next
  }

  /** Stops following, once what is being read is read. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#reading
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#poll(), this.parts.pollMs)
    this.#timer.unref()
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    const { events, storage } = this.parts
    try {
      const stamp = storage.stamp()
      if (stamp === null || stamp !== this.#stamp || this.#lost) await this.refresh()
      if (this.#lost) events.event('info', 'the store answers again: keys are up to date')
      this.#lost = false
    } catch (cause) {
      if (!this.#lost && !this.#closed) {
        const text = `the store does not answer (${reason(cause)}): known keys keep working, changes are not seen`
        events.event('warn', text)
      }
      this.#lost = true
    }
    this.#schedule()
  }

  async #read(): Promise<void> {
    const { storage, events } = this.parts
    // Taken first: what is written while this reads is found the next time.
    const stamp = storage.stamp()
    const newest = await this.#counter()
    if (newest < this.#seen) {
      // The store was put back to an older state: what is remembered may never have been.
      events.event('warn', 'the store went back to an older state: all keys are read anew')
      await this.#rebuild(newest)
    } else if (newest > this.#seen) {
      this.#seen = await this.#readInto(this.#index, this.#seen)
      if (!this.#pepperSeen) await this.#comparePepper()
    }
    this.#stamp = stamp
  }

  /** Where this process started before there was any key, another may have made the first one with another pepper. */
  async #comparePepper(): Promise<void> {
    const query = this.parts.storage.db.selectFrom('facts').select('value').where('name', '=', 'pepper_check')
    const kept = (await query.executeTakeFirst())?.value ?? this.parts.pepperCheck
    this.#pepperSeen = true
    if (kept === this.parts.pepperCheck) return
    const text =
      'the keys in the store were made with another pepper: none of them works here until this gateway has it'
    this.parts.events.event('warn', text)
  }

  async #rebuild(newest: number): Promise<void> {
    const fresh = new KeyIndex()
    const before = new Set(this.#index.liveIds())
    this.#seen = Math.max(newest, await this.#readInto(fresh, 0))
    this.#index = fresh
    for (const id of fresh.liveIds()) before.delete(id)
    for (const id of before) this.parts.events.revoked(id)
  }

  async #counter(): Promise<number> {
    const query = this.parts.storage.db.selectFrom('counters').select('value').where('name', '=', 'keys')
    return (await query.executeTakeFirstOrThrow()).value
  }

  /** Reads all that changed after `seen`, and gives the newest number read. */
  async #readInto(index: KeyIndex, seen: number): Promise<number> {
    for (;;) {
      const rows = await this.#page(seen)
      if (rows.length === 0) return seen
      for (const id of index.apply(rows)) this.parts.events.revoked(id)
      seen = rows.at(-1)!.changed_seq
    }
  }

  /** One statement, so that a key and its digests are of the same moment. */
  async #page(seen: number): Promise<IndexedRow[]> {
    return this.parts.storage.db
      .selectFrom((from) =>
        from
          .selectFrom('keys')
          .select(indexColumns)
          .where('changed_seq', '>', seen)
          .orderBy('changed_seq')
          .limit(pageSize)
          .as('k'),
      )
      .leftJoin('key_digests as d', 'd.key_id', 'k.id')
      .selectAll('k')
      .select(['d.digest', 'd.not_after_ms'])
      .orderBy('k.changed_seq')
      .execute()
  }
}
