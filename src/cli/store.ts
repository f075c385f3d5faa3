// The store as commands use it: opened where the configuration says, with its keys and its audit log. `serve` keeps it
// open and follows it; `keys` opens it for one change, also while a gateway runs.

import { systemClock } from '../base/clock.ts'
import type { Config } from '../config/schema.ts'
import type { FollowEvents } from '../keys/follow.ts'
import { spentSince, type SpendQuery, type SpendSum } from '../ledger/spend.ts'
import { StoredObjects } from '../objects/stored-objects.ts'
import { matchingPepper, openKeys } from '../keys/open-keys.ts'
import type { Sealer } from '../keys/sealer.ts'
import type { StoredKeys } from '../keys/stored-keys.ts'
import { Answers } from '../storage/answers.ts'
import { audit, readAudit, type AuditEntry, type AuditRecord } from '../storage/audit.ts'
import { openLedger, type OpenLedger } from '../ledger/open-ledger.ts'
import { openStorage, reason, StorageFailure, type Storage } from '../storage/open.ts'

/** What the ledger is told by the configuration, asked for anew each time. */
export type MeterSettings = () => Pick<Config['meter'], 'durability' | 'retention'>
import type { RedisStore } from '../storage/redis.ts'
import type { RedisBreakers } from '../storage/redis-breakers.ts'

/** The open store. */
export interface Store {
  /** For reports, which only read. */
  readonly storage: Storage
  readonly keys: StoredKeys
  /** Null where it was opened for a command, which makes no rows. */
  readonly ledger: OpenLedger | null
  /** Made when first asked for; `keepMs`: how long one is remembered that nobody uses. */
  objects(keepMs: number): StoredObjects
  /** What requests with an Idempotency-Key need. */
  readonly idempotency: {
    readonly answers: Answers
    readonly digest: (text: string) => string
    readonly sealer: Sealer
  }
  readonly audit: {
    add(entry: AuditEntry): Promise<void>
    /** Newest first; `before`: only entries with a smaller number. */
    read(page: { readonly limit: number; readonly before: number | null }): Promise<AuditRecord[]>
  }
  /** Sums of the ledger. */
  readonly spend: (query: SpendQuery) => Promise<SpendSum[]>
  close(): Promise<void>
}

/** Opens the store of a configuration; with its ledger where `meter` is given. @throws StorageFailure with one clear line */
export async function openStore(
  settings: Config['storage'],
  events: FollowEvents,
  meter?: MeterSettings,
): Promise<Store> {
  const { path, postgres = null, pepper = null } = settings
  const storage = await openStorage({ path, postgres }, systemClock)
  try {
    const keys = await openKeys(storage, { path, pepper, clock: systemClock, events })
    const ledger = meter === undefined ? null : await ledgerOf(storage, path, { meter, events })
    let objects: StoredObjects | null = null
    const found = await matchingPepper(storage, { path, pepper })
    const scopes = found.hasher('idempotency-scope')
    return {
      idempotency: {
        answers: new Answers(storage.db),
        digest: (text) => scopes.text(text),
        sealer: found.sealer('idempotency-answer'),
      },
      storage,
      keys,
      ledger,
      objects: (keepMs) => (objects ??= new StoredObjects({ storage, clock: systemClock, keepMs })),
      audit: {
        add: (entry) => audit(storage.db, entry, systemClock.wallMs()),
        read: (page) => readAudit(storage.db, page),
      },
      spend: (query) => spentSince(storage.db, query),
      close: async () => {
        await ledger?.close()
        await keys.close()
        await objects?.close()
        await storage.close()
      },
    }
  } catch (cause) {
    await storage.close().catch(() => {})
    throw cause
  }
}

async function ledgerOf(
  storage: Storage,
  path: string,
  { meter, events }: { readonly meter: MeterSettings; readonly events: FollowEvents },
): Promise<OpenLedger> {
  try {
    return await openLedger(storage, {
      path,
      durability: () => meter().durability,
      retentionMs: () => meter().retention,
      clock: systemClock,
      event: (level, text) => events.event(level, text),
    })
  } catch (cause) {
    throw new StorageFailure(`cannot open the ledger in ${path}: ${reason(cause)}`)
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

/** Breakers that gateways share over it. */
export async function openBreakers(
  { redis = [] }: Config['storage'],
  commands: RedisStore,
): Promise<RedisBreakers> {
  return new (await import('../storage/redis-breakers.ts')).RedisBreakers(redis, commands)
}
