// What tokens need that outlives a configuration. Key sets: a reload while the issuer is away must not lose its last
// good keys, and reloads must not become fetches. The clock: a reload must not make it trust a wall clock that has just
// been set back. Each gateway has one keeper.

import { readFileSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import { TokenClock } from './jwt-clock.ts'
import { fetchKeySet } from './jwt-fetch.ts'
import { RemoteKeys, type Tell } from './jwt-remote-keys.ts'

const fetchTimeoutMs = 5_000

/** Where an issuer's keys are fetched, and how long they count. */
export interface RemoteSource {
  readonly url: string
  readonly caFile: string | null
  /** Ms. */
  readonly refresh: number
  /** Ms. */
  readonly stale: number
}

interface Kept {
  readonly keys: RemoteKeys
  users: number
}

export class JwtKeeper {
  readonly clock: TokenClock
  readonly #kept = new Map<string, Kept>()

  constructor(private readonly parts: { readonly clock: Clock; readonly tell: Tell }) {
    this.clock = new TokenClock(parts.clock)
  }

  /**
   * The keys at an address: the same for all who ask, until the last of them has released them.
   * @throws Error where the file of the CA cannot be read
   */
  use(source: RemoteSource): { readonly keys: RemoteKeys; readonly release: () => void } {
    const caPem = source.caFile === null ? null : readFileSync(source.caFile, 'utf8')
    const { url, refresh, stale } = source
    const name = JSON.stringify([url, caPem])
    const options = { name: withoutQuery(url), refresh, stale }
    let kept = this.#kept.get(name)
    if (kept === undefined) {
      const fetch = () => fetchKeySet({ url, caPem, timeoutMs: fetchTimeoutMs })
      kept = { keys: new RemoteKeys(options, { ...this.parts, fetch }), users: 0 }
      this.#kept.set(name, kept)
      kept.keys.start()
    } else kept.keys.reconfigure(options)
    const mine = kept
    mine.users++
    return { keys: mine.keys, release: once(() => this.#release(name, mine)) }
  }

  #release(name: string, kept: Kept): void {
    if (--kept.users > 0) return
    kept.keys.close()
    this.#kept.delete(name)
  }
}

/** For messages: a query may hold a credential. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/, '')
}

function once(act: () => void): () => void {
  let done = false
  return () => {
    if (!done) act()
    done = true
  }
}
