// Bars in the terminal: one a line, in eighths of a character, as wide as the terminal. No colours, so nothing has to be
// switched off.

import { printable } from './usage-store.ts'

/** One bar. */
export interface Bar {
  readonly label: string
  readonly value: number
  /** What stands behind the bar. */
  readonly text: string
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
const barMin = 10

/** The bars, without a line end. Negative values have none. */
export function plotText(bars: readonly Bar[], width: number): string {
  const right = Math.max(0, ...bars.map(({ text }) => text.length))
  // A label says which bar it is: bars give way first.
  const labelMax = Math.max(8, width - right - 4 - barMin)
  const labels = bars.map(({ label }) => cut(printable(label), labelMax))
  const left = Math.max(0, ...labels.map((label) => Bun.stringWidth(label)))
  const room = Math.max(barMin, width - left - right - 4)
  const most = Math.max(0, ...bars.map(({ value }) => value))
  return bars
    .map(({ value, text }, index) => {
      const label = labels[index]!
      const pad = ' '.repeat(left - Bun.stringWidth(label))
      return `${label}${pad}  ${barOf(most <= 0 ? 0 : (Math.max(0, value) / most) * room, value > 0)} ${text}`
    })
    .join('\n')
}

/** What is there at all shows. */
function barOf(length: number, some: boolean): string {
  const parts = Math.max(some ? 1 : 0, Math.round(length * 8))
  return '█'.repeat(Math.floor(parts / 8)) + eighths[parts % 8]!
}

function cut(text: string, size: number): string {
  return Bun.stringWidth(text) <= size ? text : `${[...text].slice(0, size - 1).join('')}…`
}
