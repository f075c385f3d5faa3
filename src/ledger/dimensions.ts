// What rows have in common, read once for thousands of them: what they are summed under, and the number SQLite knows them by.

import { rollupGroups } from '../storage/ledger-tables.ts'
import { dimensionAt, type Values } from './columns.ts'

/** Dimensions that were read. */
export interface Dimensions {
  readonly values: Values
  /** Values of `rollupGroups`, '' for none. */
  readonly groups: readonly string[]
  /** The same as one text. */
  readonly groupKey: string
  /** What a row with these adds to the sums whose names say so, whatever its facts. */
  readonly last: 0 | 1
  readonly attempt: 0 | 1
  readonly error: 0 | 1
  readonly estimated: 0 | 1
  readonly cached: 0 | 1
  /** In `ledger_dimensions` of SQLite; 0 = not known. */
  number: number
  /** Up to which day (its start) SQLite knows them to be used. */
  usedAtMs: number
}

/** Users are a dimension, so there may be as many as there are users. */
const knownMax = 20_000

/** Reads dimensions and remembers them. */
export class DimensionReader {
  readonly #known = new Map<string, Dimensions>()
  /** What was asked for last: rows with the same dimensions come together. */
  #lastList = ''
  #last: Dimensions | null = null

  /** @param list as an entry has it */
  read(list: string): Dimensions {
    if (this.#last !== null && list === this.#lastList) return this.#last
    let read = this.#known.get(list)
    if (read === undefined) {
      read = readDimensions(list)
      if (this.#known.size >= knownMax) this.#known.clear()
      this.#known.set(list, read)
    }
    this.#lastList = list
    this.#last = read
    return read
  }

  /** Forgets them all: what a transaction that failed gave them is not theirs, and what was cleaned away is nobody's. */
  clear(): void {
    this.#known.clear()
    this.#last = null
  }
}

function readDimensions(list: string): Dimensions {
  const values = JSON.parse(list) as Values
  const at = (name: keyof typeof dimensionAt): string | number | null => values[dimensionAt[name]]!
  const groups = rollupGroups.map((name) => (at(name) as string | null) ?? '')
  const isLast = at('is_last') === 1
  const wrong = at('failure') !== null || (at('status') as number) >= 400
  const fetched = ['MISS', 'BYPASS', 'EXPIRED'].includes(at('cache') as string)
  return {
    values,
    groups,
    groupKey: JSON.stringify(groups),
    last: isLast ? 1 : 0,
    attempt: (at('attempt') as number) > 0 ? 1 : 0,
    error: isLast && wrong ? 1 : 0,
    estimated: at('state') === 'estimated' ? 1 : 0,
    cached: isLast && !fetched ? 1 : 0,
    number: 0,
    usedAtMs: -1,
  }
}
