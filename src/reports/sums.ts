// What is summed, in the tables of sums and over single rows alike, and how far sums go. A sum beyond what a number holds
// exactly stays at that bound, and the report says so: it must not wrap, and must not be a little wrong.

import { rollupSums } from '../storage/ledger-tables.ts'

/** Names of the sums in the tables; see RollupTable. */
export type SumName = (typeof rollupSums)[number]

/** Sums of one line, in the order of `rollupSums`. */
export type Sums = Float64Array

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
