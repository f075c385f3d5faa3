// Tokens that were found good, so that the next request with one costs a hash. The key is the SHA-256 of the whole
// token, issuer included, since the issuer stands in it: a beginning, however long, is shared by tokens of different
// people. Bounded by two generations: what is asked for moves on to the young one, and when that is full the old one is
// forgotten whole. Evicting one by one was refused: it costs on every hit what this costs once in thousands.

import type { Principal } from '../../exchange.ts'
import type { TokenKey } from './jwt-key-set.ts'

const generationMax = 5_000

/** A token found good, and what must still hold for it to be so. */
export interface KnownToken {
  readonly principal: Principal
  /** The key that signed it: a key no longer in its set takes its tokens along. */
  readonly key: TokenKey
  /** Whether the issuer's keys may still be used. */
  readonly usable: () => boolean
}

export class TokenCache {
  #young = new Map<string, KnownToken>()
  #old = new Map<string, KnownToken>()

  /** What a token is kept under; never the token itself. */
  static keyOf(token: string): string {
    return Bun.SHA256.hash(token, 'base64')
  }

  /** A token that still counts at `nowMs` (wall), or null. */
  get(key: string, nowMs: number): Principal | null {
    const known = this.#young.get(key) ?? this.#promote(key)
    if (known === undefined) return null
    if (nowMs < known.principal.expiresAtMs! && known.key.live && known.usable()) return known.principal
    this.#young.delete(key)
    return null
  }

  add(key: string, known: KnownToken): void {
    if (this.#young.size >= generationMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, known)
  }

  /** Tokens held; at most 10,000. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  #promote(key: string): KnownToken | undefined {
    const known = this.#old.get(key)
    if (known === undefined) return undefined
    this.#old.delete(key)
    this.add(key, known)
    return known
  }
}
