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

/** The roll-ups, and how they are added to. `place`: the placeholder of each value. */
export function addSums(table: string, source: string): string {
  const names = ['at_ms', ...rollupGroups, ...rollupSums]
  const adds = rollupSums.map((name) => `${name} = ${table}.${name} + excluded.${name}`)
  return (
    `insert into ${table} (${names.join(', ')}) ${source} ` +
    `on conflict (at_ms, ${rollupGroups.join(', ')}) do update set ${adds.join(', ')}`
  )
}
