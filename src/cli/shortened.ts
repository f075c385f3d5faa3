// Cells of tables for people. A name may have hundreds of characters, and one of them would push every line of its table
// over the edge; JSON and CSV have it whole.

/** Widest a cell gets where nobody's terminal says more. */
export const cellMax = 60
/** What is left of a cell at least. */
const cellMin = 12

/** A text of at most `most` columns; of a longer one both ends, which tell names apart. */
export function shortened(text: string, most: number): string {
  if (Bun.stringWidth(text) <= most) return text
  const characters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
  const head = fitting(characters, Math.ceil((most - 1) / 2))
  const tail = fitting(characters.toReversed(), Math.floor((most - 1) / 2))
  return `${head.join('')}…${tail.toReversed().join('')}`
}

function fitting(characters: readonly string[], most: number): string[] {
  let width = 0
  const end = characters.findIndex((one) => (width += Bun.stringWidth(one)) > most)
  return characters.slice(0, end === -1 ? characters.length : end)
}

/**
 * How wide each column may be, so that a line fits into a terminal: those that hold texts give way, the widest first.
 * @param widths of columns as they would be
 * @param terminal its columns; 0 = there is none
 */
export function fittedWidths(
  widths: readonly number[],
  isText: readonly boolean[],
  terminal: number,
): number[] {
  const fitted = widths.map((width, index) => (isText[index]! ? Math.min(width, cellMax) : width))
  let over = terminal === 0 ? 0 : fitted.reduce((sum, width) => sum + width + 2, -2) - terminal
  for (; over > 0; over--) {
    const widest = fitted.reduce(
      (best, width, index) => (isText[index]! && width > (fitted[best] ?? cellMin) ? index : best),
      -1,
    )
    if (widest === -1) break
    fitted[widest]! -= 1
  }
  return fitted
}

/** Columns of the terminal that standard output is; 0 = it is none. */
export function terminalColumns(): number {
  return process.stdout.isTTY && process.stdout.columns > 0 ? process.stdout.columns : 0
}
