// Stage 5, cache: answers from what is stored, and stores what passes. Without a store every request goes upstream, and
// says so in `x-cache-status`.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import type { Store } from './store.ts'

export interface CacheStage {
  /** Undefined where there is nothing to look in: no promise is made on the hot path. */
  find(x: Exchange): Promise<Reply | null> | undefined
  /** What stores the reply as it passes. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
}

const none: readonly Tap[] = []

export function createCache(store: Store | null): CacheStage {
  return {
    find: (x) => store?.find(x),
    tap: (x, reply) => {
      const tap = store?.tap(x, reply) ?? null
      return tap === null ? none : [tap]
    },
  }
}
