// Amounts with the time they are for, as people write them: `100/1m` is a sliding window, `1000/month` a period of the
// calendar, `$50/month` money in a period, `$5/30d` money in a sliding window, `$1000` money for all time.

import { calendarUnits, type CalendarUnit } from './calendar.ts'
import { parseDuration } from './duration.ts'

/** The shortest and the longest sliding window. */
export const windowMinMs = 1000
export const windowMaxMs = 400 * 86_400_000

/** An amount and the time it is for, as written. */
export interface Allowance {
  readonly amount: number
  /** Periods without their time zone, which stands beside them. */
  readonly span:
    | { readonly kind: 'sliding'; readonly windowMs: number }
    | { readonly kind: 'period'; readonly unit: CalendarUnit }
    | { readonly kind: 'total' }
  readonly text: string
}

const countPattern = /^([1-9]\d{0,14})\/(.+)$/
const moneyPattern = /^\$(\d{1,9}(?:\.\d{1,9})?)(?:\/(.+)| total)?$/

/** Reads `100/1m` (count) or `$50/month` (money: nano-dollars); null for anything else, and for windows out of range. */
export function parseSpan(text: string, kind: 'count' | 'money'): Allowance | null {
  const [, number, time] = (kind === 'count' ? countPattern : moneyPattern).exec(text) ?? []
  if (number === undefined) return null
  const amount = kind === 'count' ? Number(number) : nanoUsd(number)
  if (amount === 0 && kind === 'count') return null
  if (time === undefined) return kind === 'money' ? { amount, span: { kind: 'total' }, text } : null
  const unit = calendarUnits.find((each) => each === time)
  if (unit !== undefined) return { amount, span: { kind: 'period', unit }, text }
  const windowMs = parseDuration(time)
  if (windowMs === null || windowMs < windowMinMs || windowMs > windowMaxMs) return null
  return { amount, span: { kind: 'sliding', windowMs }, text }
}

/** Dollars as text, in nano-dollars; saturates. */
function nanoUsd(dollars: string): number {
  const [whole = '0', fraction = ''] = dollars.split('.')
  return Math.min(Number(whole) * 1e9 + Number(fraction.padEnd(9, '0')), Number.MAX_SAFE_INTEGER)
}
