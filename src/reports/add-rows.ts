// Rows that do not come from a call, such as corrections, into the ledger: with their sums, in one transaction, once for each
// id. Calls take the faster way of src/ledger.

import { sql, type Kysely } from 'kysely'
import { dayMs, hourMs, quarterMs } from '../ledger/rollup.ts'
import { addSums, sumColumns, type SumsName } from '../ledger/sink.ts'
import type { Database, LedgerTable } from '../storage/database.ts'
import { rollupSums, rowSums } from '../storage/ledger-tables.ts'
import type { Storage } from '../storage/open.ts'

/**
 * Adds rows and their sums; those whose id is there already are left away.
 * @param also what belongs into the same transaction; called where any was added
 * @returns the ids that were added
 */
export async function addRows(
  { db, kind }: Storage,
  rows: readonly LedgerTable[],
  also: (change: Kysely<Database>, ids: readonly string[]) => Promise<void> = async () => {},
): Promise<string[]> {
  return db.transaction().execute(async (change) => {
    const added: LedgerTable[] = []
    for (const row of rows) {
      if (await add(change, kind, row)) added.push(row)
    }
    for (const row of added) {
      await sumUp(change, row, { table: 'ledger_hours', lengthMs: hourMs })
      await sumUp(change, row, { table: 'ledger_days', lengthMs: dayMs })
      await sumUp(change, row, { table: 'ledger_quarters', lengthMs: quarterMs })
    }
    const ids = added.map(({ id }) => id)
    if (ids.length > 0) await also(change, ids)
    return ids
  })
}

/** False where it is there already. */
async function add(change: Kysely<Database>, kind: Storage['kind'], row: LedgerTable): Promise<boolean> {
  const insert = change.insertInto('ledger').values(row)
  if (kind === 'postgres') {
    const done = await insert.onConflict((conflict) => conflict.column('id').doNothing()).executeTakeFirst()
    return Number(done.numInsertedOrUpdatedRows ?? 0) > 0
  }
  // A view knows no conflicts, and the transaction has the only right to write.
  const known = change
    .selectFrom('ledger')
    .select('id')
    .where('at_ms', '=', row.at_ms)
    .where('id', '=', row.id)
  if ((await known.executeTakeFirst()) !== undefined) return false
  await insert.execute()
  return true
}

/** Adds the sums of one row, which the database makes of it. */
async function sumUp(
  change: Kysely<Database>,
  { id, at_ms: atMs }: LedgerTable,
  { table, lengthMs }: { readonly table: SumsName; readonly lengthMs: number },
): Promise<void> {
  const groups = sumColumns(table)
    .key.filter((name) => name !== 'at_ms')
    .map((name) => `coalesce(${name}, '')`)
  const sums = rollupSums.map((name) => rowSums[name])
  const columns = [`at_ms - at_ms % ${lengthMs}`, ...groups, ...sums].join(', ')
  const [before = '', after = ''] = addSums(table, `select ${columns} from ledger where ? `).split('?')
  await sql`${sql.raw(before)} at_ms = ${atMs} and id = ${id} ${sql.raw(after)}`.execute(change)
}
