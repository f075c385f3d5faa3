// `headgate usage reprice --dry-run`: what another price file would have made of the calls of a period.

import { resolve } from 'node:path'
import { loadPrices } from '../prices/keeper.ts'
import { csvText } from '../reports/csv.ts'
import { dollarsText, placesFor } from '../reports/money.ts'
import { periodOf } from '../reports/period.ts'
import { reprice, type RepriceLine, type Repriced } from '../reports/reprice.ts'
import { Zone } from '../reports/zone.ts'
import { priceSettings } from './price-settings.ts'
import { printed, printError } from './print.ts'
import { WrongUsage, withLedger, zoneOf, type StoreOptions } from './usage-store.ts'
import { countText, tableText } from './usage-table.ts'

/** Options of `usage reprice`. */
export interface RepriceOptions extends StoreOptions {
  readonly prices: string
  readonly from?: string
  readonly to?: string
  readonly tz?: string
  readonly dryRun?: boolean
  readonly format?: 'table' | 'csv' | 'json'
}

const refusal =
  'rows are never rewritten: what was billed stays as it was. Add --dry-run to see what these prices would have ' +
  'made of it; to use them for calls to come, name the file in meter.prices and reload.'

/** Prints what would change. @returns the exit code */
export async function runUsageReprice(options: RepriceOptions): Promise<number> {
  return withLedger(options, async ({ storage, config, nowMs }) => {
    if (options.dryRun !== true) throw new WrongUsage(refusal)
    const zone = new Zone(zoneOf(options.tz))
    const period = periodOf(options, zone, nowMs)
    if ('wrong' in period) throw new WrongUsage(`--${period.wrong}: ${period.message}`)
    const { upstreams } = priceSettings(config)
    const prices = loadPrices({ file: resolve(options.prices), upstreams })
    const result = await reprice(storage, { ...period, zone, prices, upstreams })
    if (options.format === 'json') return printed(JSON.stringify(result, null, 2))
    if (options.format === 'csv' && result.keptFrom !== null)
      printError(`note: ${letGoText(result.keptFrom)}\n`)
    if (options.format === 'csv') return printed(csv(result).replace(/\r\n$/, '\r'))
    return printed(shown(result))
  })
}

const names = ['calls', 'oldNanoUsd', 'newNanoUsd', 'oldUnpriced', 'newUnpriced'] as const

function csv({ lines }: Repriced): string {
  return csvText([
    ['day', 'team', 'model', ...names],
    ...lines.map((line) => [line.day, line.team, line.model, ...names.map((name) => line[name])]),
  ])
}

function letGoText(keptFrom: string): string {
  return `Calls before ${keptFrom.slice(0, 10)} (UTC) were let go (meter.retention): only the sums of their days are left, which have no price to change.`
}

function shown({ version, lines, total, keptFrom }: Repriced): string {
  const letGo = keptFrom === null ? [] : [letGoText(keptFrom)]
  if (lines.length === 0) return ['There are no calls in this period.', ...letGo].join('\n')
  const all: (Pick<RepriceLine, (typeof names)[number]> & Partial<RepriceLine>)[] = [...lines, total]
  const text = (of: (line: (typeof all)[number], last: boolean) => string) =>
    all.map((line, index) => of(line, index === lines.length))
  const places = placesFor(all.flatMap(({ oldNanoUsd, newNanoUsd }) => [oldNanoUsd, newNanoUsd]))
  const money = (nano: number, unpriced: number) => dollarsText(nano, places) + (unpriced > 0 ? ' ?' : '')
  const columns = [
    { title: 'DAY', right: false, cells: text(({ day }, last) => (last ? 'total' : day!)) },
    { title: 'TEAM', right: false, cells: text(({ team }, last) => (last ? '' : (team ?? '-'))) },
    { title: 'MODEL', right: false, cells: text(({ model }, last) => (last ? '' : (model ?? '-'))) },
    { title: 'CALLS', right: true, cells: text(({ calls }) => countText(calls)) },
    { title: 'OLD', right: true, cells: text((one) => money(one.oldNanoUsd, one.oldUnpriced)) },
    { title: 'NEW', right: true, cells: text((one) => money(one.newNanoUsd, one.newUnpriced)) },
    {
      title: 'DIFFERENCE',
      right: true,
      cells: text((one) => dollarsText(one.newNanoUsd - one.oldNanoUsd, places)),
    },
  ]
  const unpriced = total.oldUnpriced + total.newUnpriced > 0
  const notes = unpriced
    ? [`? without a price: ${total.oldUnpriced} calls before, ${total.newUnpriced} after`]
    : []
  return [`With ${version}; nothing was changed`, '', tableText(columns, true), ...notes, ...letGo].join('\n')
}
