// Sums of rows by hour and by day (UTC) and by what reports group by, and by quarter of an hour over all groups. They are
// added to in the transaction that adds the rows, so that they are always the rows' own sum; check.ts verifies it.

import type { SumsTable } from '../storage/database.ts'
import { rollupGroups, rollupSums } from '../storage/ledger-tables.ts'
import { numberAt, type Entry } from './columns.ts'
import type { DimensionReader, Dimensions } from './dimensions.ts'

export const quarterMs = 900_000
export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

/** One line of sums. */
export interface Sum {
  readonly atMs: number
  /** None in those of quarters. */
  readonly groups: readonly string[]
  readonly sums: number[]
}

/** The same rows summed up in each of the ways that are kept. */
export interface Sums {
  readonly quarters: readonly Sum[]
  readonly hours: readonly Sum[]
  readonly days: readonly Sum[]
}

/** The sums of these rows. Each row is looked at once: what is longer than a quarter is made of quarters. */
export function sumsOf(entries: readonly Entry[], reader: DimensionReader): Sums {
  const parts = byGroupAndQuarter(entries, reader)
  const hours = merged(parts, hourMs, true)
  return { quarters: merged(parts, quarterMs, false), hours, days: merged(hours, dayMs, true) }
}

function byGroupAndQuarter(entries: readonly Entry[], reader: DimensionReader): Sum[] {
  const found = new Map<string, Map<number, Sum>>()
  // Rows that follow each other mostly go to the same sum.
  let lastKey = ''
  let last: Sum | null = null
  for (const entry of entries) {
    const read = reader.read(entry.dimensions)
    const moment = entry.numbers[numberAt.at_ms]!
    if (last === null || read.groupKey !== lastKey || moment < last.atMs || moment >= last.atMs + quarterMs) {
      lastKey = read.groupKey
      last = sumAmong(found, read, moment - (moment % quarterMs))
    }
    addRow(last.sums, entry, read)
  }
  return [...found.values()].flatMap((quarters) => [...quarters.values()])
}

function sumAmong(found: Map<string, Map<number, Sum>>, { groupKey, groups }: Dimensions, atMs: number): Sum {
  let quarters = found.get(groupKey)
  if (quarters === undefined) found.set(groupKey, (quarters = new Map()))
  let sum = quarters.get(atMs)
  if (sum === undefined) quarters.set(atMs, (sum = { atMs, groups, sums: rollupSums.map(() => 0) }))
  return sum
}

/** Adds what one row is to sums in the order of `rollupSums`. */
function addRow(sums: number[], { numbers, more }: Entry, read: Dimensions): void {
  const cost = numbers[numberAt.cost_nano] ?? null
  const billed = numbers[numberAt.billed_nano] ?? 0
  sums[sumAt.operations]! += read.last
  sums[sumAt.attempts]! += read.attempt
  sums[sumAt.errors]! += read.error
  sums[sumAt.estimated]! += read.estimated
  if (cost === null) sums[sumAt.unpriced]! += 1
  sums[sumAt.input]! += numbers[numberAt.input] ?? 0
  sums[sumAt.cached_input]! += numbers[numberAt.cached_input] ?? 0
  sums[sumAt.cache_write]! += numbers[numberAt.cache_write] ?? 0
  sums[sumAt.output]! += numbers[numberAt.output] ?? 0
  sums[sumAt.reasoning]! += numbers[numberAt.reasoning] ?? 0
  // Most have no more than a user's name there: columns.ts puts counts first.
  if (more?.startsWith('{"audio_input"') === true) {
    const { audio_input: heard, audio_output: spoken } = JSON.parse(more) as Record<string, number>
    sums[sumAt.audio_input]! += heard ?? 0
    sums[sumAt.audio_output]! += spoken ?? 0
  }
  sums[sumAt.cost_nano]! += cost ?? 0
  sums[sumAt.billed_nano]! += billed
  sums[sumAt.saved_nano]! += numbers[numberAt.saved_nano] ?? 0
  if (read.estimated === 1) sums[sumAt.estimated_nano]! += billed
  sums[sumAt.cached]! += read.cached
  sums[sumAt.rows]! += 1
}

const sumAt = Object.fromEntries(rollupSums.map((name, index) => [name, index])) as Record<
  (typeof rollupSums)[number],
  number
>

/** Sums of shorter times as those of longer ones. `grouped`: each combination of groups by itself, else all in one. */
function merged(parts: readonly Sum[], lengthMs: number, grouped: boolean): Sum[] {
  const found = new Map<string, Sum>()
  for (const { atMs: partAtMs, groups, sums } of parts) {
    const atMs = partAtMs - (partAtMs % lengthMs)
    const key = grouped ? `${atMs}\u0000${groups.join('\u0000')}` : String(atMs)
    const known = found.get(key)
    if (known === undefined) found.set(key, { atMs, groups: grouped ? groups : [], sums: [...sums] })
    else addTo(known.sums, sums)
  }
  return [...found.values()]
}

function addTo(sums: number[], more: readonly number[]): void {
  for (let index = 0; index < sums.length; index++) sums[index]! += more[index]!
}

/** A line of sums as a table's row. */
export function rollupRow({ atMs, groups, sums }: Sum): SumsTable {
  const row: Record<string, string | number> = { at_ms: atMs }
  for (const [index, group] of groups.entries()) row[rollupGroups[index]!] = group
  for (const [index, name] of rollupSums.entries()) row[name] = sums[index]!
  return row as unknown as SumsTable
}
