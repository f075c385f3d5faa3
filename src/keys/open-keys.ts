// From an open store to working keys: finds the pepper or makes the first one, makes sure that it is the one the keys in
// the store were made with, and reads them all.

import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import { reason, StorageFailure, type Storage } from '../storage/open.ts'
import { Follower, type FollowEvents } from './follow.ts'
import { configuredPepper, createPepper, PepperFailure, readPepper, type Pepper } from './pepper.ts'
import { StoredKeys } from './stored-keys.ts'

export interface OpenKeysOptions {
  /** Data directory, where the pepper is. */
  readonly path: string
  /** The pepper itself, where the configuration gives it. */
  readonly pepper: Secret | null
  readonly clock: Clock
  readonly events: FollowEvents
  /** How often changes of others are looked for; absent = what fits the store. */
  readonly pollMs?: number
}

/** SQLite tells in a microsecond whether anything was written; PostgreSQL takes a query. */
const pollMs = { sqlite: 500, postgres: 2000 } as const

/** The keys of a store, read and followed. @throws StorageFailure with one clear line */
export async function openKeys(storage: Storage, options: OpenKeysOptions): Promise<StoredKeys> {
  const { clock, events } = options
  try {
    const pepper = await matchingPepper(storage, options)
    const hash = pepper.hasher('client-key')
    const every = options.pollMs ?? pollMs[storage.kind]
    const pepperCheck = pepper.check
    const follower = new Follower({ storage, hash, pepperCheck, events, pollMs: every })
    await follower.start()
    return new StoredKeys({ storage, follower, hash, pepperCheck, clock })
  } catch (cause) {
    if (cause instanceof PepperFailure) throw new StorageFailure(cause.message)
    if (cause instanceof StorageFailure) throw cause
    throw new StorageFailure(`cannot read the keys in the store: ${reason(cause)}`)
  }
}

/** The pepper of a store whose keys are open. @throws PepperFailure */
export async function matchingPepper(
  storage: Storage,
  { path, pepper }: Pick<OpenKeysOptions, 'path' | 'pepper'>,
): Promise<Pepper> {
  const file = join(path, 'pepper')
  const query = storage.db.selectFrom('facts').select('value').where('name', '=', 'pepper_check')
  const check = (await query.executeTakeFirst())?.value ?? null
  const found = pepper === null ? readPepper(file) : configuredPepper(pepper)
  if (check === null) return found ?? createPepper(file)
  if (found === null) {
    throw new PepperFailure(
      `the pepper ${file} is missing, and without it no key in the store can be recognised: restore it from a backup` +
        (storage.kind === 'postgres' ? ', or copy it from another gateway' : ''),
    )
  }
  if (found.check === check) return found
  throw new PepperFailure(
    `the pepper in ${pepper === null ? file : 'storage.pepper'} is not the one the keys in the store were made with: ` +
      'restore the right one from a backup or another gateway',
  )
}
