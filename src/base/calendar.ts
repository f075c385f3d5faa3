// Periods of the calendar in a time zone: the hour, day, week (from Monday), month or year that a moment lies in. Asking
// the time zone's rules costs microseconds, so whoever asks often keeps the period and asks again when it is over.

/** Units of the calendar that a period can be. */
export const calendarUnits = ['hour', 'day', 'week', 'month', 'year'] as const
export type CalendarUnit = (typeof calendarUnits)[number]

/** From `startMs` up to, and not including, `endMs`; both since the Unix epoch. */
export interface Period {
  readonly startMs: number
  readonly endMs: number
}

/** Whether `zone` is a time zone of the IANA database. */
export function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

const hourMs = 3_600_000
const dayMs = 86_400_000
const formats = new Map<string, Intl.DateTimeFormat>()

/** The period of this unit that `wallMs` lies in. */
export function periodAt(unit: CalendarUnit, zone: string, wallMs: number): Period {
  const localMs = wallMs + offsetMs(zone, wallMs)
  if (unit === 'hour') {
    const startMs = wallMs - (((localMs % hourMs) + hourMs) % hourMs)
    return { startMs, endMs: startMs + hourMs }
  }
  const local = new Date(localMs)
  const [year, month, day] = [local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()]
  const begins = (y: number, m: number, d: number): number => midnight(zone, Date.UTC(y, m, d))
  if (unit === 'year') return { startMs: begins(year, 0, 1), endMs: begins(year + 1, 0, 1) }
  if (unit === 'month') return { startMs: begins(year, month, 1), endMs: begins(year, month + 1, 1) }
  if (unit === 'day') return { startMs: begins(year, month, day), endMs: begins(year, month, day + 1) }
  const monday = day - ((local.getUTCDay() + 6) % 7)
  return { startMs: begins(year, month, monday), endMs: begins(year, month, monday + 7) }
}

/** The first moment of a local day. Where summer time leaves midnight out, the day begins behind the gap. */
function midnight(zone: string, localMs: number): number {
  // Of the two offsets in force around it, the one that gives the earliest moment that is not before that day.
  const candidates = [localMs - offsetMs(zone, localMs - dayMs), localMs - offsetMs(zone, localMs + dayMs)]
  const fits = candidates.filter((at) => at + offsetMs(zone, at) >= localMs)
  return fits.length === 0 ? Math.max(...candidates) : Math.min(...fits)
}

/** Local time minus UTC. */
function offsetMs(zone: string, wallMs: number): number {
  if (zone === 'UTC') return 0
  let format = formats.get(zone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formats.set(zone, format)
  }
  const part: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(wallMs)) part[type] = Number(value)
  const local = Date.UTC(
    part['year']!,
    part['month']! - 1,
    part['day'],
    part['hour'],
    part['minute'],
    part['second'],
  )
  return local - Math.floor(wallMs / 1000) * 1000
}
