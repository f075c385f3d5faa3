// What goes away after its time: single rows and hours, whole days of them, oldest first and few at a time. The sums of days
// stay for ever. From when on rows are complete is kept with the facts of the installation, since only there a sum can be
// verified.

import { sql, type Kysely } from 'kysely'
import type { Database } from '../storage/database.ts'
import { dayMs } from './rollup.ts'

const rowsAtOnce = 500
const factName = 'ledger.kept_from_ms'

/** Start of the first day whose rows are all here; 0 = of all there ever were. */
export async function keptFromMs(db: Kysely<Database>): Promise<number> {
  const fact = await db.selectFrom('facts').select('value').where('name', '=', factName).executeTakeFirst()
  return fact === undefined ? 0 : Number(fact.value)
}

/** Lets go of rows of whole days before `beforeMs`. */
export async function forget(db: Kysely<Database>, beforeMs: number): Promise<void> {
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
  for (let deleted = rowsAtOnce; deleted === rowsAtOnce;) {
    const old = db.selectFrom('ledger').select('id').where('at_ms', '<', before).limit(rowsAtOnce)
    const result = await db.deleteFrom('ledger').where('id', 'in', old).executeTakeFirst()
    deleted = Number(result.numDeletedRows)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await sql`delete from ledger_hours where at_ms < ${before}`.execute(db)
}
