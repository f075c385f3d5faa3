// The contract of stage 5's kinds: places where answers are kept, by the digest of what was asked. A store may forget
// anything at any time and must never give anything but what was put; one that fails is a miss. All of them pass one
// suite of tests.

import type { Entry } from './entry.ts'

/** How much a store holds. */
export interface StoreStats {
  readonly store: 'memory' | 'disk' | 'redis'
  /** Null = it does not say. */
  readonly entries: number | null
  readonly bytes: number | null
  readonly bytesMax: number | null
  readonly trouble: string | null
}

/** What a purge is for; the fields that are set must fit. */
export interface PurgeMark {
  readonly by: 'key' | 'tag' | 'model' | 'team' | 'all'
  readonly value: string
}

/** A place where answers are kept. */
export interface Store {
  /** The entry put last under `key`, at once where nothing has to be waited for. Never throws, never rejects. */
  get(key: string): Entry | null | Promise<Entry | null>
  /** Keeps an entry in place of one before it. Never throws. */
  put(entry: Entry): void
  /** Forgets what fits. Gives how many, where the store can tell. */
  purge(mark: PurgeMark): number | Promise<number>
  stats(): StoreStats
}

/** Whether an entry is what a purge is for. */
export function isMeant({ key, facts }: Entry, { by, value }: PurgeMark): boolean {
  if (by === 'all') return true
  if (by === 'key') return key === value
  if (by === 'model') return facts.model === value || facts.answeredModel === value
  return by === 'team' ? facts.team === value : facts.tags.includes(value)
}
