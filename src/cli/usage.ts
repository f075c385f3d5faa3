// `headgate usage`: sums of the ledger for people, spreadsheets and scripts. Works by itself and beside a running gateway.

import { nearestName } from '../config/suggest.ts'
import { dollarsText, placesFor } from '../reports/money.ts'
import { periodOf } from '../reports/period.ts'
import { Reports } from '../reports/reports.ts'
import { usageCsv, usageJson } from '../reports/usage-output.ts'
import {
  firstKeptDay,
  groups,
  type ColumnGroup,
  type Group,
  type UsageFilter,
  type UsageQuery,
  type UsageReport,
  type UsageRow,
  type UsageSums,
} from '../reports/usage.ts'
import { Zone, type TimeUnit } from '../reports/zone.ts'
import { printed, printError } from './print.ts'
import { plotText } from './usage-plot.ts'
import { WrongUsage, withLedger, zoneOf, type StoreOptions } from './usage-store.ts'
import { countText, tableText, type Column } from './usage-table.ts'

/** Options of `usage`. */
export interface UsageOptions extends StoreOptions {
  readonly by?: string
  readonly from?: string
  readonly to?: string
  readonly tz?: string
  readonly format?: 'table' | 'csv' | 'json'
  readonly plot?: boolean
  readonly key?: string
  readonly team?: string
  readonly app?: string
  readonly user?: string
  readonly model?: string
  readonly endpoint?: string
  readonly upstream?: string
}

/** Prints the report. @returns the exit code */
export async function runUsage(options: UsageOptions): Promise<number> {
  if (options.plot === true && options.format !== undefined && options.format !== 'table')
    printError(`note: --plot draws for people; --format ${options.format} has the numbers without bars\n`)
  return withLedger(options, async ({ storage, nowMs }) => {
    const query = queryOf(options, nowMs)
    const reports = new Reports(storage)
    const report = await reports.usage(query)
    if (options.format === 'json') return printed(JSON.stringify(usageJson(report), null, 2))
    if (options.format === 'csv') return printed(usageCsv(report).replace(/\r\n$/, '\r'))
    if (report.rows.length === 0) {
      printError(`${await nothing(reports, report)}\n`)
      return 0
    }
    const body = options.plot === true ? plot(report) : table(report)
    return printed([heading(query), '', body, ...notes(report)].join('\n'))
  })
}

const defaultBy = 'key,model'

function queryOf(options: UsageOptions, nowMs: number): UsageQuery {
  const zone = zoneOf(options.tz)
  const period = periodOf(options, new Zone(zone), nowMs)
  if ('wrong' in period) throw new WrongUsage(`--${period.wrong}: ${period.message}`)
  const { key, team, app, user, model, endpoint, upstream } = options
  const given = Object.entries({ key, team, app, user, model, endpoint, upstream })
  const filter: UsageFilter = Object.fromEntries(given.filter(([, value]) => value !== undefined))
  return { by: groupsOf(options.by ?? defaultBy), ...period, zone, filter }
}

/** `key,day` as groups. @throws WrongUsage */
export function groupsOf(text: string): Group[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  for (const name of names) {
    if ((groups as readonly string[]).includes(name)) continue
    const near = nearestName(name, groups)
    const hint = near === null ? `known are ${groups.join(', ')}` : `did you mean ${near}?`
    throw new WrongUsage(`--by: there is no such group (${hint})`)
  }
  return [...new Set(names as Group[])]
}

function heading({ fromMs, toMs, zone }: UsageQuery): string {
  const local = new Zone(zone)
  const text = (atMs: number): string => {
    const hour = local.label(atMs, 'hour')
    const minutes = new Date(atMs + local.offsetMs(atMs)).toISOString().slice(14, 16)
    return `${hour.slice(0, 10)} ${hour.slice(11, 14)}${minutes}`
  }
  return `Usage from ${text(fromMs)} to ${text(toMs)} (${zone})`
}

type Row = UsageSums & Partial<Record<Group, string | null>>

function table(report: UsageReport): string {
  const { query, totals } = report
  const lines: Row[] = [...report.rows, totals]
  const total = report.rows.length
  const named = query.by.map((name, index): Column => ({
    title: name.replace(/[A-Z]/g, ' $&').toUpperCase(),
    right: false,
    cells: lines.map((row, at) => (at === total ? (index === 0 ? 'total' : '') : (row[name] ?? '-'))),
  }))
  const count = (title: string, of: (row: Row) => number): Column => ({
    title,
    right: true,
    cells: lines.map((row) => countText(of(row))),
  })
  const money = (title: string, of: (row: Row) => number): Column => {
    const places = placesFor(lines.map(of))
    const unsure = title === 'SAVED' ? () => false : (row: Row) => row.estimated > 0
    return {
      title,
      right: true,
      cells: lines.map((row) => (unsure(row) ? '~' : '') + dollarsText(of(row), places)),
    }
  }
  const optional: readonly [string, keyof UsageSums][] = [
    ['HITS', 'cached'],
    ['ERRORS', 'errors'],
    ['ESTIMATED', 'estimated'],
    ['UNPRICED', 'unpriced'],
    ['INPUT', 'input'],
    ['CACHED', 'cachedInput'],
    ['WRITTEN', 'cacheWrite'],
    ['OUTPUT', 'output'],
    ['REASONING', 'reasoning'],
    ['AUDIO IN', 'audioInput'],
    ['AUDIO OUT', 'audioOutput'],
  ]
  const always = new Set(['INPUT', 'OUTPUT'])
  const columns = [
    ...named,
    count('OPERATIONS', (row) => row.operations),
    ...optional
      .filter(([title, name]) => totals[name] > 0 || always.has(title))
      .map(([title, name]) => count(title, (row) => row[name])),
    money('COST', (row) => row.costNanoUsd),
    ...(lines.every((row) => row.costNanoUsd === row.billedNanoUsd)
      ? []
      : [money('BILLED', (row) => row.billedNanoUsd)]),
    ...(totals.savedNanoUsd > 0 ? [money('SAVED', (row) => row.savedNanoUsd)] : []),
  ]
  return tableText(columns, true)
}

function notes(report: UsageReport): string[] {
  const { totals, coarseBeforeMs, saturated } = report
  const found: string[] = []
  if (totals.estimated > 0) {
    const amount = dollarsText(totals.estimatedNanoUsd, placesFor([totals.estimatedNanoUsd]))
    found.push(`~ holds estimates: ${countText(totals.estimated)} calls, ${amount} of what is billed`)
  }
  if (totals.unpriced > 0)
    found.push(
      `${countText(totals.unpriced)} calls have no price and are not in the cost: name one in prices.yaml for calls to come`,
    )
  if (coarseBeforeMs !== null) found.push(coarseNote(report.query, coarseBeforeMs))
  if (saturated) found.push('a sum is beyond 9,007,199 dollars or 2^53 and stands at that bound')
  return found.length === 0 ? [] : ['', ...found]
}

function coarseNote({ by }: UsageQuery, coarseBeforeMs: number): string {
  const shown = by.includes('hour') ? ', and stands in the hour column as that day' : ''
  return `before ${firstKeptDay(coarseBeforeMs)} only whole days (UTC) are kept: one is counted if the period holds its beginning${shown}`
}

function plot(report: UsageReport): string {
  const { by } = report.query
  const rows = filled(report)
  const places = placesFor(rows.map(({ billedNanoUsd }) => billedNanoUsd))
  const bars = rows.map((row) => ({
    label: by.map((name) => row[name] ?? '-').join(' / ') || 'total',
    value: row.billedNanoUsd,
    text: (row.estimated > 0 ? '~' : '') + dollarsText(row.billedNanoUsd, places),
  }))
  const columns = process.stdout.columns
  return plotText(bars, Math.min(Math.max(columns > 0 ? columns : 80, 40), 200))
}

/** Days without a call are days too: with time alone as the group, they get their line. */
function filled({ query, rows, totals, coarseBeforeMs }: UsageReport): readonly UsageRow[] {
  const [unit] = query.by
  const step = { hour: 3_600_000, day: 86_400_000 }[unit as string]
  if (query.by.length !== 1 || step === undefined || rows.length < 2) return rows
  const zone = new Zone(query.zone)
  const known = new Map(rows.map((row) => [row[unit!], row]))
  const none = Object.fromEntries(Object.keys(totals).map((name) => [name, 0])) as unknown as UsageSums
  const [first, last] = [rows[0]![unit!]!, rows.at(-1)![unit!]!]
  const coarseMs = unit === 'hour' ? (coarseBeforeMs ?? 0) : 0
  const found = coarseMs > 0 ? rows.filter(({ hour }) => isDay(hour!)) : []
  let before = ''
  // In half steps: no day is shorter than half a day.
  for (
    let atMs = Math.max(query.fromMs, coarseMs);
    atMs < query.toMs && found.length < 2000;
    atMs += step / 2
  ) {
    const label = zone.label(atMs, unit as TimeUnit)
    if (label === before || label < first || label > last) continue
    before = label
    found.push(known.get(label) ?? { ...none, [unit!]: label })
  }
  return found
}

/** Whether what stands in the hour column is a day whose hours were let go. */
function isDay(hour: string): boolean {
  return hour.length === '2026-11-25'.length
}

async function nothing(reports: Reports, { query, coarseBeforeMs }: UsageReport): Promise<string> {
  const lines = [`headgate: nothing was used. ${heading(query)}`]
  for (const [name, value] of Object.entries(query.filter) as [ColumnGroup, string][]) {
    const names = await reports.names(name)
    if (names.includes(value)) continue
    const near = nearestName(value, names)
    lines.push(
      `  --${name}: nothing was ever used under this name${near === null ? '' : ` (did you mean ${near}?)`}`,
    )
  }
  if (coarseBeforeMs !== null) lines.push(`  Note: ${coarseNote(query, coarseBeforeMs)}.`)
  lines.push(
    '  Check --from and --to, and that --config or --data names the store that the gateway writes: serve prints it.',
  )
  return lines.join('\n')
}
