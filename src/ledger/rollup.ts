// Sums of rows by hour and by day (UTC) and by what reports group by. They are added to in the transaction that adds the
// rows, so that they are always the rows' own sum; check.ts verifies it.

import type { RollupTable } from '../storage/database.ts'
import { rollupGroups, rollupSums } from '../storage/ledger-tables.ts'
import { at, type columns, type Values } from './columns.ts'

export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

const groupsAt = rollupGroups.map((name) => at[name])

/** The sums one row adds, in the order of `rollupSums`. */
function sumsOf(row: Values): number[] {
  const number = (name: (typeof columns)[number]): number => (row[at[name]] as number | null) ?? 0
  const last = number('is_last')
  const estimated = row[at.state] === 'estimated'
  const wrong = row[at.failure] !== null || number('status') >= 400
  const cached = row[at.cache] !== 'MISS' && row[at.cache] !== 'BYPASS' && row[at.cache] !== 'EXPIRED'
  return [
    last,
    number('attempt') > 0 ? 1 : 0,
    last === 1 && wrong ? 1 : 0,
    estimated ? 1 : 0,
    row[at.cost_nano] === null ? 1 : 0,
    number('input'),
    number('cached_input'),
    number('cache_write'),
    number('output'),
    number('reasoning'),
    number('audio_input'),
    number('audio_output'),
    number('cost_nano'),
    number('billed_nano'),
    number('saved_nano'),
    estimated ? number('billed_nano') : 0,
    cached && last === 1 ? 1 : 0,
    1,
  ]
}

/** One line of sums. */
export interface Sum {
  readonly atMs: number
  readonly groups: readonly string[]
  readonly sums: number[]
}

/** The sums of these rows by hour, one for each combination of groups. */
export function sumByHour(rows: readonly Values[]): Sum[] {
  const found = new Map<string, Sum>()
  for (const row of rows) {
    const atMs = Math.floor((row[at.at_ms] as number) / hourMs) * hourMs
    let key = String(atMs)
    for (const index of groupsAt) key += `\u0000${row[index] ?? ''}`
    const sums = sumsOf(row)
    const known = found.get(key)
    if (known === undefined) {
      const groups = groupsAt.map((index) => (row[index] as string | null) ?? '')
      found.set(key, { atMs, groups, sums })
    } else addTo(known.sums, sums)
  }
  return [...found.values()]
}

/** Hours' sums as days'. */
export function sumByDay(hours: readonly Sum[]): Sum[] {
  const found = new Map<string, Sum>()
  for (const { atMs, groups, sums } of hours) {
    const dayAtMs = Math.floor(atMs / dayMs) * dayMs
    const key = `${dayAtMs}\u0000${groups.join('\u0000')}`
    const known = found.get(key)
    if (known === undefined) found.set(key, { atMs: dayAtMs, groups, sums: [...sums] })
    else addTo(known.sums, sums)
  }
  return [...found.values()]
}

function addTo(sums: number[], more: readonly number[]): void {
  for (let index = 0; index < sums.length; index++) sums[index]! += more[index]!
}

/** A line of sums as a table's row. */
export function rollupRow({ atMs, groups, sums }: Sum): RollupTable {
  const row: Record<string, string | number> = { at_ms: atMs }
  for (const [index, name] of rollupGroups.entries()) row[name] = groups[index]!
  for (const [index, name] of rollupSums.entries()) row[name] = sums[index]!
  return row as unknown as RollupTable
}
