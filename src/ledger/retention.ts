// What goes away after its time: single rows and hours, whole days of them, oldest first and few at a time. The sums of days
// stay for ever. From when on rows are complete is kept with the facts of the installation, since only there a sum can be
// verified.

import { sql, type Kysely } from 'kysely'
import type { Database } from '../storage/database.ts'
import type { Storage } from '../storage/open.ts'
import { dayMs } from './rollup.ts'

const rowsAtOnce = 500
const factName = 'ledger.kept_from_ms'

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
  if (kind === 'sqlite') await sql`delete from ledger_named where at_ms < ${before}`.execute(db)
  await sql`delete from ledger_hours where at_ms < ${before}`.execute(db)
  await sql`delete from ledger_quarters where at_ms < ${before}`.execute(db)
}
