// From and to, as people write them. A day or a month that is named as the end is included; a moment is not.

import { parseDuration } from '../base/duration.ts'
import type { Zone } from './zone.ts'

/** From `fromMs` on, before `toMs`. */
export interface Period {
  readonly fromMs: number
  readonly toMs: number
}

/** What may be written, for messages. */
export const periodForms =
  'a date such as 2026-11-01, a month such as 2026-11, a moment such as 2026-11-01T12:00:00Z, 7d, today, yesterday, this-month or last-month'

/** The days before now that are reported where nothing is said. */
export const defaultPeriod = '30d'

/** The stretch of time that a text names; null where it names none. `7d`: the last seven days. */
export function readPeriod(text: string, zone: Zone, nowMs: number): Period | null {
  const lasting = parseDuration(text)
  if (lasting !== null) return { fromMs: Math.max(0, nowMs - lasting), toMs: nowMs }
  const { year, month, day } = zone.dateOf(nowMs)
  const days = (from: number): Period => ({
    fromMs: zone.startOf(year, month, from),
    toMs: zone.startOf(year, month, from + 1),
  })
  const months = (of: number): Period => ({
    fromMs: zone.startOf(year, of, 1),
    toMs: zone.startOf(year, of + 1, 1),
  })
  if (text === 'now') return { fromMs: nowMs, toMs: nowMs }
  if (text === 'today') return days(day)
  if (text === 'yesterday') return days(day - 1)
  if (text === 'this-month') return months(month)
  if (text === 'last-month') return months(month - 1)
  return readDate(text, zone)
}

function readDate(text: string, zone: Zone): Period | null {
  const date = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(text)
  if (date === null) {
    if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(text)) return null
    const atMs = Date.parse(text)
    return Number.isNaN(atMs) || atMs < 0 ? null : { fromMs: atMs, toMs: atMs }
  }
  const [, year, month, day] = date.map(Number) as [number, number, number, number]
  const named = new Date(Date.UTC(year, month - 1, day || 1))
  // 30 February would otherwise be a day in March.
  if (year < 1970 || named.getUTCMonth() !== month - 1) return null
  return date[3] === undefined
    ? { fromMs: zone.startOf(year, month, 1), toMs: zone.startOf(year, month + 1, 1) }
    : { fromMs: zone.startOf(year, month, day), toMs: zone.startOf(year, month, day + 1) }
}

const stretches = ['today', 'yesterday', 'this-month', 'last-month']

/** What is wrong with a from and a to, or the period they make. */
export function periodOf(
  { from, to }: { from?: string | undefined; to?: string | undefined },
  zone: Zone,
  nowMs: number,
): Period | { readonly wrong: 'from' | 'to'; readonly message: string } {
  const first = readPeriod(from ?? defaultPeriod, zone, nowMs)
  if (first === null) return { wrong: 'from', message: `expected ${periodForms}` }
  // `--from last-month` alone means that month: whoever wants more says until when.
  const alone = from !== undefined && stretches.includes(from)
  const last = to === undefined ? { toMs: alone ? first.toMs : nowMs } : readPeriod(to, zone, nowMs)
  if (last === null) return { wrong: 'to', message: `expected ${periodForms}` }
  if (to === undefined && last.toMs < first.fromMs) return { wrong: 'from', message: 'lies in the future' }
  if (to !== undefined && last.toMs <= first.fromMs) return { wrong: 'to', message: 'lies before from' }
  return { fromMs: first.fromMs, toMs: last.toMs }
}
