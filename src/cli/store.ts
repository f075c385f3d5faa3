// The store as commands use it: opened where the configuration says, with its keys and its audit log. `serve` keeps it
// open and follows it; `keys` opens it for one change, also while a gateway runs.

import { systemClock } from '../base/clock.ts'
import type { Config } from '../config/schema.ts'
import type { FollowEvents } from '../keys/follow.ts'
import { spentSince, type SpendQuery, type SpendSum } from '../ledger/spend.ts'
import { openKeys } from '../keys/open-keys.ts'
import type { StoredKeys } from '../keys/stored-keys.ts'
import { audit, readAudit, type AuditEntry, type AuditRecord } from '../storage/audit.ts'
import { openStorage } from '../storage/open.ts'
import type { RedisStore } from '../storage/redis.ts'

/** The open store. */
export interface Store {
  readonly keys: StoredKeys
  readonly audit: {
    add(entry: AuditEntry): Promise<void>
    /** Newest first; `before`: only entries with a smaller number. */
    read(page: { readonly limit: number; readonly before: number | null }): Promise<AuditRecord[]>
  }
  /** Sums of the ledger. */
  readonly spend: (query: SpendQuery) => Promise<SpendSum[]>
  close(): Promise<void>
}

/** Opens the store of a configuration. @throws StorageFailure with one clear line */
export async function openStore(settings: Config['storage'], events: FollowEvents): Promise<Store> {
  const { path, postgres = null, pepper = null } = settings
  const storage = await openStorage({ path, postgres }, systemClock)
  try {
    const keys = await openKeys(storage, { path, pepper, clock: systemClock, events })
    return {
      keys,
      audit: {
        add: (entry) => audit(storage.db, entry, systemClock.wallMs()),
        read: (page) => readAudit(storage.db, page),
      },
      spend: (query) => spentSince(storage.db, query),
      close: async () => {
        await keys.close()
        await storage.close()
      },
    }
  } catch (cause) {
    await storage.close().catch(() => {})
    throw cause
  }
}

/** How long a start waits for Redis: one that is away is no reason not to serve. */
const redisStartMs = 2000

/** Redis as configured, opened; null where there is none. */
export async function openRedis(
  { redis }: Config['storage'],
  event: (level: 'info' | 'warn', text: string) => void,
): Promise<RedisStore | null> {
  if (redis === undefined) return null
  // Loaded only where it is used.
  const store = new (await import('../storage/redis.ts')).RedisStore({
    urls: redis,
    clock: systemClock,
    event,
  })
  await store.open(redisStartMs)
  return store
}
