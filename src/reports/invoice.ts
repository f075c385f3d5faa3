// A team's month, line by line. Amounts are whole nano-dollars, and the totals are the sums of the lines as they stand
// there: whoever adds them up gets the same. The same ledger always gives the same invoice.

import type { Storage } from '../storage/open.ts'
import { csvText, type Cell } from './csv.ts'
import { dollarsText, exactDollars } from './money.ts'
import { firstKeptDay, usageReport, type UsageRow } from './usage.ts'
import { Zone } from './zone.ts'

/** Endpoint of rows that correct others; see docs/usage.md. */
export const correctionEndpoint = 'correction'

/** Whose, and for when. */
export interface InvoiceQuery {
  readonly team: string
  /** `2026-11`. */
  readonly month: string
  readonly fromMs: number
  readonly toMs: number
  readonly zone: string
}

const dayMs = 86_400_000

const sums = [
  'operations', 'attempts', 'estimated', 'unpriced', 'cached', 'input', 'cachedInput', 'cacheWrite', 'output', 'reasoning',
  'audioInput', 'audioOutput', 'billedNanoUsd', 'estimatedNanoUsd',
] as const // prettier-ignore

type InvoiceSums = Record<(typeof sums)[number], number>

/** What one key used of one model. */
export interface InvoiceLine extends Readonly<InvoiceSums> {
  readonly key: string | null
  readonly model: string | null
  readonly priceVersions: readonly string[]
}

/** The whole. */
export interface Invoice {
  readonly query: InvoiceQuery
  readonly lines: readonly InvoiceLine[]
  /** Differences that were booked later; may be negative. */
  readonly corrections: readonly InvoiceLine[]
  readonly totals: Readonly<InvoiceSums> & {
    readonly settledNanoUsd: number
    readonly correctedNanoUsd: number
  }
  /** Before this moment single rows are gone, and days are those of UTC; null = all is exact. */
  readonly coarseBeforeMs: number | null
  /** A sum is beyond what is exact: no invoice should be written of it. */
  readonly saturated: boolean
}

/** Reads it. @throws TooManyLines, or the database's error */
export async function invoiceOf(storage: Storage, query: InvoiceQuery): Promise<Invoice> {
  const { team, fromMs, toMs, zone } = query
  const by = ['key', 'model', 'endpoint', 'priceVersion'] as const
  const report = await usageReport(storage, { by, fromMs, toMs, zone, filter: { team } })
  const isCorrection = (row: UsageRow): boolean => row.endpoint === correctionEndpoint
  const lines = linesOf(report.rows.filter((row) => !isCorrection(row)))
  const corrections = linesOf(report.rows.filter(isCorrection))
  const all = [...lines, ...corrections]
  const totals = Object.fromEntries(
    sums.map((name) => [name, all.reduce((sum, line) => sum + line[name], 0)]),
  ) as InvoiceSums
  const correctedNanoUsd = corrections.reduce((sum, { billedNanoUsd }) => sum + billedNanoUsd, 0)
  const settledNanoUsd = totals.billedNanoUsd - totals.estimatedNanoUsd
  const saturated = report.saturated || !Number.isSafeInteger(totals.billedNanoUsd)
  return {
    query,
    lines,
    corrections,
    totals: { ...totals, settledNanoUsd, correctedNanoUsd },
    // A month that begins and ends with days of UTC is the sum of them.
    coarseBeforeMs: fromMs % dayMs === 0 && toMs % dayMs === 0 ? null : report.coarseBeforeMs,
    saturated,
  }
}

function linesOf(rows: readonly UsageRow[]): InvoiceLine[] {
  const found = new Map<
    string,
    { key: string | null; model: string | null; versions: Set<string>; sums: InvoiceSums }
  >()
  for (const row of rows) {
    const { key = null, model = null, priceVersion } = row
    const id = JSON.stringify([key, model])
    let line = found.get(id)
    if (line === undefined) {
      const zeros = Object.fromEntries(sums.map((name) => [name, 0])) as InvoiceSums
      found.set(id, (line = { key, model, versions: new Set(), sums: zeros }))
    }
    if (priceVersion != null) line.versions.add(priceVersion)
    for (const name of sums) line.sums[name] += row[name]
  }
  return [...found.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { key, model, versions, sums: own }]) => ({
      key,
      model,
      priceVersions: [...versions].sort(),
      ...own,
    }))
}

/** For machines. */
export function invoiceJson(invoice: Invoice): unknown {
  const { query, lines, corrections, totals, coarseBeforeMs, saturated } = invoice
  const { team, month, zone, fromMs, toMs } = query
  const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toISOString())
  const coarseBefore = coarseBeforeMs === null ? null : new Date(coarseBeforeMs).toISOString()
  return { team, month, timeZone: zone, from, to, lines, corrections, totals, coarseBefore, saturated }
}

/** For spreadsheets: one line each, and the total last. */
export function invoiceCsv({ query, lines, corrections, totals }: Invoice): string {
  const names = ['kind', 'team', 'month', 'key', 'model', ...sums, 'billedUsd', 'priceVersions']
  const line = (kind: string, one: InvoiceLine | null): Cell[] => {
    const own = one ?? totals
    return [
      kind,
      query.team,
      query.month,
      one?.key ?? null,
      one?.model ?? null,
      ...sums.map((name) => own[name]),
      exactDollars(own.billedNanoUsd),
      one === null ? null : one.priceVersions.join(' '),
    ]
  }
  return csvText([
    names,
    ...lines.map((one) => line('usage', one)),
    ...corrections.map((one) => line('correction', one)),
    line('total', null),
  ])
}

/** What to know of days of which only the sum is left; null where it makes no difference. */
export function coarseRemark({ query, coarseBeforeMs }: Invoice): string | null {
  if (coarseBeforeMs === null) return null
  return `Before ${firstKeptDay(coarseBeforeMs)} only whole days (UTC) are kept: those days are UTC's, not those of ${query.zone}.`
}

/** For people. */
export function invoiceMarkdown(invoice: Invoice): string {
  const { query, lines, corrections, totals, saturated } = invoice
  const coarse = coarseRemark(invoice)
  const places = exactPlaces([...lines, ...corrections].map(({ billedNanoUsd }) => billedNanoUsd))
  const money = (nano: number): string => dollarsText(nano, places)
  const zone = new Zone(query.zone)
  const lastDay = zone.label(query.toMs - 1, 'day')
  const head = ['Key', 'Model', 'Operations', 'Input', 'of it cached', 'of it written to cache', 'Output', 'of it reasoning', 'Audio in / out', 'Billed', 'Remarks'] // prettier-ignore
  const table = (rows: readonly InvoiceLine[]): string[] => [
    `| ${head.join(' | ')} |`,
    `|${head.map((_, index) => (index < 2 || index === head.length - 1 ? '---' : '---:')).join('|')}|`,
    ...rows.map((row) => `| ${cellsOf(row, money).join(' | ')} |`),
  ]
  const versions = [
    ...new Set([...lines, ...corrections].flatMap(({ priceVersions }) => priceVersions)),
  ].sort()
  return [
    `# Usage of team ${plain(query.team)} in ${query.month}`,
    '',
    `${zone.label(query.fromMs, 'day')} to ${lastDay}, both included, time zone ${query.zone}. All amounts in US dollars.`,
    ...(coarse === null ? [] : ['', coarse]),
    '',
    ...(lines.length === 0 ? ['Nothing was used.'] : table(lines)),
    '',
    ...(corrections.length === 0 ? [] : ['## Corrections', '', ...table(corrections), '']),
    '## Total',
    '',
    '| | |',
    '|---|---:|',
    `| Operations | ${totals.operations} |`,
    `| Settled | ${money(totals.settledNanoUsd - totals.correctedNanoUsd)} |`,
    ...(totals.estimated > 0
      ? [`| Estimated (${totals.estimated} calls) | ${money(totals.estimatedNanoUsd)} |`]
      : []),
    ...(corrections.length > 0 ? [`| Corrections | ${money(totals.correctedNanoUsd)} |`] : []),
    ...(totals.unpriced > 0 ? [`| Without a price (${totals.unpriced} calls) | not billed |`] : []),
    `| **Total** | **${money(totals.billedNanoUsd)}** |`,
    '',
    ...(saturated ? ['**A sum is beyond what can be counted exactly. Do not bill by this.**', ''] : []),
    `Prices: ${versions.length === 0 ? 'none' : versions.map((one) => `\`${one}\``).join(', ')}`,
  ].join('\n')
}

function cellsOf(row: InvoiceLine, money: (nano: number) => string): string[] {
  const remarks = [
    row.estimated > 0 ? `${row.estimated} estimated: ${money(row.estimatedNanoUsd)}` : '',
    row.unpriced > 0 ? `${row.unpriced} without a price` : '',
    row.cached > 0 ? `${row.cached} from the cache` : '',
  ]
  return [
    plain(row.key ?? '-'),
    plain(row.model ?? '-'),
    String(row.operations),
    String(row.input),
    String(row.cachedInput),
    String(row.cacheWrite),
    String(row.output),
    String(row.reasoning),
    `${row.audioInput} / ${row.audioOutput}`,
    money(row.billedNanoUsd),
    remarks.filter((text) => text !== '').join('; '),
  ]
}

/** Digits with which none of these loses anything; at least 2. */
function exactPlaces(amounts: readonly number[]): number {
  let places = 2
  for (const nano of amounts) while (places < 9 && nano % 10 ** (9 - places) !== 0) places++
  return places
}

/** Text of others in a document: no mark-up, no line break. */
function plain(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/g, ' ')
    .replace(/[\\`*_{}[\]<>|#&~]/g, '\\$&')
}
