// Which table answers for which stretch of time. Sums of days where a whole UTC day falls under one label, sums of hours
// where a whole hour does, single rows for the rest: so a report is exact in every time zone and at every moment, and still
// reads as little as it can. Of the time before rows were let go only the days are left; they are taken whole.

/** A table, coarse to fine. */
export type Grain = 'ledger_days' | 'ledger_hours' | 'ledger'

/** From `fromMs` on, before `toMs`, out of one table. */
export interface Piece {
  readonly grain: Grain
  readonly fromMs: number
  readonly toMs: number
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

interface Wanted {
  readonly fromMs: number
  readonly toMs: number
  /** What a moment is counted under; constant where time does not matter. */
  readonly label: (atMs: number) => string
  /** Rows before this moment are gone; 0 = all are here. */
  readonly keptFromMs: number
}

/** The pieces, in order, touching ones of one table joined. */
export function piecesOf({ fromMs, toMs, label, keptFromMs }: Wanted): Piece[] {
  const pieces: { grain: Grain; fromMs: number; toMs: number }[] = []
  const add = (grain: Grain, from: number, to: number): void => {
    const last = pieces.at(-1)
    if (last?.grain === grain && last.toMs === from) last.toMs = to
    else pieces.push({ grain, fromMs: from, toMs: to })
  }
  const fits = (from: number, lengthMs: number): boolean =>
    from % lengthMs === 0 && from + lengthMs <= toMs && label(from) === label(from + lengthMs - 1)
  for (let at = fromMs; at < toMs;) {
    const next = (Math.floor(at / dayMs) + 1) * dayMs
    if (next <= keptFromMs) {
      // A day that only its end touches is counted where it begins.
      if (at === next - dayMs) add('ledger_days', at, next)
      at = next
      continue
    }
    const grain = fits(at, dayMs) ? 'ledger_days' : fits(at, hourMs) ? 'ledger_hours' : 'ledger'
    const hour = (Math.floor(at / hourMs) + 1) * hourMs
    const end = grain === 'ledger_days' ? next : Math.min(toMs, hour)
    add(grain, at, end)
    at = end
  }
  return pieces
}
