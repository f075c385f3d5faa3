// What is asked of the ledger: one object over a store, for the command line and the admin API alike.

import { join } from 'node:path'
import type { Storage } from '../storage/open.ts'
import { readBeside } from '../storage/reader-thread.ts'
import { requestRows, type RequestFilter, type RequestPage } from './requests.ts'
import {
  groupColumns,
  usageReport,
  type ColumnGroup,
  type ReportSource,
  type UsageQuery,
  type UsageReport,
} from './usage.ts'

const namesMax = 1000
/** The same store, read beside the thread that serves. `path`: the data directory. */
export function sourceBeside({ kind, db }: Storage, path: string): ReportSource {
  return { kind, db: kind === 'sqlite' ? readBeside(join(path, 'headgate.db')) : db }
}

export class Reports {
  /** @param flush brings rows that are still on their way into the store, where this process writes them; false where it cannot */
  constructor(
    readonly source: ReportSource,
    private readonly flush: () => Promise<boolean> = () => Promise.resolve(true),
  ) {}

  /** @throws TooManyLines, or the database's error */
  async usage(query: UsageQuery): Promise<UsageReport> {
    const all = await this.flush()
    return { ...(await usageReport(this.source, query)), behind: !all }
  }

  /** @throws the database's error */
  async requests(filter: RequestFilter, page: RequestPage): Promise<Awaited<ReturnType<typeof requestRows>>> {
    await this.flush()
    return requestRows(this.source, filter, page)
  }

  /** Names that were ever used, a bounded number of them: for suggestions. */
  async names(group: ColumnGroup): Promise<string[]> {
    const column = groupColumns[group]
    const rows = await this.source.db
      .selectFrom('ledger_days')
      .select(column)
      .distinct()
      .orderBy(column)
      .limit(namesMax)
      .execute()
    return rows.map((row) => (row as Record<string, string>)[column]!).filter((name) => name !== '')
  }
}
