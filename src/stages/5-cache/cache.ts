// Stage 5, cache: answers from what is stored, and stores what passes. Without a store every request goes upstream, and
// says so in `x-cache-status`.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import type { Store } from './store.ts'

export interface CacheStage {
  /** Undefined where there is nothing to look in: no promise is made on the hot path. */
  find(x: Exchange): Promise<Reply | null> | undefined
  tap(x: Exchange, reply: Reply): Tap | null
}

export function createCache(store: Store | null): CacheStage {
  return {
    find: (x) => store?.find(x),
    tap: (x, reply) => store?.tap(x, reply) ?? null,
  }
}
