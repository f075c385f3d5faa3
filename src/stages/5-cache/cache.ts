// Stage 5, cache: answers from what is stored, and stores what passes. Without a store every request goes upstream, and
// says so in `x-cache-status`.

import type { Exchange, Reply, Tap } from '../../exchange.ts'
import { Idempotency, type IdempotencyParts } from './idempotency.ts'
import type { Store } from './store.ts'

export { Idempotency, type IdempotencyParts }

export interface CacheStage {
  /** Undefined where there is nothing to look in: no promise is made on the hot path. */
  find(x: Exchange): Promise<Reply | null> | undefined
  /** What stores the reply as it passes. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
}

const none: readonly Tap[] = []

export function createCache(store: Store | null, idempotency: Idempotency | null = null): CacheStage {
  return {
    find: (x) => {
      const known = idempotency?.find(x)
      return known === undefined ? store?.find(x) : known.then((reply) => reply ?? store?.find(x) ?? null)
    },
    tap: (x, reply) => {
      const tap = store?.tap(x, reply) ?? null
      const keeps = idempotency?.tap(x, reply) ?? null
      if (keeps === null) return tap === null ? none : [tap]
      return tap === null ? [keeps] : [tap, keeps]
    },
  }
}
