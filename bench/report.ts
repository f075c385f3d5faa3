// Figures and how they are shown. A figure is the median over the rounds, with the least and the greatest beside it:
// a median alone would hide that the rounds disagree.

/** One line of the table. */
export interface Figure {
  readonly bench: string
  readonly what: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** Such as `>= 0.5`; '' = for information. */
  readonly goal: string
  readonly reached: boolean | null
}

/** What a line says besides its numbers. */
export interface Label {
  readonly bench: string
  readonly what: string
  readonly unit: string
  readonly atLeast?: number
  readonly atMost?: number
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const low = sorted[Math.floor(at)]!
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at))
}

/** A figure from the values of its rounds; the goal is held against the median. */
export function figure(label: Label, values: readonly number[]): Figure {
  const { bench, what, unit, atLeast, atMost } = label
  const middle = median(values)
  const goal = atLeast !== undefined ? `>= ${atLeast}` : atMost !== undefined ? `<= ${atMost}` : ''
  const reached = goal === '' ? null : middle >= (atLeast ?? -Infinity) && middle <= (atMost ?? Infinity)
  return {
    bench,
    what,
    unit,
    median: middle,
    min: Math.min(...values),
    max: Math.max(...values),
    goal,
    reached,
  }
}

function short(value: number): string {
  const size = Math.abs(value)
  return size >= 100 || size === 0
    ? value.toFixed(0)
    : size >= 10
      ? value.toFixed(1)
      : value.toFixed(size >= 1 ? 2 : 3)
}

export function formatTable(figures: readonly Figure[]): string {
  const rows = figures.map((one) => [
    one.bench,
    one.what,
    short(one.median),
    one.min === one.max ? '' : `${short(one.min)} … ${short(one.max)}`,
    one.unit,
    one.goal,
    one.reached === null ? '' : one.reached ? 'reached' : 'MISSED',
  ])
  const all = [['bench', 'what', 'median', 'least … most', 'unit', 'goal', 'verdict'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd()
  return `${all.map(line).join('\n')}\n`
}
