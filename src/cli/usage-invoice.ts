// `headgate usage invoice`: a team's month.

import { nearestName } from '../config/suggest.ts'
import { coarseRemark, invoiceCsv, invoiceJson, invoiceMarkdown, invoiceOf } from '../reports/invoice.ts'
import { readPeriod } from '../reports/period.ts'
import { Reports } from '../reports/reports.ts'
import { Zone } from '../reports/zone.ts'
import { printed, printError } from './print.ts'
import { WrongUsage, withLedger, zoneOf, type StoreOptions } from './usage-store.ts'

/** Options of `usage invoice`. */
export interface InvoiceOptions extends StoreOptions {
  readonly team: string
  readonly month: string
  readonly tz?: string
  readonly format?: 'md' | 'csv' | 'json'
}

/** Prints the invoice. @returns the exit code */
export async function runUsageInvoice(options: InvoiceOptions): Promise<number> {
  return withLedger(options, async ({ storage, nowMs }) => {
    const { team, format } = options
    const zone = zoneOf(options.tz)
    const local = new Zone(zone)
    const period = /^\d{4}-\d{2}$|^(?:this|last)-month$/.test(options.month)
      ? readPeriod(options.month, local, nowMs)
      : null
    if (period === null)
      throw new WrongUsage('--month: expected a month such as 2026-11, this-month or last-month')
    const month = local.label(period.fromMs, 'month')
    const names = await new Reports(storage).names('team')
    if (!names.includes(team)) {
      const near = nearestName(team, names)
      const hint = near === null ? 'headgate usage --by team lists them' : `did you mean ${near}?`
      throw new WrongUsage(`--team: nothing was ever used by this team (${hint})`)
    }
    const invoice = await invoiceOf(storage, { team, month, ...period, zone })
    if (period.fromMs > nowMs) printError(`note: ${month} has not begun\n`)
    else if (period.toMs > nowMs) printError('note: this month is not over: what follows will still grow\n')
    if (format === 'json') return printed(JSON.stringify(invoiceJson(invoice), null, 2))
    const coarse = coarseRemark(invoice)
    if (format === 'csv' && coarse !== null) printError(`note: ${coarse}\n`)
    if (format === 'csv') return printed(invoiceCsv(invoice).replace(/\r\n$/, '\r'))
    return printed(invoiceMarkdown(invoice))
  })
}
