// Stage 5, cache: gives again what was asked before, and keeps what passes. Off, every request goes upstream, and says so in
// `x-cache-status`. Kinds of stores: memory, disk, Redis, one above the other (tiers.ts).

import type { Clock } from '../../base/clock.ts'
import type { CacheStatus, Exchange, Reply, Tap } from '../../exchange.ts'
import { booksClosed } from '../../ledger/ledger.ts'
import { variantKey } from './asked.ts'
import { ExactCache } from './exact.ts'
import { explainPair } from './explain.ts'
import { CacheKeeper, keptWhere, type KeeperSettings } from './keeper.ts'
import { Idempotency, type IdempotencyParts } from './idempotency.ts'
import type { CacheOptions } from './options.ts'
import type { PurgeMark, StoreStats } from './store.ts'

export { CacheKeeper, explainPair, Idempotency, type IdempotencyParts }

/** What operators see of the cache. */
export interface CacheView {
  readonly mode: 'off' | 'exact'
  readonly stores: readonly StoreStats[]
  /** Requests of this process by the value of `x-cache-status`. */
  readonly requests: Readonly<Partial<Record<CacheStatus, number>>>
  /** What stored answers did not cost, as far as it is known. */
  readonly savedNanoUsd: number
  readonly savedTokens: number
  /** Answers under way that others may wait for. */
  readonly flights: number
}

export interface CacheStage {
  /**
   * The stored answer: at once where it is in memory, later where it has to be waited for, null where the upstream is to be
   * asked. @throws Failure
   */
  find(x: Exchange): Reply | null | Promise<Reply | null>
  /** What the upstream answers, shared and kept on its way; or what stands in for it where it fails. @throws Failure */
  fetched(x: Exchange, replying: Promise<Reply>): Promise<Reply>
  /** What puts an answer of several parts together. */
  tap(x: Exchange, reply: Reply): readonly Tap[]
  /** What keeps the answer as the client gets it. */
  lastTap(x: Exchange, reply: Reply): readonly Tap[]
  /** An exchange that fetches anew what `x` was given past its time; null where that is under way already. */
  renewal(x: Exchange): Exchange | null
  settle(x: Exchange): void
  view(): CacheView
  /** Forgets what fits, in all stores. Gives how many, as far as they can tell. @throws Error where one cannot be reached */
  purge(mark: PurgeMark): Promise<number>
}

/** What the stage works with. */
export interface CacheParts {
  readonly clock: Clock
  readonly keeper: CacheKeeper
  /** Digest of all settings that change answers. */
  readonly policy: string
  readonly place: Pick<KeeperSettings, 'folder' | 'key' | 'redis'>
  /** Why the ledger takes no work; null = it does. An answer that needs no call has a row all the same. */
  readonly trouble: () => string | null
  /** Null = no keys are taken. */
  readonly idempotency: Idempotency | null
}

const none: readonly Tap[] = []
const wishes = ['json', 'events', 'events with usage', 'as it is'] as const

export function createCache(options: CacheOptions, parts: CacheParts): CacheStage {
  const { clock, keeper, place, idempotency } = parts
  const on = options.mode === 'exact'
  const counts: Partial<Record<CacheStatus, number>> = {}
  let savedNanoUsd = 0
  let savedTokens = 0
  const exact = on || options.record ? new ExactCache(options, { clock, keeper, policy: parts.policy }) : null
  keeper.configure(exact === null ? null : keptWhere(options, place))
  const seen = (x: Exchange): void => {
    if (x.cacheKey === '') return
    counts[x.cacheStatus] = (counts[x.cacheStatus] ?? 0) + 1
    const saved = x.cached ?? x.knownPart
    savedNanoUsd += saved?.costNanoUsd ?? 0
    savedTokens += saved?.usage?.total ?? 0
    if (x.status === 200 && keeper.watches(x.cacheKey) && !keeper.seesAgain(x.cacheKey, x.cacheStatus))
      keeper.see(x.cacheKey, seenOf(x))
  }
  const stored = (x: Exchange): Reply | null | Promise<Reply | null> => {
    if (on) return exact!.find(x)
    if (exact !== null) x.cacheKey = exact.keyOf(x)
    return null
  }
  return {
    find(x) {
      const trouble = x.endpoint?.metered === 'free' ? null : parts.trouble()
      if (trouble !== null) throw booksClosed(trouble)
      const known = idempotency?.find(x)
      return known === undefined ? stored(x) : known.then((reply) => reply ?? stored(x))
    },
    fetched: (x, replying) => (x.sharing === null ? replying : exact!.fetched(x, replying)),
    tap(x) {
      const tap = x.sharing === null ? null : exact!.tap(x)
      return tap === null ? none : [tap]
    },
    lastTap(x, reply) {
      const tap = idempotency?.tap(x, reply) ?? null
      return tap === null ? none : [tap]
    },
    renewal: (x) => exact?.renewal(x) ?? null,
    settle(x) {
      if (x.sharing !== null) exact!.settle(x)
      seen(x)
    },
    view: () => ({
      mode: options.mode,
      stores: exact === null ? [] : keeper.tiers.stats(),
      requests: counts,
      savedNanoUsd,
      savedTokens,
      flights: exact?.flights ?? 0,
    }),
    async purge(mark) {
      const atMs = clock.wallMs()
      const count = await keeper.tiers.purge(mark, atMs)
      if (mark.by !== 'key') return count
      for (const wish of wishes)
        await keeper.tiers.purge({ by: 'key', value: variantKey(mark.value, wish) }, atMs)
      return count
    },
  }
}

function seenOf(x: Exchange) {
  const { usage = null, costNanoUsd = null } = x.cached ?? x.tried.at(-1) ?? {}
  return {
    atMs: x.startedWallMs,
    key: x.cacheKey.slice(0, 32),
    status: x.cacheStatus,
    endpoint: x.endpoint?.operation ?? '',
    model: x.model ?? '',
    bytes: x.bytesOut,
    tokens: (usage ?? x.usage)?.total ?? 0,
    costNanoUsd,
  }
}
