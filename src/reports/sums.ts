// What is summed, in the tables of sums and over single rows alike, and how far sums go. A sum beyond what a number holds
// exactly stays at that bound, and the report says so: it must not wrap, and must not be a little wrong.

import { rollupSums } from '../storage/ledger-tables.ts'

/** Names of the sums in the tables; see RollupTable. */
export type SumName = (typeof rollupSums)[number]

/** Sums of one line, in the order of `rollupSums`. */
export type Sums = Float64Array

/** What a single row adds, as SQL; the same as src/ledger adds to the tables of sums. */
export const rowSums: Readonly<Record<SumName, string>> = {
  operations: 'is_last',
  attempts: 'case when attempt > 0 then 1 else 0 end',
  errors: 'case when is_last = 1 and (failure is not null or status >= 400) then 1 else 0 end',
  estimated: `case when state = 'estimated' then 1 else 0 end`,
  unpriced: 'case when cost_nano is null then 1 else 0 end',
  input: 'input',
  cached_input: 'cached_input',
  cache_write: 'cache_write',
  output: 'output',
  reasoning: 'reasoning',
  audio_input: 'audio_input',
  audio_output: 'audio_output',
  cost_nano: 'cost_nano',
  billed_nano: 'billed_nano',
  saved_nano: 'saved_nano',
  estimated_nano: `case when state = 'estimated' then billed_nano else 0 end`,
  cached: `case when is_last = 1 and cache not in ('MISS', 'BYPASS', 'EXPIRED') then 1 else 0 end`,
  rows: '1',
}

/** Nothing yet. */
export function noSums(): Sums {
  return new Float64Array(rollupSums.length)
}

const most = Number.MAX_SAFE_INTEGER

/** Adds, or takes away; true where a bound was met. */
export function addSums(sums: Sums, more: ArrayLike<number>, sign: 1 | -1 = 1): boolean {
  let met = false
  for (let i = 0; i < sums.length; i++) {
    const sum = sums[i]! + sign * more[i]!
    sums[i] = Math.min(Math.max(sum, -most), most)
    met ||= sum >= most || sum <= -most
  }
  return met
}

const at = Object.fromEntries(rollupSums.map((name, index) => [name, index])) as Record<SumName, number>

/** One of them, a whole number. */
export function sumOf(sums: Sums, name: SumName): number {
  return sums[at[name]]!
}
