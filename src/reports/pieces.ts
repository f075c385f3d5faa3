// Which table answers for which stretch of time. Sums of days for whole UTC days, sums of hours for whole hours, single rows
// for the rest: so a report is exact in every time zone and at every moment, and still reads as little as it can. A day of
// a zone is no UTC day; but all of it save an hour or a few is. So a UTC day is counted under the local day that has most of
// it, and the hours that belong to the other are moved there: an hour or two are read in place of twenty-four. Of the
// time before rows were let go only the days are left; they are taken whole.

/** A table, coarse to fine. */
export type Grain = 'ledger_days' | 'ledger_hours' | 'ledger'

/** From `fromMs` on, before `toMs`, out of one table. */
export interface Piece {
  readonly grain: Grain
  readonly fromMs: number
  readonly toMs: number
  /** Is in the sum of its UTC day already, under the label of that, and is moved from there to its own. */
  readonly moved: boolean
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** What a moment is counted under. */
export type Label = (atMs: number) => string

interface Wanted {
  readonly fromMs: number
  readonly toMs: number
  /** Constant where time does not matter. */
  readonly label: Label
  /** Rows before this moment are gone; 0 = all are here. */
  readonly keptFromMs: number
  /** Labels change many times a day: sums of days are of no use. */
  readonly hourly: boolean
}

/** The label of a whole UTC day: that of its middle, which most of it has. `atMs`: any moment of it. */
export function dayLabel(label: Label, atMs: number): string {
  return label(Math.floor(atMs / dayMs) * dayMs + dayMs / 2)
}

/** The pieces, in order, touching ones of one kind joined. */
export function piecesOf({ fromMs, toMs, label, keptFromMs, hourly }: Wanted): Piece[] {
  const pieces = new Pieces(label)
  for (let at = fromMs; at < toMs;) {
    const day = Math.floor(at / dayMs) * dayMs
    const next = day + dayMs
    if (next <= keptFromMs) {
      // A day that only its end touches is counted where it begins.
      if (at === day) pieces.add('ledger_days', at, next)
      at = next
    } else if (at === day && next <= toMs && !hourly) {
      pieces.add('ledger_days', at, next)
      if (label(day) !== label(next - 1)) pieces.move(day)
      at = next
    } else {
      const end = Math.min(toMs, (Math.floor(at / hourMs) + 1) * hourMs)
      pieces.add(pieces.isOneHour(at, end) ? 'ledger_hours' : 'ledger', at, end)
      at = end
    }
  }
  return [...pieces.counted, ...pieces.moved]
}

type Growing = { -readonly [Name in keyof Piece]: Piece[Name] }

class Pieces {
  readonly counted: Growing[] = []
  readonly moved: Growing[] = []

  constructor(private readonly label: Label) {}

  add(grain: Grain, fromMs: number, toMs: number): void {
    join(this.counted, { grain, fromMs, toMs, moved: false })
  }

  /** The hours of a UTC day that are counted under another label than most of it. */
  move(day: number): void {
    const most = dayLabel(this.label, day)
    for (let at = day; at < day + dayMs; at += hourMs) {
      const end = at + hourMs
      if (!this.isOneHour(at, end)) join(this.moved, { grain: 'ledger', fromMs: at, toMs: end, moved: true })
      else if (this.label(at) !== most)
        join(this.moved, { grain: 'ledger_hours', fromMs: at, toMs: end, moved: true })
    }
  }

  /** Whether it is a whole hour under one label. */
  isOneHour(fromMs: number, toMs: number): boolean {
    return fromMs % hourMs === 0 && toMs - fromMs === hourMs && this.label(fromMs) === this.label(toMs - 1)
  }
}

function join(pieces: Growing[], piece: Growing): void {
  const last = pieces.at(-1)
  if (last?.grain === piece.grain && last.toMs === piece.fromMs) last.toMs = piece.toMs
  else pieces.push(piece)
}
