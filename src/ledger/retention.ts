// What goes away after its time: single rows and the sums of hours and quarters, whole days of them, oldest first and few at a
// time, and what only such rows had in common. The sums of days stay for ever. From when on rows are complete is kept with
// the facts of the installation, since only there a sum can be verified.

import { sql, type Kysely } from 'kysely'
import type { Database } from '../storage/database.ts'
import type { Storage } from '../storage/open.ts'
import { dayMs } from './rollup.ts'

const rowsAtOnce = 500
const factName = 'ledger.kept_from_ms'
/** The fact that says how often dimensions were cleaned: what others remember of them is void when it changes. */
export const dimensionsCleaned = 'ledger.dimensions_cleaned'

/** Start of the first day whose rows are all here; 0 = of all there ever were. */
export async function keptFromMs(db: Kysely<Database>): Promise<number> {
  const fact = await db.selectFrom('facts').select('value').where('name', '=', factName).executeTakeFirst()
  return fact === undefined ? 0 : Number(fact.value)
}

/** Lets go of rows of whole days before `beforeMs`. */
export async function forget({ db, kind }: Storage, beforeMs: number): Promise<void> {
  const before = Math.floor(beforeMs / dayMs) * dayMs
  if (before <= (await keptFromMs(db))) return
  const oldest = await db.selectFrom('ledger').select('id').where('at_ms', '<', before).limit(1).execute()
  if (oldest.length === 0) return
  // First the fact: nobody must look for rows that are on their way out.
  await db
    .insertInto('facts')
    .values({ name: factName, value: String(before) })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: String(before) }))
    .execute()
  const table = sql.table(kind === 'sqlite' ? 'ledger_rows' : 'ledger')
  for (let deleted = rowsAtOnce; deleted === rowsAtOnce;) {
    const { numAffectedRows } = await sql`delete from ${table} where (at_ms, id) in
      (select at_ms, id from ${table} where at_ms < ${before} limit ${sql.lit(rowsAtOnce)})`.execute(db)
    deleted = Number(numAffectedRows)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await sql`delete from ledger_hours where at_ms < ${before}`.execute(db)
  await sql`delete from ledger_quarters where at_ms < ${before}`.execute(db)
  if (kind === 'postgres') return
  await sql`delete from ledger_named where at_ms < ${before}`.execute(db)
  while (await cleanDimensions(db, before)) await new Promise((resolve) => setTimeout(resolve, 5))
}

/**
 * Lets go of some dimensions whose newest row is gone; false where there may be no more. A row that came late, from before
 * `before`, may have any: then all wait for the next time.
 */
async function cleanDimensions(db: Kysely<Database>, before: number): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const { numAffectedRows } = await sql`delete from ledger_dimensions where id in
      (select id from ledger_dimensions where used_at_ms < ${before} limit ${sql.lit(rowsAtOnce)})
      and not exists (select 1 from ledger_rows where at_ms < ${before})`.execute(tx)
    const deleted = Number(numAffectedRows)
    if (deleted > 0)
      await sql`insert into facts (name, value) values (${dimensionsCleaned}, '1')
        on conflict (name) do update set value = cast(value as integer) + 1`.execute(tx)
    return deleted === rowsAtOnce
  })
}
