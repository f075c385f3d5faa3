// The store as commands use it: opened where the configuration says, with its keys and its audit log. `serve` keeps it
// open and follows it; `keys` opens it for one change, also while a gateway runs.

import { systemClock } from '../base/clock.ts'
import type { Config } from '../config/schema.ts'
import type { FollowEvents } from '../keys/follow.ts'
import { openKeys } from '../keys/open-keys.ts'
import type { StoredKeys } from '../keys/stored-keys.ts'
import { audit, readAudit, type AuditEntry, type AuditRecord } from '../storage/audit.ts'
import { openLedger, type OpenLedger } from '../ledger/open-ledger.ts'
import { openStorage, reason, StorageFailure, type Storage } from '../storage/open.ts'

/** What the ledger is told by the configuration, asked for anew each time. */
export type MeterSettings = () => Pick<Config['meter'], 'durability' | 'retention'>

/** The open store. */
export interface Store {
  readonly keys: StoredKeys
  readonly storage: Storage
  /** Null where it was opened for a command, which makes no rows. */
  readonly ledger: OpenLedger | null
  readonly audit: {
    add(entry: AuditEntry): Promise<void>
    /** Newest first; `before`: only entries with a smaller number. */
    read(page: { readonly limit: number; readonly before: number | null }): Promise<AuditRecord[]>
  }
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
    return {
      keys,
      storage,
      ledger,
      audit: {
        add: (entry) => audit(storage.db, entry, systemClock.wallMs()),
        read: (page) => readAudit(storage.db, page),
      },
      close: async () => {
        await ledger?.close()
        await keys.close()
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
