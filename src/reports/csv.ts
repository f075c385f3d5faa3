// Comma-separated values (RFC 4180) that a spreadsheet shows and does not run: names come from clients, and a cell that
// begins like a formula is one.

/** A cell; numbers stay numbers. */
export type Cell = string | number | null

/** Lines ended by CRLF, each cell quoted where it has to be. */
export function csvText(lines: readonly (readonly Cell[])[]): string {
  return lines.map((cells) => `${cells.map(cellText).join(',')}\r\n`).join('')
}

function cellText(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell === 'number') return String(cell)
  const safe = /^[=+\-@\t\r\n]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe
}
