// The stores one above the other: what is found below is put into memory, where it is worth its place. Purges are
// remembered as marks, each with its moment, and whatever was asked for before that moment is gone, wherever it turns up:
// also an answer that was under way to us, or on its way to a store, while the purge was done.

import type { Entry } from './entry.ts'
import type { PurgeMark, Store, StoreStats } from './store.ts'

/** The store on top, which is asked for every request. */
export interface TopStore extends Store {
  get(key: string): Entry | null
  /** Takes an entry that was found below, where it is worth its place. */
  welcome(entry: Entry): void
  remove(key: string): void
  resized(entry: Entry): void
}

/** A store below it. */
export interface LowerStore {
  readonly store: Store
  /** How far the clocks of those who write to it may be apart. */
  readonly skewMs: number
  /** Tells it that an entry is in use, though from memory. */
  readonly use: ((key: string) => void) | null
}

const marksMax = 4000
const tellUseEveryMs = 60_000

export class Tiers {
  readonly #marks = new Map<string, number>()
  /** All that was asked for before is gone. */
  #allAtMs = 0

  constructor(
    private readonly top: TopStore,
    public lower: readonly LowerStore[],
  ) {}

  /** The entry under a key: from memory at once, else from the first store below that has it. */
  get(key: string): Entry | null | Promise<Entry | null> {
    return this.top.get(key) ?? this.#below(key, 0)
  }

  /** As `get`, from what other gateways write to as well, past anything that is kept nearer. */
  async getShared(key: string): Promise<Entry | null> {
    for (const { store, skewMs } of this.lower) {
      const found = skewMs === 0 ? null : this.#sound(await store.get(key), skewMs)
      if (found !== null) return found
    }
    return null
  }

  /** As `get`, from memory alone. */
  inMemory(key: string): Entry | null {
    return this.top.get(key)
  }

  /** Puts an entry into memory, unless a purge has come in between. */
  put(entry: Entry): void {
    if (!this.#isGone(entry, 0)) this.top.put(entry)
  }

  /** Puts an entry into the stores below. */
  keep(entry: Entry): void {
    if (this.lower.length === 0 || this.#isGone(entry, 0)) return
    for (const { store } of this.lower) store.put(entry)
  }

  /** The entry in memory has changed its size. */
  resized(entry: Entry): void {
    this.top.resized(entry)
  }

  /** An entry was given again. */
  used(entry: Entry, nowMs: number): void {
    if (nowMs - entry.toldAtMs < tellUseEveryMs) return
    entry.toldAtMs = nowMs
    for (const { use } of this.lower) use?.(entry.key)
  }

  /** Forgets what fits, everywhere. Gives how many, as far as the stores can tell. @throws where one cannot be reached */
  async purge(mark: PurgeMark, atMs: number): Promise<number> {
    this.#remember(mark, atMs)
    let count = await this.top.purge(mark)
    const below = await Promise.allSettled(this.lower.map(async ({ store }) => store.purge(mark)))
    for (const one of below) {
      if (one.status === 'rejected') throw one.reason
      count = Math.max(count, one.value)
    }
    return count
  }

  /** Another process has purged. */
  learn(mark: PurgeMark, atMs: number): void {
    this.#remember(mark, atMs)
    void this.top.purge(mark)
  }

  stats(): StoreStats[] {
    return [this.top, ...this.lower.map(({ store }) => store)].map((store) => store.stats())
  }

  #below(key: string, from: number): Entry | null | Promise<Entry | null> {
    for (let at = from; at < this.lower.length; at++) {
      const { store, skewMs } = this.lower[at]!
      const found = store.get(key)
      if (found instanceof Promise)
        return found.then((entry) => this.#sound(entry, skewMs) ?? this.#below(key, at + 1))
      const sound = this.#sound(found, skewMs)
      if (sound !== null) return sound
    }
    return null
  }

  #sound(entry: Entry | null, skewMs: number): Entry | null {
    if (entry === null || this.#isGone(entry, skewMs)) return null
    this.top.welcome(entry)
    return entry
  }

  #isGone({ key, facts }: Entry, skewMs: number): boolean {
    const sinceMs = facts.askedAtMs - skewMs
    if (sinceMs <= this.#allAtMs) return true
    if (this.#marks.size === 0) return false
    const marked = (by: PurgeMark['by'], value: string | null): boolean =>
      value !== null && sinceMs <= (this.#marks.get(`${by}:${value}`) ?? -1)
    if (marked('key', key) || marked('model', facts.model) || marked('model', facts.answeredModel))
      return true
    return marked('team', facts.team) || facts.tags.some((tag) => marked('tag', tag))
  }

  #remember(mark: PurgeMark, atMs: number): void {
    if (mark.by === 'all' || this.#marks.size >= marksMax) {
      this.#allAtMs = Math.max(this.#allAtMs, atMs)
      this.#marks.clear()
    } else {
      const name = `${mark.by}:${mark.value}`
      this.#marks.set(name, Math.max(this.#marks.get(name) ?? 0, atMs))
    }
  }
}
