// Texts of lists that come again and again, such as the dimensions of rows: found by comparing values, which costs a tenth of
// writing them. A place is chosen by lengths and last letters; two lists that fall on one place take turns and cost
// what they cost without it.

import type { Values } from './columns.ts'

const places = 256

/** Remembers the texts of a few hundred lists. */
export class RepeatedText {
  readonly #lists: (Values | undefined)[] = Array.from({ length: places })
  readonly #texts: string[] = Array.from({ length: places }, () => '')

  constructor(private readonly write: (values: Values) => string) {}

  /** The text of `values`; the same string again where the list was the same. The list must not be changed afterwards. */
  of(values: Values): string {
    const place = placeOf(values)
    const known = this.#lists[place]
    if (known !== undefined && isSame(known, values)) return this.#texts[place]!
    this.#lists[place] = values
    return (this.#texts[place] = this.write(values))
  }
}

function placeOf(values: Values): number {
  let hash = values.length
  for (const value of values) {
    if (typeof value === 'string')
      hash = (hash * 31 + value.length * 7 + value.charCodeAt(value.length - 1)) | 0
    else hash = (hash * 31 + (value ?? 3)) | 0
  }
  return (hash ^ (hash >>> 11)) & (places - 1)
}

function isSame(a: Values, b: Values): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}
