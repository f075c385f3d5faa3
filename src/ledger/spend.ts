// What was spent since a moment, by owner: sums of the hourly roll-ups, and of single rows for the part of the first hour
// that the moment leaves. Whoever enforces budgets asks for it at a start.

import { sql, type Kysely } from 'kysely'
import type { Database } from '../storage/database.ts'

/** What sums can be told apart by. */
const columns = {
  key: 'key_name',
  user: 'user_name',
  team: 'team',
  app: 'app',
  upstream: 'upstream',
  model: 'model',
  endpoint: 'endpoint',
  env: 'env',
} as const

/** A dimension of sums. */
export type SpendDimension = keyof typeof columns

/** One question. */
export interface SpendQuery {
  /** Wall clock. */
  readonly fromMs: number
  /** `key` brings the id of the key as well. */
  readonly by: readonly SpendDimension[]
  /** Sums by hour; the first one may be a part. */
  readonly hourly: boolean
}

/** A sum; '' = none, or not asked for. */
export interface SpendSum extends Readonly<Record<SpendDimension | 'keyId', string>> {
  readonly atMs: number
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costNanoUsd: number
}

const hourMs = 3_600_000

/** Sums of all rows since `fromMs`. */
export async function spentSince(
  db: Kysely<Database>,
  { fromMs, by, hourly }: SpendQuery,
): Promise<SpendSum[]> {
  const hourAtMs = Math.ceil(fromMs / hourMs) * hourMs
  const names = by.flatMap((one) => (one === 'key' ? [columns.key, 'key_id' as const] : [columns[one]]))
  const hours = await db
    .selectFrom('ledger_hours')
    .where('at_ms', '>=', hourAtMs)
    .select(names)
    .$if(hourly, (query) => query.select('at_ms').groupBy('at_ms'))
    .$if(names.length > 0, (query) => query.groupBy(names))
    .select(({ fn }) => [
      fn.sum<number | null>('operations').as('requests'),
      fn.sum<number | null>('input').as('input'),
      fn.sum<number | null>('output').as('output'),
      fn.sum<number | null>('cost_nano').as('cost'),
    ])
    .execute()
  const rows = await db
    .selectFrom('ledger')
    .where('at_ms', '>=', fromMs)
    .where('at_ms', '<', hourAtMs)
    .select(names)
    .$if(names.length > 0, (query) => query.groupBy(names))
    .select(({ fn }) => [
      fn.sum<number | null>('is_last').as('requests'),
      fn.sum<number | null>(fn.coalesce('input', sql.lit(0))).as('input'),
      fn.sum<number | null>(fn.coalesce('output', sql.lit(0))).as('output'),
      fn.sum<number | null>(fn.coalesce('cost_nano', sql.lit(0))).as('cost'),
    ])
    .execute()
  return [...rows.map((row) => sumOf({ ...row, at_ms: fromMs })), ...hours.map((row) => sumOf(row))]
}

function sumOf(row: Readonly<Record<string, unknown>>): SpendSum {
  const text = (name: string): string => (row[name] as string | null | undefined) ?? ''
  const number = (name: string): number => Math.min(Number(row[name] ?? 0), Number.MAX_SAFE_INTEGER)
  return {
    key: text('key_name'),
    keyId: text('key_id'),
    user: text('user_name'),
    team: text('team'),
    app: text('app'),
    upstream: text('upstream'),
    model: text('model'),
    endpoint: text('endpoint'),
    env: text('env'),
    atMs: number('at_ms'),
    requests: number('requests'),
    inputTokens: number('input'),
    outputTokens: number('output'),
    costNanoUsd: number('cost'),
  }
}
