// Days and months as people mean them: in a time zone, with its summer time. The machine's own zone is never used. Offsets
// are asked of the system at the ends of a UTC day only; within a day they are looked at more closely where those differ.

const quarterMs = 900_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** What a moment can be counted under. */
export type TimeUnit = 'hour' | 'day' | 'month'

/** Whether the system knows a time zone of this name. */
export function isZone(name: string): boolean {
  try {
    return /^[\w+:/-]{1,64}$/.test(name) && new Zone(name).offsetMs(0) <= 86_400_000
  } catch {
    return false
  }
}

export class Zone {
  readonly #format: Intl.DateTimeFormat | null
  readonly #known = new Map<number, number>()

  /** @param name as `isZone` takes it, such as `Europe/Berlin` */
  constructor(readonly name: string) {
    this.#format =
      name === 'UTC'
        ? null
        : new Intl.DateTimeFormat('en-US', {
            timeZone: name,
            hourCycle: 'h23',
            year: 'numeric',
            month: 'numeric',
            day: 'numeric',
            hour: 'numeric',
            minute: 'numeric',
            second: 'numeric',
          })
  }

  /** Local time less UTC at a moment, in ms. */
  offsetMs(atMs: number): number {
    if (this.#format === null) return 0
    const day = Math.floor(atMs / dayMs) * dayMs
    const before = this.#ask(day)
    if (before === this.#ask(day + dayMs)) return before
    return this.#ask(Math.floor(atMs / quarterMs) * quarterMs)
  }

  #ask(atMs: number): number {
    const known = this.#known.get(atMs)
    if (known !== undefined) return known
    const parts: Record<string, number> = {}
    for (const { type, value } of this.#format!.formatToParts(atMs)) parts[type] = Number(value)
    const { year, month, day, hour, minute, second } = parts
    const offset = Date.UTC(year!, month! - 1, day, hour, minute, second) - Math.floor(atMs / 1000) * 1000
    if (this.#known.size > 50_000) this.#known.clear()
    this.#known.set(atMs, offset)
    return offset
  }

  /** `2026-11`, `2026-11-25` or `2026-11-25T13:00+01:00`: hours name their offset, since one may come twice a year. */
  label(atMs: number, unit: TimeUnit): string {
    const offset = this.offsetMs(atMs)
    const local = new Date(atMs + offset).toISOString()
    if (unit === 'month') return local.slice(0, 7)
    if (unit === 'day') return local.slice(0, 10)
    return `${local.slice(0, 13)}:00${offsetText(offset)}`
  }

  /** The first moment of a local day; `day` may be out of its month's range, as with Date.UTC. `month` from 1. */
  startOf(year: number, month: number, day: number): number {
    const wanted = Date.UTC(year, month - 1, day)
    let atMs = wanted - this.offsetMs(wanted)
    atMs = wanted - this.offsetMs(atMs)
    // Where a clock jumps over midnight, the day begins with the jump.
    while (atMs + this.offsetMs(atMs) < wanted) atMs += quarterMs
    while (atMs - quarterMs + this.offsetMs(atMs - quarterMs) >= wanted) atMs -= quarterMs
    return atMs
  }

  /** Year, month and day of a moment. */
  dateOf(atMs: number): { year: number; month: number; day: number } {
    const local = new Date(atMs + this.offsetMs(atMs))
    return { year: local.getUTCFullYear(), month: local.getUTCMonth() + 1, day: local.getUTCDate() }
  }
}

function offsetText(offsetMs: number): string {
  if (offsetMs === 0) return 'Z'
  const minutes = Math.abs(offsetMs) / 60_000
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  return `${offsetMs < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`
}
