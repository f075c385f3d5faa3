// `headgate usage reconcile`: our books against the provider's, by day and model.

import type { Config } from '../config/schema.ts'
import { nearestName } from '../config/suggest.ts'
import { csvText } from '../reports/csv.ts'
import { dollarsText, placesFor } from '../reports/money.ts'
import { periodOf } from '../reports/period.ts'
import { BooksFailure, providerBooks, type BooksSource } from '../reports/provider-books.ts'
import { bookCorrections, driftsOf, type Drift } from '../reports/reconcile.ts'
import { Zone } from '../reports/zone.ts'
import { actor } from './keys.ts'
import { printed, printError } from './print.ts'
import { SaidProblem, WrongUsage, withLedger, type StoreOptions } from './usage-store.ts'
import { countText, tableText, type Column } from './usage-table.ts'

/** Options of `usage reconcile`. */
export interface ReconcileOptions extends StoreOptions {
  readonly upstream: string
  readonly from?: string
  readonly to?: string
  readonly tolerance?: string
  readonly book?: boolean
  readonly format?: 'table' | 'csv' | 'json'
}

const dayMs = 86_400_000

/** Prints the drifts, and books them where asked. @returns the exit code: 1 where a drift is over the tolerance */
export async function runUsageReconcile(options: ReconcileOptions): Promise<number> {
  return withLedger(options, async ({ storage, config, nowMs }) => {
    const { upstream } = options
    const tolerance = toleranceOf(options.tolerance ?? '1%')
    const source = sourceOf(config, upstream)
    const { leftOut, ...period } = wholeDays(options, nowMs)
    if (leftOut) printError('note: today (UTC) is not over and is left out\n')
    const theirs = await providerBooks(source, period).catch((cause: unknown) => {
      throw cause instanceof BooksFailure ? new SaidProblem(cause.message) : cause
    })
    const drifts = await driftsOf(storage, { upstream, ...period }, theirs)
    const wide = drifts.filter(({ drift }) => drift > tolerance)
    const said = say(drifts, { tolerance, format: options.format ?? 'table' })
    if (said !== 0) return said
    if (options.book === true) {
      const ids = await bookCorrections(storage, { upstream, drifts, by: actor(), atMs: nowMs })
      printError(
        ids.length === 0
          ? 'note: there is nothing to book\n'
          : `note: ${ids.length} correction rows were booked\n`,
      )
    }
    return wide.length > 0 ? 1 : 0
  })
}

function toleranceOf(text: string): number {
  const percent = /^(\d{1,3}(?:\.\d{1,4})?)%?$/.exec(text)?.[1]
  if (percent === undefined) throw new WrongUsage('--tolerance: expected a percentage such as 1% or 0.5%')
  return Number(percent) / 100
}

function sourceOf({ upstreams }: Config, name: string): BooksSource {
  const names = upstreams.map((one) => one.name)
  const upstream = upstreams.find((one) => one.name === name)
  if (upstream === undefined) {
    const near = nearestName(name, names)
    const hint = near === null ? `there are ${names.join(', ')}` : `did you mean ${near}?`
    throw new WrongUsage(`--upstream: no upstream has this name (${hint})`)
  }
  if (upstream.provider !== 'openai')
    throw new WrongUsage(
      `--upstream: ${name} is of provider ${upstream.provider}; only openai has usage and costs to read`,
    )
  const { adminKey, baseUrl, project, tls, proxy } = upstream
  if (adminKey === undefined)
    throw new SaidProblem(
      `upstream ${name} has no adminKey: make one at platform.openai.com/settings/organization/admin-keys and set adminKey: \${env:OPENAI_ADMIN_KEY}`,
    )
  return { baseUrl, adminKey, project, caFile: tls.caFile, proxy }
}

/** Days the provider counts are UTC's, and only a day that is over can be compared. */
function wholeDays({ from = '7d', to }: ReconcileOptions, nowMs: number) {
  const period = periodOf({ from, to }, new Zone('UTC'), nowMs)
  if ('wrong' in period) throw new WrongUsage(`--${period.wrong}: ${period.message}`)
  const today = Math.floor(nowMs / dayMs) * dayMs
  const fromMs = Math.floor(period.fromMs / dayMs) * dayMs
  const toMs = Math.min(Math.ceil(period.toMs / dayMs) * dayMs, today)
  if (toMs <= fromMs) throw new WrongUsage('--to: no day of this period is over yet (days are UTC)')
  if (toMs - fromMs > 366 * dayMs) throw new WrongUsage('--from: at most a year at once')
  return { fromMs, toMs, leftOut: to !== undefined && period.toMs > today }
}

interface Shown {
  readonly tolerance: number
  readonly format: 'table' | 'csv' | 'json'
}

function say(drifts: readonly Drift[], { tolerance, format }: Shown): number {
  if (format === 'json') {
    const rows = drifts.map((one) => ({ ...one, over: one.drift > tolerance }))
    return printed(JSON.stringify({ tolerance, rows }, null, 2))
  }
  if (format === 'csv') return printed(csv(drifts, tolerance).replace(/\r\n$/, '\r'))
  if (drifts.length === 0) return printed('Neither side has anything in this period.')
  return printed([table(drifts, tolerance), ...notes(drifts, tolerance)].join('\n'))
}

function csv(drifts: readonly Drift[], tolerance: number): string {
  const names = ['requests', 'input', 'cachedInput', 'output', 'costNanoUsd'] as const
  return csvText([
    ['day', 'model', ...names.map((name) => `ours.${name}`), ...names.map((name) => `theirs.${name}`), 'costDriftNanoUsd', 'drift', 'over'],
    ...drifts.map((one) => [
      one.day,
      one.model,
      ...names.map((name) => one.ours[name]),
      ...names.map((name) => one.theirs[name]),
      one.costDriftNanoUsd,
      one.drift,
      one.drift > tolerance ? 1 : 0,
    ]),
  ]) // prettier-ignore
}

function table(drifts: readonly Drift[], tolerance: number): string {
  const amounts = drifts.flatMap(({ ours, theirs }) => [ours.costNanoUsd ?? 0, theirs.costNanoUsd ?? 0])
  const places = placesFor(amounts)
  const money = (nano: number | null) => (nano === null ? '-' : dollarsText(nano, places))
  const column = (title: string, of: (one: Drift) => string, right = true): Column => ({
    title,
    right,
    cells: drifts.map(of),
  })
  return tableText(
    [
      column('DAY', ({ day }) => day, false),
      column('MODEL', ({ model }) => model, false),
      column('OUR INPUT', ({ ours }) => countText(ours.input)),
      column('THEIRS', ({ theirs }) => countText(theirs.input)),
      column('OUR OUTPUT', ({ ours }) => countText(ours.output)),
      column('THEIRS', ({ theirs }) => countText(theirs.output)),
      column('OUR COST', ({ ours, estimated }) => (estimated > 0 ? '~' : '') + money(ours.costNanoUsd)),
      column('THEIRS', ({ theirs }) => money(theirs.costNanoUsd)),
      column('DIFFERENCE', ({ costDriftNanoUsd }) => money(costDriftNanoUsd)),
      column('DRIFT', ({ drift }) => `${(drift * 100).toFixed(2)}%`),
      column('', ({ drift }) => (drift > tolerance ? '!' : ''), false),
    ],
    false,
  )
}

function notes(drifts: readonly Drift[], tolerance: number): string[] {
  const wide = drifts.filter(({ drift }) => drift > tolerance).length
  const loose = drifts.filter(
    ({ bookable, costDriftNanoUsd }) => !bookable && costDriftNanoUsd !== null,
  ).length
  const unpriced = drifts.reduce((sum, one) => sum + one.unpriced, 0)
  const estimated = drifts.reduce((sum, one) => sum + one.estimated, 0)
  return [
    '',
    wide === 0
      ? `All within ${tolerance * 100}%.`
      : `! ${wide} of ${drifts.length} lines drift by more than ${tolerance * 100}%`,
    ...(estimated > 0 ? [`~ holds ${countText(estimated)} estimated calls`] : []),
    ...(unpriced > 0 ? [`${countText(unpriced)} of our calls have no price`] : []),
    ...(loose > 0 ? [`${loose} lines have a cost and no usage of that name: --book leaves them out`] : []),
  ]
}
