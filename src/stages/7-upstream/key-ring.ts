// The keys of one account, in the order of the configuration: the first that is neither past its date nor refused by
// the upstream is used. A key that got a 401 is set aside for as long as the process runs, reloads included. Where that
// leaves none, the one refused longest ago is tried again: providers have refused good keys for an hour, and a gate that
// believed them for ever would stay dark until somebody restarts it.

import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Secret } from '../../base/secret.ts'

/** One key of an account; `notAfter` in ms since the Unix epoch, null = for ever. */
export interface AccountKey {
  readonly value: Secret
  readonly notAfter: number | null
}

/** Keys set aside, by account and SHA-256 of the key: when, in monotonic ms. Outlives the accounts built at a reload. */
export type RefusedKeys = Map<string, number>

/** How many keys an account has, and what has become of them. */
export interface KeyCounts {
  readonly total: number
  readonly expired: number
  readonly refused: number
}

export interface KeyRingParts {
  readonly account: string
  readonly clock: Clock
  readonly refused: RefusedKeys
}

/** How long an account with refused keys only counts as not ready; then it may show again whether that still holds. */
const doubtMs = 60_000

interface Held extends AccountKey {
  readonly mark: string
}

export class KeyRing {
  readonly #keys: readonly Held[]

  constructor(
    keys: readonly AccountKey[],
    private readonly parts: KeyRingParts,
  ) {
    this.#keys = keys.map((key) => ({ ...key, mark: `${parts.account} ${sha256(key.value.reveal())}` }))
  }

  get empty(): boolean {
    return this.#keys.length === 0
  }

  /** The key for the next request; null where all are past their date, or there are none. */
  current(): AccountKey | null {
    const { refused } = this.parts
    if (refused.size === 0) return this.#valid()
    let best: Held | null = null
    for (const key of this.#keys) {
      if (this.#expired(key)) continue
      const atMs = refused.get(key.mark)
      if (atMs === undefined) return key
      if (best === null || atMs < refused.get(best.mark)!) best = key
    }
    return best
  }

  /** The upstream said 401 to `key`. True where it is news: the key counted until now. */
  refuse(key: AccountKey): boolean {
    const { refused, clock } = this.parts
    const { mark } = key as Held
    const news = !refused.has(mark)
    refused.set(mark, clock.nowMs())
    return news
  }

  /** The upstream took `key`: whatever it said before no longer counts. */
  accept(key: AccountKey): void {
    const { refused } = this.parts
    if (refused.size > 0) refused.delete((key as Held).mark)
  }

  /** Whether a key is left that is neither past its date nor was refused a moment ago, or none is needed. */
  usable(): boolean {
    if (this.#keys.length === 0) return true
    const { refused, clock } = this.parts
    for (const key of this.#keys) {
      if (this.#expired(key)) continue
      if (refused.size === 0) return true
      const atMs = refused.get(key.mark)
      if (atMs === undefined || clock.nowMs() - atMs >= doubtMs) return true
    }
    return false
  }

  counts(): KeyCounts {
    const expired = this.#keys.filter((key) => this.#expired(key)).length
    const refused = this.#keys.filter((key) => !this.#expired(key) && this.parts.refused.has(key.mark)).length
    return { total: this.#keys.length, expired, refused }
  }

  /** Why no key is left, in words; null where one is, or the account needs none. */
  trouble(): string | null {
    const { total, expired, refused } = this.counts()
    if (total === 0 || expired + refused < total) return null
    if (refused === 0) return 'every key has expired'
    const nowMs = this.parts.clock.nowMs()
    const fresh = this.#keys.some((key) => nowMs - (this.parts.refused.get(key.mark) ?? -Infinity) < doubtMs)
    return fresh ? 'every key was refused by the upstream (401) or has expired' : null
  }

  #valid(): Held | null {
    for (const key of this.#keys) if (!this.#expired(key)) return key
    return null
  }

  #expired(key: AccountKey): boolean {
    return key.notAfter !== null && this.parts.clock.wallMs() > key.notAfter
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
