// The tables of the ledger. Few indexes, since each is paid for with every call: rows are found by their id and by time,
// everything else is answered by the sums.

import type { Transaction } from 'kysely'
import type { Database } from './database.ts'

const texts = [
  'model', 'upstream_model', 'upstream', 'account', 'key_name', 'key_id', 'team', 'app', 'user_name', 'env', 'estimator',
  'units', 'service_tier', 'price_version', 'failure', 'end_user', 'metadata',
] as const // prettier-ignore

const counts = [
  'input', 'cached_input', 'cache_write', 'output', 'reasoning', 'audio_input', 'audio_output', 'cached_audio',
  'image_input', 'image_output', 'cached_image', 'total', 'cost_nano', 'billed_nano', 'first_byte_us', 'overhead_us',
] as const // prettier-ignore

const numbers = [
  'saved_nano', 'attempt', 'is_last', 'status', 'duration_us', 'stream', 'client_gone', 'retry_count', 'unmetered',
] as const // prettier-ignore

/** Columns that rolled-up rows are grouped by. */
export const rollupGroups = [
  'endpoint', 'model', 'upstream_model', 'upstream', 'key_name', 'key_id', 'team', 'app', 'user_name', 'env',
  'price_version',
] as const // prettier-ignore

/** Columns that are summed. */
export const rollupSums = [
  'operations', 'attempts', 'errors', 'estimated', 'unpriced', 'input', 'cached_input', 'cache_write', 'output',
  'reasoning', 'audio_input', 'audio_output', 'cost_nano', 'billed_nano', 'saved_nano', 'estimated_nano', 'cached', 'rows',
] as const // prettier-ignore

/** Makes them. */
export async function ledgerTables(db: Transaction<Database>): Promise<void> {
  let ledger = db.schema
    .createTable('ledger')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('operation_id', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('endpoint', 'text', (column) => column.notNull())
    .addColumn('method', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('cache', 'text', (column) => column.notNull())
  for (const name of texts) ledger = ledger.addColumn(name, 'text')
  for (const name of counts) ledger = ledger.addColumn(name, 'bigint')
  for (const name of numbers) ledger = ledger.addColumn(name, 'bigint', (column) => column.notNull())
  await ledger.execute()
  await db.schema.createIndex('ledger_at').on('ledger').column('at_ms').execute()
  for (const table of ['ledger_hours', 'ledger_days'] as const) {
    let rollup = db.schema.createTable(table).addColumn('at_ms', 'bigint', (column) => column.notNull())
    for (const name of rollupGroups) rollup = rollup.addColumn(name, 'text', (column) => column.notNull())
    for (const name of rollupSums) rollup = rollup.addColumn(name, 'bigint', (column) => column.notNull())
    await rollup.execute()
    await db.schema
      .createIndex(`${table}_key`)
      .on(table)
      .columns(['at_ms', ...rollupGroups])
      .unique()
      .execute()
  }
}
