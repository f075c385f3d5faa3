// The store as commands use it: opened where the configuration says, with its keys and its audit log. `serve` keeps it
// open and follows it; `keys` opens it for one change, also while a gateway runs.

import { systemClock } from '../base/clock.ts'
import type { Config } from '../config/schema.ts'
import type { FollowEvents } from '../keys/follow.ts'
import { openKeys } from '../keys/open-keys.ts'
import type { StoredKeys } from '../keys/stored-keys.ts'
import { StoredObjects } from '../objects/stored-objects.ts'
import { audit, readAudit, type AuditEntry, type AuditRecord } from '../storage/audit.ts'
import { openStorage } from '../storage/open.ts'

/** The open store. */
export interface Store {
  readonly keys: StoredKeys
  /** Made when first asked for; `keepMs`: how long one is remembered that nobody uses. */
  objects(keepMs: number): StoredObjects
  readonly audit: {
    add(entry: AuditEntry): Promise<void>
    /** Newest first; `before`: only entries with a smaller number. */
    read(page: { readonly limit: number; readonly before: number | null }): Promise<AuditRecord[]>
  }
  close(): Promise<void>
}

/** Opens the store of a configuration. @throws StorageFailure with one clear line */
export async function openStore(settings: Config['storage'], events: FollowEvents): Promise<Store> {
  const { path, postgres = null, pepper = null } = settings
  const storage = await openStorage({ path, postgres }, systemClock)
  try {
    const keys = await openKeys(storage, { path, pepper, clock: systemClock, events })
    let objects: StoredObjects | null = null
    return {
      keys,
      objects: (keepMs) => (objects ??= new StoredObjects({ storage, clock: systemClock, keepMs })),
      audit: {
        add: (entry) => audit(storage.db, entry, systemClock.wallMs()),
        read: (page) => readAudit(storage.db, page),
      },
      close: async () => {
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
