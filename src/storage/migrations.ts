// Steps of the schema, each run once, in order, all in one transaction at opening: a start that breaks off leaves the
// old schema whole. A step that was released is never changed; the next one mends it. Processes that start at the same
// time wait for each other (SQLite: the write lock; PostgreSQL: an advisory lock).

import { sql, type Kysely, type Transaction } from 'kysely'
import { answerTables } from './answers.ts'
import type { Database } from './database.ts'
import { dimensionsDated, ledgerApart, ledgerQuarters, ledgerTables } from './ledger-tables.ts'
import { objectTables } from './object-tables.ts'

/** Which database the schema is made in. */
export type StorageKind = 'sqlite' | 'postgres'

interface Step {
  readonly number: number
  readonly name: string
  readonly up: (db: Transaction<Database>, kind: StorageKind) => Promise<void>
}

/** Any number that no other program on the server is likely to lock. */
const advisoryLock = 4_840_284_121

/**
 * Brings the schema up to date.
 * @throws Error where the database was made by a newer version
 */
export async function migrate(db: Kysely<Database>, kind: StorageKind, atMs: number): Promise<void> {
  const newest = steps.at(-1)!.number
  await db.transaction().execute(async (tx) => {
    if (kind === 'postgres') await sql`select pg_advisory_xact_lock(${advisoryLock})`.execute(tx)
    await tx.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('number', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .execute()
    const row = await tx
      .selectFrom('migrations')
      .select((select) => select.fn.max('number').as('done'))
      .executeTakeFirst()
    const done = row?.done ?? 0
    if (done > newest) {
      throw new Error(
        `it was made by a newer version of Headgate (schema ${done}, this version knows ${newest})`,
      )
    }
    for (const step of steps) {
      if (step.number <= done) continue
      await step.up(tx, kind)
      await tx
        .insertInto('migrations')
        .values({ number: step.number, name: step.name, at_ms: atMs })
        .execute()
    }
  })
}

const steps: readonly Step[] = [
  { number: 1, name: 'counters, facts and audit', up: firstTables },
  { number: 2, name: 'client keys', up: keyTables },
  { number: 3, name: 'the ledger', up: ledgerTables },
  { number: 4, name: 'objects and their owners', up: objectTables },
  { number: 5, name: 'answers of requests with an Idempotency-Key', up: answerTables },
  { number: 6, name: 'rows of the ledger and what they have in common', up: ledgerApart },
  { number: 7, name: 'sums by quarter of an hour', up: ledgerQuarters },
  { number: 8, name: 'when dimensions were used last', up: dimensionsDated },
]

async function firstTables(db: Transaction<Database>, kind: StorageKind): Promise<void> {
  await db.schema
    .createTable('counters')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('facts')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('audit')
    .addColumn('number', kind === 'sqlite' ? 'integer' : 'bigserial', (column) =>
      kind === 'sqlite' ? column.primaryKey().autoIncrement() : column.primaryKey(),
    )
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('target', 'text', (column) => column.notNull())
    .addColumn('details', 'text', (column) => column.notNull())
    .execute()
  await (kind === 'sqlite' ? appendOnlySqlite(db) : appendOnlyPostgres(db))
}

async function appendOnlySqlite(db: Transaction<Database>): Promise<void> {
  await sql`create trigger audit_no_update before update on audit begin
    select raise(abort, 'audit is append-only'); end`.execute(db)
  await sql`create trigger audit_no_delete before delete on audit begin
    select raise(abort, 'audit is append-only'); end`.execute(db)
  // `insert or replace` deletes without asking the trigger above.
  await sql`create trigger audit_no_replace before insert on audit
    when exists (select 1 from audit where number = new.number) begin
    select raise(abort, 'audit is append-only'); end`.execute(db)
}

async function appendOnlyPostgres(db: Transaction<Database>): Promise<void> {
  await sql`create function audit_append_only() returns trigger language plpgsql as
    $$ begin raise exception 'audit is append-only'; end $$`.execute(db)
  await sql`create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function audit_append_only()`.execute(db)
}

async function keyTables(db: Transaction<Database>): Promise<void> {
  await db.schema
    .createTable('keys')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('created_seq', 'bigint', (column) => column.notNull().unique())
    .addColumn('changed_seq', 'bigint', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('held_name', 'text', (column) => column.unique())
    .addColumn('env', 'text', (column) => column.notNull())
    .addColumn('team', 'text')
    .addColumn('app', 'text')
    .addColumn('user_name', 'text')
    .addColumn('models', 'text')
    .addColumn('endpoints', 'text')
    .addColumn('addresses', 'text')
    .addColumn('user_agents', 'text')
    .addColumn('budget', 'text')
    .addColumn('metadata', 'text', (column) => column.notNull())
    .addColumn('may_name', 'integer', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('expires_at_ms', 'bigint')
    .addColumn('rotated_at_ms', 'bigint')
    .addColumn('revoked_at_ms', 'bigint')
    .execute()
  await db.schema.createIndex('keys_changed').on('keys').column('changed_seq').execute()
  await db.schema
    .createTable('key_digests')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('key_id', 'text', (column) => column.notNull().references('keys.id'))
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('not_after_ms', 'bigint')
    .execute()
  await db.schema.createIndex('key_digests_key').on('key_digests').column('key_id').execute()
  await db.insertInto('counters').values({ name: 'keys', value: 0 }).execute()
}
