// The contract of the databases that rows go to, and what both have in common.

import { rollupGroups, rollupSums } from '../storage/ledger-tables.ts'
import type { Entry } from './columns.ts'

/** Takes rows and their sums, all or none. */
export interface RowSink {
  /**
   * Adds rows that are not there yet, with their sums: a row that comes twice counts once. Gives how many were added.
   * @throws the database's error; then nothing was added
   */
  write(entries: readonly Entry[]): number | Promise<number>
  /** Whether an error says no more than that another process was writing: to be tried again at once. */
  isBusy(cause: unknown): boolean
  /** Nothing more comes for a while: time to tidy up. */
  rest(): void
  close(): void
}

/** A table of sums. */
export type SumsName = 'ledger_days' | 'ledger_hours' | 'ledger_quarters'

/** Columns of a table of sums, in the order of `Sum`; `key`: those that there is one row of. */
export function sumColumns(table: SumsName): { readonly key: string[]; readonly all: string[] } {
  const key = table === 'ledger_quarters' ? ['at_ms'] : ['at_ms', ...rollupGroups]
  return { key, all: [...key, ...rollupSums] }
}

/** How a table of sums is added to. `source`: what gives all its columns. */
export function addSums(table: SumsName, source: string): string {
  const { key, all } = sumColumns(table)
  const adds = rollupSums.map((name) => `${name} = ${table}.${name} + excluded.${name}`)
  return (
    `insert into ${table} (${all.join(', ')}) ${source} ` +
    `on conflict (${key.join(', ')}) do update set ${adds.join(', ')}`
  )
}
