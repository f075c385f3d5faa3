// Lines of a report for people: columns that stand in line, numbers to the right, money with as many digits as the smallest
// amount needs, long names shortened to the terminal.

import { fittedWidths, shortened, terminalColumns } from './shortened.ts'
import { printable } from './usage-store.ts'

/** One column. */
export interface Column {
  readonly title: string
  readonly right: boolean
  readonly cells: readonly string[]
}

/** The table, without a line end. `lastIsTotal`: a rule is drawn above the last line. */
export function tableText(
  columns: readonly Column[],
  lastIsTotal: boolean,
  terminal = terminalColumns(),
): string {
  const natural = columns.map(({ title, cells }) =>
    cells.reduce((most, cell) => Math.max(most, width(printable(cell))), title.length),
  )
  const widths = fittedWidths(
    natural,
    columns.map(({ right }) => !right),
    terminal,
  )
  const line = (texts: readonly string[]): string =>
    texts
      .map((given, index) => {
        const text = columns[index]!.right ? given : shortened(given, widths[index]!)
        const space = ' '.repeat(Math.max(0, widths[index]! - width(text)))
        return columns[index]!.right ? space + text : text + space
      })
      .join('  ')
      .trimEnd()
  const count = columns[0]?.cells.length ?? 0
  const lines = Array.from({ length: count }, (_, row) =>
    line(columns.map(({ cells }) => printable(cells[row]!))),
  )
  const rule = widths.map((size) => '─'.repeat(size)).join('──')
  if (lastIsTotal) lines.splice(-1, 0, rule)
  return [line(columns.map(({ title }) => title)), ...lines].join('\n')
}

/** `1234567` as `1,234,567`. */
export function countText(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

function width(text: string): number {
  return Bun.stringWidth(text)
}
