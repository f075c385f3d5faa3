// What a line of the access log says, apart from its form. One line an exchange, whatever became of it. A client that
// left is 499 here, even where its 200 had begun, and whatever failed after that is not blamed on the upstream.

import type { Exchange } from '../../exchange.ts'
import { redactKeys } from '../../openai/errors.ts'

/** Writes one exchange as one line with its line end. `endedAtMs` is monotonic. */
export type AccessLine = (x: Exchange, endedAtMs: number) => string

/** Longest text taken from a client: a model may be named by a megabyte. */
export const textMax = 256
/** Longest path, and longest detail of a failure. */
export const pathMax = 1024

/** The text, or its beginning with an ellipsis. */
export function cut(text: string, max = textMax): string {
  return text.length > max ? `${text.slice(0, max)}…` : text
}

/** The path as received, never its query: a query may hold credentials. */
export function pathOf(x: Exchange): string {
  return cut(x.request.path, pathMax)
}

export function statusOf(x: Exchange): number {
  return x.gone ? 499 : x.status
}

/** Code of what went wrong, or null. */
export function failureOf(x: Exchange): string | null {
  return x.gone ? 'client_gone' : (x.failure?.code ?? null)
}

/** What happened underneath, or null. It may quote an upstream, so keys are taken out. */
export function detailOf(x: Exchange): string | null {
  const detail = x.failure?.detail ?? null
  return detail === null || x.gone ? null : redactKeys(cut(detail, pathMax))
}

/** Milliseconds to a tenth: finer is noise, and shorter lines are cheaper. */
export function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

/** Milliseconds from the request's first byte to the answer's first byte; null where none went out. */
export function firstByteMs(x: Exchange): number | null {
  return x.firstByteAtMs === 0 ? null : tenths(x.firstByteAtMs - x.startedAtMs)
}

let secondText = ''
let secondAt = NaN
/** `000Z` to `999Z`: joining digits is dearer than finding them. */
const millis = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`)

/** ISO 8601 in UTC with milliseconds. The text of a second is kept: making a Date is dearer than the rest of a line. */
export function isoTime(wallMs: number): string {
  const ms = Math.floor(wallMs)
  const second = Math.floor(ms / 1000)
  if (second !== secondAt) {
    // Beyond what a Date can show nothing sensible can be written; the line must be written all the same.
    secondText =
      Math.abs(ms) <= 8.64e15 ? new Date(second * 1000).toISOString().slice(0, -4) : '1970-01-01T00:00:00.'
    secondAt = second
  }
  return secondText + (millis[ms - second * 1000] ?? '000Z')
}
