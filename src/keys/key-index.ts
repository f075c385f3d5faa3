// Every key in memory, by the digest of its secrets. Filled at the start and kept up with the store's changes, so that a
// request never waits for a query. Rows are kept as they came; a principal is made when its key is first used, which
// keeps a start with 100,000 keys short. Digests are compared as numbers: to make a text of one and hash that again for
// a map of texts costs twice as much as the digest itself.

import type { Principal } from '../exchange.ts'
import { ownerOf, type OwnerKind } from '../objects/owner.ts'
import { principalOf, type IndexRow } from './key-rows.ts'
import type { KeyVerdict } from './key-service.ts'

interface Entry {
  readonly row: IndexRow
  principal: Principal | null
  readonly slots: Slot[]
}

/** A digest: four numbers of 53 bits. The rest of its 256 bits would tell nobody anything more. */
interface Slot {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
  readonly entry: Entry
  /** Wall clock until when it counts: all in one number, so that a look-up touches little memory. */
  readonly untilMs: number
  /** Another digest with the same first number: once in a hundred million stores. */
  next: Slot | null
}

/** A key with one of its digests; a key with several comes as several rows, one after the other. */
export type IndexedRow = IndexRow & { readonly digest: string | null; readonly not_after_ms: number | null }

export class KeyIndex {
  readonly #byDigest = new Map<number, Slot>()
  readonly #byId = new Map<string, Entry>()
  #owners: { readonly kind: OwnerKind; readonly found: ReadonlySet<string> } | null = null

  /** Keys known, of any state. */
  get size(): number {
    return this.#byId.size
  }

  /** What a digest, as eight words, comes to at a moment of the wall clock. */
  find(words: Uint32Array, nowMs: number): KeyVerdict {
    const slot = this.#slot(words)
    if (slot === null) return null
    const { entry } = slot
    if (nowMs < slot.untilMs) return (entry.principal ??= principalOf(entry.row))
    return entry.row.revoked_at_ms === null ? 'expired' : 'revoked'
  }

  /** The id behind a digest, whatever its state; null where there is none. */
  idOf(words: Uint32Array): string | null {
    return this.#slot(words)?.entry.row.id ?? null
  }

  /** The name of a key, whatever its state. */
  nameOf(id: string): string | null {
    return this.#byId.get(id)?.row.name ?? null
  }

  /** Puts rows in force; rows of one key must come together. Gives the ids of keys that are revoked from now on. */
  apply(rows: readonly IndexedRow[]): string[] {
    this.#owners = null
    const revoked: string[] = []
    let entry: Entry | null = null
    for (const row of rows) {
      if (entry === null || entry.row.id !== row.id) {
        const before = this.#byId.get(row.id)
        for (const slot of before?.slots ?? []) this.#remove(slot)
        if (before !== undefined && before.row.revoked_at_ms === null && row.revoked_at_ms !== null)
          revoked.push(row.id)
        entry = { row, principal: null, slots: [] }
        this.#byId.set(row.id, entry)
      }
      if (row.digest !== null) this.#add(entry, row.digest, untilMs(row))
    }
    return revoked
  }

  /** Ids of the keys that count. */
  *liveIds(): Iterable<string> {
    for (const [id, { row }] of this.#byId) if (row.revoked_at_ms === null) yield id
  }

  /** Up to two owners of objects among the keys that count. Kept until a key changes. */
  someOwners(kind: OwnerKind): ReadonlySet<string> {
    if (this.#owners?.kind === kind) return this.#owners.found
    const found = new Set<string>()
    for (const { row } of this.#byId.values()) {
      if (row.revoked_at_ms !== null) continue
      const { id, name, team, app, user_name } = row
      found.add(ownerOf({ kind: 'key', key: name, keyId: id, team, app, user: user_name }, kind))
      if (found.size === 2) break
    }
    this.#owners = { kind, found }
    return found
  }

  #slot(words: Uint32Array): Slot | null {
    let slot = this.#byDigest.get(part(words, 0)) ?? null
    while (slot !== null) {
      if (slot.b === part(words, 2) && slot.c === part(words, 4) && slot.d === part(words, 6)) return slot
      slot = slot.next
    }
    return null
  }

  #add(entry: Entry, digest: string, untilMs: number): void {
    scratch.write(digest, 'base64')
    const a = part(scratchWords, 0)
    const [b, c, d] = [part(scratchWords, 2), part(scratchWords, 4), part(scratchWords, 6)]
    const slot = { a, b, c, d, entry, untilMs, next: this.#byDigest.get(a) ?? null }
    entry.slots.push(slot)
    this.#byDigest.set(a, slot)
  }

  #remove(slot: Slot): void {
    const first = this.#byDigest.get(slot.a)
    if (first === slot && slot.next === null) this.#byDigest.delete(slot.a)
    else if (first === slot) this.#byDigest.set(slot.a, slot.next!)
    for (let each = first ?? null; each !== null; each = each.next)
      if (each.next === slot) each.next = slot.next
  }
}

function untilMs(row: IndexedRow): number {
  if (row.revoked_at_ms !== null) return -Infinity
  return Math.min(row.expires_at_ms ?? Infinity, row.not_after_ms ?? Infinity)
}

const scratch = Buffer.alloc(32)
const scratchWords = new Uint32Array(scratch.buffer, scratch.byteOffset, 8)

/** 53 of the 64 bits in two words. */
function part(words: Uint32Array, at: number): number {
  return words[at]! * 2_097_152 + (words[at + 1]! >>> 11)
}
