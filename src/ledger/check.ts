// Verifies that the books agree with themselves: each hour's and each day's sums are those of the rows. Works in the
// database, group by group, so that millions of rows need no memory here.

import { sql, type Kysely } from 'kysely'
import { rollupGroups, rollupSums, rowSums } from '../storage/ledger-tables.ts'
import type { Database } from '../storage/database.ts'
import { dayMs, hourMs } from './rollup.ts'
import { keptFromMs } from './retention.ts'

/** A sum that is not that of its rows. */
export interface Disagreement {
  readonly table: 'ledger_hours' | 'ledger_days'
  readonly atMs: number
  /** Which sum, such as `cost_nano`, and of what, such as `team=core, model=gpt-4o`. */
  readonly sum: string
  readonly of: string
  readonly kept: number
  readonly real: number
}

const found = 20

/** Compares sums with rows, from `fromMs` on (earlier rows may be gone). The first 20 that differ; none = the books agree. */
export async function checkLedger(db: Kysely<Database>, fromMs = 0): Promise<Disagreement[]> {
  const kept = await keptFromMs(db)
  const from = Math.ceil(Math.max(fromMs, kept) / dayMs) * dayMs
  return [
    ...(await compare(db, 'ledger_hours', { from, step: hourMs })),
    ...(await compare(db, 'ledger_days', { from, step: dayMs })),
  ].slice(0, found)
}

async function compare(
  db: Kysely<Database>,
  table: 'ledger_hours' | 'ledger_days',
  { from, step }: { from: number; step: number },
): Promise<Disagreement[]> {
  const groups = rollupGroups.join(', ')
  const started = `at_ms - at_ms % ${step}`
  const fromRows = rollupGroups.map((name) => `coalesce(${name}, '') as ${name}`).join(', ')
  const sumsOfRows = rollupSums.map((name) => `sum(${rowSums[name]}) as ${name}`).join(', ')
  const negated = rollupSums.map((name) => `-${name} as ${name}`).join(', ')
  const differences = rollupSums.map((name) => `sum(${name}) as ${name}`).join(', ')
  const nonZero = rollupSums.map((name) => `sum(${name}) <> 0`).join(' or ')
  const query = `
    select at_ms, ${groups}, ${differences} from (
      select ${started} as at_ms, ${fromRows}, ${sumsOfRows} from ledger where at_ms >= ${from}
      group by ${started}, ${rollupGroups.map((name) => `coalesce(${name}, '')`).join(', ')}
      union all
      select at_ms, ${groups}, ${negated} from ${table} where at_ms >= ${from}
    ) as both_sides group by at_ms, ${groups} having ${nonZero} order by at_ms limit ${found}`
  const { rows } = await sql.raw<Record<string, string | number>>(query).execute(db)
  const answers: Disagreement[] = []
  for (const row of rows) answers.push(await described(db, table, row))
  return answers
}

async function described(
  db: Kysely<Database>,
  table: 'ledger_hours' | 'ledger_days',
  row: Record<string, string | number>,
): Promise<Disagreement> {
  const sum = rollupSums.find((name) => Number(row[name]) !== 0)!
  let query = db.selectFrom(table).select(sum).where('at_ms', '=', Number(row['at_ms']))
  for (const name of rollupGroups) query = query.where(name, '=', String(row[name]))
  const keptSum = (await query.executeTakeFirst())?.[sum] ?? 0
  const of = rollupGroups.filter((name) => row[name] !== '').map((name) => `${name}=${row[name]}`)
  return {
    table,
    atMs: Number(row['at_ms']),
    sum,
    of: of.join(', '),
    kept: keptSum,
    real: keptSum + Number(row[sum]),
  }
}
