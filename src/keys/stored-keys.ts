// The client keys in the store: every change is one transaction that takes the next number of the counter, writes the
// row and its line in the audit, and is read back into the index before the caller hears of it. The number comes first,
// so that changes of all processes run one after the other and "twice at once" ends like "one after the other".

import type { Kysely, Selectable, Transaction } from 'kysely'
import { createClientKey } from '../base/client-key.ts'
import type { Clock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import { Secret } from '../base/secret.ts'
import type { OwnerKind } from '../objects/owner.ts'
import { audit } from '../storage/audit.ts'
import type { Database, KeysTable } from '../storage/database.ts'
import { reason, type Storage } from '../storage/open.ts'
import type { Follower } from './follow.ts'
import { infoOf, newRow, type KeyRow } from './key-rows.ts'
import { KeyFailure, type KeyInfo, type KeyService, type KeySpec, type KeyVerdict } from './key-service.ts'
import { checkActor, checkSpec } from './key-spec.ts'
import type { KeyedHash } from './pepper.ts'

/** The index holds every key, so there is an end to them. */
const keysMax = 1_000_000
/** Secrets of one key that work at the same time. */
const secretsMax = 8
const graceMsMax = 90 * 86_400_000
const pageMax = 1000

export interface StoredKeysParts {
  readonly storage: Storage
  readonly follower: Follower
  readonly hash: KeyedHash
  /** Put into the store with the first key, and compared with every later one. */
  readonly pepperCheck: string
  readonly clock: Clock
}

type Change = Transaction<Database>

export class StoredKeys implements KeyService {
  constructor(private readonly parts: StoredKeysParts) {}

  lookup(credential: string): KeyVerdict {
    return this.parts.follower.lookup(credential, this.parts.clock.wallMs())
  }

  nameOf(id: string): string | null {
    return this.parts.follower.nameOf(id)
  }

  someOwners(kind: OwnerKind): ReadonlySet<string> {
    return this.parts.follower.someOwners(kind)
  }

  /** The id of the key that a credential belongs to, whatever its state; null where it is none of ours. */
  idOf(credential: string): string | null {
    return this.parts.follower.idOf(credential)
  }

  async create(spec: KeySpec, by: string): Promise<{ id: string; secret: Secret; key: KeyInfo }> {
    const atMs = this.parts.clock.wallMs()
    const checked = checkSpec(spec, atMs)
    const actor = checkActor(by)
    if (this.parts.follower.size >= keysMax)
      throw new KeyFailure('conflict', `there are ${keysMax} keys already`)
    const secret = new Secret(createClientKey(checked.env))
    const row = await this.#change(async (tx, seq) => {
      await this.#samePepper(tx)
      await freeName(tx, { name: checked.name, seq, atMs })
      const row = newRow(checked, { id: newId('key'), seq, by: actor, atMs })
      await tx.insertInto('keys').values(row).execute()
      await this.#addSecret(tx, row.id, secret)
      const { name, env, team, app, user } = checked
      await audit(
        tx,
        { by: actor, action: 'key.create', target: row.id, details: { name, env, team, app, user } },
        atMs,
      )
      return row
    })
    return { id: row.id, secret, key: infoOf({ ...row, previous_until_ms: null }, atMs) }
  }

  async list(page: {
    limit: number
    cursor: string | null
  }): Promise<{ rows: KeyInfo[]; next: string | null }> {
    const { limit, cursor } = page
    if (!Number.isInteger(limit) || limit < 1 || limit > pageMax)
      throw new KeyFailure('invalid', `limit: must be between 1 and ${pageMax}`, 'limit')
    if (cursor !== null && !/^\d{1,15}$/.test(cursor))
      throw new KeyFailure('invalid', 'cursor: expected the `next` of the page before', 'cursor')
    return this.#asking(async () => {
      let query = selectKeys(this.parts.storage.db)
        .orderBy('created_seq', 'desc')
        .limit(limit + 1)
      if (cursor !== null) query = query.where('created_seq', '<', Number(cursor))
      const rows = await query.execute()
      const shown = rows.slice(0, limit)
      const nowMs = this.parts.clock.wallMs()
      const next = rows.length > limit ? String(shown.at(-1)!.created_seq) : null
      return { rows: shown.map((row) => infoOf(row, nowMs)), next }
    })
  }

  async show(id: string): Promise<KeyInfo> {
    checkId(id)
    return this.#asking(async () => {
      const row = await selectKeys(this.parts.storage.db).where('id', '=', id).executeTakeFirst()
      if (row === undefined) throw unknown(id)
      return infoOf(row, this.parts.clock.wallMs())
    })
  }

  async rotate(
    id: string,
    options: { graceMs: number },
    by: string,
  ): Promise<{ id: string; secret: Secret }> {
    checkId(id)
    const actor = checkActor(by)
    const { graceMs } = options
    if (!Number.isInteger(graceMs) || graceMs < 0 || graceMs > graceMsMax)
      throw new KeyFailure('invalid', 'grace: must be between 0s and 90d', 'graceMs')
    const atMs = this.parts.clock.wallMs()
    const secret = await this.#change(async (tx, seq) => {
      await this.#samePepper(tx)
      const row = await activeKey(tx, id, atMs)
      const made = new Secret(createClientKey(row.env))
      await retireSecrets(tx, id, { atMs, untilMs: atMs + graceMs })
      await this.#addSecret(tx, id, made)
      await tx
        .updateTable('keys')
        .set({ rotated_at_ms: atMs, changed_seq: seq })
        .where('id', '=', id)
        .execute()
      const details = { name: row.name, graceMs }
      await audit(tx, { by: actor, action: 'key.rotate', target: id, details }, atMs)
      return made
    })
    return { id, secret }
  }

  async revoke(id: string, by: string): Promise<KeyInfo> {
    checkId(id)
    const actor = checkActor(by)
    const atMs = this.parts.clock.wallMs()
    return this.#change(async (tx, seq) => {
      const row = await knownKey(tx, id)
      const revoked = { revoked_at_ms: atMs, held_name: null, changed_seq: seq }
      await tx.updateTable('keys').set(revoked).where('id', '=', id).execute()
      await audit(tx, { by: actor, action: 'key.revoke', target: id, details: { name: row.name } }, atMs)
      return infoOf({ ...row, ...revoked, previous_until_ms: null }, atMs)
    })
  }

  close(): Promise<void> {
    return this.parts.follower.close()
  }

  /** One change: a transaction that begins by taking the next number, and the index brought up to it. */
  async #change<T>(work: (tx: Change, seq: number) => Promise<T>): Promise<T> {
    const { storage, follower } = this.parts
    return this.#asking(async () => {
      const result = await storage.db.transaction().execute(async (tx) => {
        const counter = tx.updateTable('counters').where('name', '=', 'keys')
        const { value } = await counter
          .set((set) => ({ value: set('value', '+', 1) }))
          .returning('value')
          .executeTakeFirstOrThrow()
        return work(tx, value)
      })
      // It is done, whatever becomes of reading it back: the follower comes to it by itself later.
      await follower.refresh().catch(() => {})
      return result
    })
  }

  /** What the store throws, as one clear line. */
  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (cause) {
      if (cause instanceof KeyFailure) throw cause
      const text = `the store does not answer (${reason(cause)}): look at the list of keys before you try again`
      throw new KeyFailure('unavailable', text)
    }
  }

  /** A key made with another pepper would be refused by every other process. */
  async #samePepper(tx: Change): Promise<void> {
    const { pepperCheck } = this.parts
    const fact = { name: 'pepper_check', value: pepperCheck }
    await tx
      .insertInto('facts')
      .values(fact)
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
    const kept = await tx
      .selectFrom('facts')
      .select('value')
      .where('name', '=', 'pepper_check')
      .executeTakeFirstOrThrow()
    if (kept.value === pepperCheck) return
    throw new KeyFailure(
      'conflict',
      'the keys in the store were made with another pepper: copy the file `pepper` of the gateway that made them',
    )
  }

  async #addSecret(tx: Change, id: string, secret: Secret): Promise<void> {
    const digest = this.parts.hash.text(secret.reveal())
    const row = { digest, key_id: id, created_at_ms: this.parts.clock.wallMs(), not_after_ms: null }
    await tx.insertInto('key_digests').values(row).execute()
  }
}

function selectKeys(db: Kysely<Database>) {
  return db
    .selectFrom('keys')
    .selectAll()
    .select((select) =>
      select
        .selectFrom('key_digests')
        .select((digest) => digest.fn.max<number | null>('not_after_ms').as('until'))
        .whereRef('key_digests.key_id', '=', 'keys.id')
        .as('previous_until_ms'),
    )
    .$castTo<KeyRow>()
}

/** @throws KeyFailure where another key that counts has the name; one that has expired gives it up */
async function freeName(tx: Change, wanted: { name: string; seq: number; atMs: number }): Promise<void> {
  const holder = await tx
    .selectFrom('keys')
    .select(['id', 'expires_at_ms'])
    .where('held_name', '=', wanted.name)
    .executeTakeFirst()
  if (holder === undefined) return
  if (holder.expires_at_ms === null || holder.expires_at_ms > wanted.atMs)
    throw new KeyFailure(
      'conflict',
      `the key ${holder.id} has this name already: choose another, or revoke it`,
      'name',
    )
  await tx.updateTable('keys').set({ held_name: null }).where('id', '=', holder.id).execute()
}

async function knownKey(tx: Change, id: string): Promise<Selectable<KeysTable>> {
  const row = await tx.selectFrom('keys').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw unknown(id)
  if (row.revoked_at_ms !== null) throw new KeyFailure('conflict', `the key ${id} is revoked already`)
  return row
}

async function activeKey(tx: Change, id: string, atMs: number): Promise<Selectable<KeysTable>> {
  const row = await knownKey(tx, id)
  if (row.expires_at_ms !== null && row.expires_at_ms <= atMs)
    throw new KeyFailure('conflict', `the key ${id} has expired: create a new one`)
  return row
}

/** Lets the secrets of a key end at a moment, and forgets those that ended long ago. */
async function retireSecrets(tx: Change, id: string, when: { atMs: number; untilMs: number }): Promise<void> {
  await tx.deleteFrom('key_digests').where('key_id', '=', id).where('not_after_ms', '<=', when.atMs).execute()
  const kept = await tx.selectFrom('key_digests').select(['digest']).where('key_id', '=', id).execute()
  if (kept.length >= secretsMax)
    throw new KeyFailure(
      'conflict',
      `${secretsMax} secrets of this key work already: wait until the grace of one ends`,
    )
  await tx
    .updateTable('key_digests')
    .set({ not_after_ms: when.untilMs })
    .where('key_id', '=', id)
    .where((row) => row.or([row('not_after_ms', 'is', null), row('not_after_ms', '>', when.untilMs)]))
    .execute()
}

/** An id is shown in messages only where it has an id's shape: people paste secrets by mistake. */
function checkId(id: string): void {
  if (/^key_[A-Za-z0-9]{20}$/.test(id)) return
  const secret = id.startsWith('hg_') ? 'that is the text of a key, not its id. ' : ''
  throw new KeyFailure(
    'not_found',
    `${secret}No key has this id: ids look like key_… and stand in the list of keys`,
  )
}

function unknown(id: string): KeyFailure {
  return new KeyFailure('not_found', `no key has the id ${id}`)
}
