// Rows into PostgreSQL, as one parameter of JSON: a statement with a parameter for each value costs more to build than the
// database takes to run it. Several gateways write at once; an answer of the database that was lost makes a batch come
// again, so what counts is what was really added.

import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../storage/database.ts'
import { tableRow, type Entry } from './columns.ts'
import { DimensionReader } from './dimensions.ts'
import { rollupRow, sumsOf, type Sum } from './rollup.ts'
import { addSums, sumColumns, type RowSink, type SumsName } from './sink.ts'

export class PostgresSink implements RowSink {
  readonly #reader = new DimensionReader()

  constructor(private readonly db: Kysely<Database>) {}

  async write(entries: readonly Entry[]): Promise<number> {
    return this.db.transaction().execute(async (tx) => {
      const fresh = await addRows(tx, entries)
      const added = entries.filter(({ id }) => fresh.delete(id))
      const { quarters, hours, days } = sumsOf(added, this.#reader)
      await addAll(tx, 'ledger_hours', hours)
      await addAll(tx, 'ledger_days', days)
      // Last, since all gateways add to the same row: it is held until the end.
      await addAll(tx, 'ledger_quarters', quarters)
      return added.length
    })
  }

  isBusy(): boolean {
    return false
  }

  rest(): void {}

  close(): void {}
}

/** Ids of the rows that were not there. */
async function addRows(tx: Transaction<Database>, entries: readonly Entry[]): Promise<Set<string>> {
  const objects = entries.map(tableRow)
  const { rows: added } = await sql<{ id: string }>`
    insert into ledger select * from json_populate_recordset(null::ledger, ${JSON.stringify(objects)}::json)
    on conflict (id) do nothing returning id`.execute(tx)
  return new Set(added.map(({ id }) => id))
}

async function addAll(tx: Transaction<Database>, table: SumsName, sums: readonly Sum[]): Promise<void> {
  if (sums.length === 0) return
  // In one order, so that two gateways never wait for each other in a circle.
  const ordered = sums.toSorted((a, b) => compare(`${a.atMs} ${a.groups}`, `${b.atMs} ${b.groups}`))
  const text = JSON.stringify(ordered.map(rollupRow))
  const names = sumColumns(table).all.join(', ')
  const source = `select ${names} from json_populate_recordset(null::${table}, `
  const [before = '', after = ''] = addSums(table, `${source}$1::json)`).split('$1')
  await sql`${sql.raw(before)}${text}${sql.raw(after)}`.execute(tx)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
