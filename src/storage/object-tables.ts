// The table of stored objects and their owners.

import type { Transaction } from 'kysely'
import type { Database } from './database.ts'

/** Makes it. */
export async function objectTables(db: Transaction<Database>): Promise<void> {
  await db.schema
    .createTable('objects')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('owner', 'text', (column) => column.notNull())
    .addColumn('account', 'text', (column) => column.notNull())
    .addColumn('seen_at_ms', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('objects_seen').on('objects').column('seen_at_ms').execute()
}
