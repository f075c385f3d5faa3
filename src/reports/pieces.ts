// Which table answers for which stretch of time. Sums of days for whole UTC days, sums of hours for whole hours, single rows
// for the rest; where all groups are one, sums of quarters of an hour in place of hours, a row each. So a report is exact in
// every time zone and at every moment, and still reads as little as it can. A day of a zone is no UTC day; but all of it save
// an hour or a few is. So a UTC day is counted under the local day that has most of it, and the hours that belong to the
// other are moved there: an hour or two are read in place of twenty-four. Of the time before rows were let go only the days
// are left; they are taken whole.

/** A table, coarse to fine. */
export type Grain = 'ledger_days' | Part | 'ledger'

/** Sums of less than a day: hours for each combination of groups, or quarters of an hour over all. */
export type Part = 'ledger_hours' | 'ledger_quarters'

/** From `fromMs` on, before `toMs`, out of one table. */
export interface Piece {
  readonly grain: Grain
  readonly fromMs: number
  readonly toMs: number
  /** Is in the sum of its UTC day already, under the label of that, and is moved from there to its own. */
  readonly moved: boolean
}

const quarterMs = 900_000
const hourMs = 4 * quarterMs
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
  readonly part: Part
}

/** The label of a whole UTC day: that of its middle, which most of it has. `atMs`: any moment of it. */
export function dayLabel(label: Label, atMs: number): string {
  return label(Math.floor(atMs / dayMs) * dayMs + dayMs / 2)
}

/** The pieces, in order, touching ones of one kind joined. */
export function piecesOf({ fromMs, toMs, label, keptFromMs, hourly, part }: Wanted): Piece[] {
  const pieces = new Pieces(label, part)
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
      const { grain, end } = pieces.next(at, toMs)
      pieces.add(grain, at, end)
      at = end
    }
  }
  return [...pieces.counted, ...pieces.moved]
}

type Growing = { -readonly [Name in keyof Piece]: Piece[Name] }

class Pieces {
  readonly counted: Growing[] = []
  readonly moved: Growing[] = []

  constructor(
    private readonly label: Label,
    private readonly part: Part,
  ) {}

  add(grain: Grain, fromMs: number, toMs: number): void {
    join(this.counted, { grain, fromMs, toMs, moved: false })
  }

  /** What of a UTC day is counted under another label than most of it. */
  move(day: number): void {
    const most = dayLabel(this.label, day)
    for (let at = day; at < day + dayMs;) {
      const { grain, end } = this.next(at, day + dayMs)
      if (this.label(at) !== most) join(this.moved, { grain, fromMs: at, toMs: end, moved: true })
      at = end
    }
  }

  /** What comes first of a stretch: a whole hour under one label, or what there is of a quarter, which always is. */
  next(fromMs: number, toMs: number): { readonly grain: Grain; readonly end: number } {
    const hour = fromMs + hourMs
    if (fromMs % hourMs === 0 && hour <= toMs && this.label(fromMs) === this.label(hour - 1))
      return { grain: this.part, end: hour }
    const quarter = (Math.floor(fromMs / quarterMs) + 1) * quarterMs
    const isWhole = fromMs === quarter - quarterMs && quarter <= toMs
    const grain = isWhole && this.part === 'ledger_quarters' ? this.part : 'ledger'
    return { grain, end: Math.min(toMs, quarter) }
  }
}

function join(pieces: Growing[], piece: Growing): void {
  const last = pieces.at(-1)
  if (last?.grain === piece.grain && last.toMs === piece.fromMs) last.toMs = piece.toMs
  else pieces.push(piece)
}
