// A report for machines: the same names as JSON and as CSV, for the command line and the admin API alike.

import { csvText } from './csv.ts'
import type { UsageReport, UsageSums } from './usage.ts'

const sumNames = [
  'operations', 'attempts', 'errors', 'estimated', 'unpriced', 'cached', 'input', 'cachedInput', 'cacheWrite', 'output',
  'reasoning', 'audioInput', 'audioOutput', 'costNanoUsd', 'billedNanoUsd', 'savedNanoUsd', 'estimatedNanoUsd',
] as const satisfies readonly (keyof UsageSums)[] // prettier-ignore

/** The report as the API and `--format json` answer it; numbers are whole and exact. */
export function usageJson(report: UsageReport): Record<string, unknown> {
  const { query, rows, totals, coarseBeforeMs, saturated, behind = false } = report
  return {
    rows,
    next: null,
    totals,
    from: new Date(query.fromMs).toISOString(),
    to: new Date(query.toMs).toISOString(),
    timeZone: query.zone,
    coarseBefore: coarseBeforeMs === null ? null : new Date(coarseBeforeMs).toISOString(),
    saturated,
    behind,
  }
}

/** The rows as CSV, with a line of names. */
export function usageCsv({ query, rows }: UsageReport): string {
  const { by } = query
  return csvText([
    [...by, ...sumNames],
    ...rows.map((row) => [...by.map((name) => row[name] ?? null), ...sumNames.map((name) => row[name])]),
  ])
}
