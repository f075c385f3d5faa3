// Rows that do not come from a call, such as corrections, into the ledger: with their sums, in one transaction, once for each
// id. Calls take the faster way of src/ledger.

import { sql, type Kysely } from 'kysely'
import type { Database, LedgerTable, RollupTable } from '../storage/database.ts'
import { rollupGroups, rollupSums } from '../storage/ledger-tables.ts'
import type { Storage } from '../storage/open.ts'

const hourMs = 3_600_000

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
    for (const [table, lengthMs] of [
      ['ledger_hours', hourMs],
      ['ledger_days', 24 * hourMs],
    ] as const)
      // prettier-ignore
      for (const sums of rollupsOf(added, lengthMs)) await addSums(change, table, sums)
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

async function addSums(
  db: Kysely<Database>,
  table: 'ledger_hours' | 'ledger_days',
  row: RollupTable,
): Promise<void> {
  const sums = Object.fromEntries(
    rollupSums.map((name) => [
      name,
      sql<number>`${sql.ref(`${table}.${name}`)} + ${sql.ref(`excluded.${name}`)}`,
    ]),
  )
  await db
    .insertInto(table)
    .values(row)
    .onConflict((conflict) => conflict.columns(['at_ms', ...rollupGroups]).doUpdateSet(sums))
    .execute()
}

/** The sums of rows over stretches of `lengthMs`, as the tables of sums hold them. */
export function rollupsOf(rows: readonly LedgerTable[], lengthMs: number): RollupTable[] {
  const found = new Map<string, RollupTable>()
  for (const row of rows) {
    const groups = Object.fromEntries(rollupGroups.map((name) => [name, row[name] ?? '']))
    const at_ms = Math.floor(row.at_ms / lengthMs) * lengthMs
    const key = JSON.stringify([at_ms, groups])
    const known = found.get(key)
    const sums = sumsOf(row)
    if (known === undefined) found.set(key, { at_ms, ...groups, ...sums } as unknown as RollupTable)
    else for (const name of rollupSums) known[name] += sums[name]
  }
  return [...found.values()]
}

function sumsOf(row: LedgerTable): Record<(typeof rollupSums)[number], number> {
  const estimated = row.state === 'estimated'
  const last = row.is_last === 1
  return {
    operations: row.is_last,
    attempts: row.attempt > 0 ? 1 : 0,
    errors: last && (row.failure !== null || row.status >= 400) ? 1 : 0,
    estimated: estimated ? 1 : 0,
    unpriced: row.cost_nano === null ? 1 : 0,
    input: row.input ?? 0,
    cached_input: row.cached_input ?? 0,
    cache_write: row.cache_write ?? 0,
    output: row.output ?? 0,
    reasoning: row.reasoning ?? 0,
    audio_input: row.audio_input ?? 0,
    audio_output: row.audio_output ?? 0,
    cost_nano: row.cost_nano ?? 0,
    billed_nano: row.billed_nano ?? 0,
    saved_nano: row.saved_nano,
    estimated_nano: estimated ? (row.billed_nano ?? 0) : 0,
    cached: last && !['MISS', 'BYPASS', 'EXPIRED'].includes(row.cache) ? 1 : 0,
    rows: 1,
  }
}
