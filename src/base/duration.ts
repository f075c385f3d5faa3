// Durations as people write them in a config: a number and a unit, `250ms`, `10s`, `1.5h`, `30d`. A number without a
// unit is refused on purpose: half of all proxies read it as seconds, the other half as milliseconds.

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 }

type Unit = keyof typeof unitMs

/** What `parseDuration` takes; `m` is a minute, `y` is 365 days. */
export const durationPattern = /^\d+(\.\d+)?(ms|s|m|h|d|w|y)$/

/** `10s` as whole milliseconds; null for anything that is not a number and a unit. */
export function parseDuration(text: string): number | null {
  if (!durationPattern.test(text)) return null
  const number = Number.parseFloat(text)
  const unit = text.replace(/^[\d.]+/, '') as Unit
  const ms = Math.round(number * unitMs[unit])
  return Number.isSafeInteger(ms) ? ms : null
}

/** Milliseconds in the largest unit that divides them: 600000 gives `10m`. For messages and documents. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= unitMs[unit] && ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`
  }
  return `${ms}ms`
}
