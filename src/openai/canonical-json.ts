// JSON texts that mean the same, as one text: members sorted, numbers by value, strings escaped one way. Two texts become the
// same only if every reader would take them for the same, so what readers disagree about has no canonical text: a member
// given twice, a byte order mark, broken UTF-8, nesting beyond any use. JSON.parse does the reading; a scan beside it
// counts names (a name that was swallowed is missing in the tree) and finds numbers that a double does not hold exactly.

import { stringEnd } from './json-keys.ts'

/** What JSON.parse gives. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** A JSON text read for comparing. */
export interface ReadJson {
  readonly value: Json
  /** Some number has more digits than a double holds: the text is only equal to itself. */
  readonly inexact: boolean
}

/** How deep brackets may nest. */
const depthMax = 128

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a JSON text that has one meaning; null where it has none, or several. */
export function readOneMeaning(bytes: Uint8Array): ReadJson | null {
  try {
    const text = decoder.decode(bytes)
    const scanned = scan(text)
    if (scanned === null) return null
    const value = JSON.parse(text) as Json
    return countNames(value) === scanned.names ? { value, inexact: scanned.inexact } : null
  } catch {
    return null
  }
}

interface Scanned {
  readonly names: number
  readonly inexact: boolean
}

const numberAt = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const colonAt = /[\t\n\r ]*:/y

/** Counts names and looks at numbers, in a text that JSON.parse judges. */
function scan(text: string): Scanned | null {
  let names = 0
  let depth = 0
  let inexact = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = stringEnd(text, at)
      colonAt.lastIndex = at + 1
      if (colonAt.test(text)) names++
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      numberAt.lastIndex = at
      const token = numberAt.exec(text)?.[0]
      if (token === undefined) return null
      if (!isExact(token)) inexact = true
      at += token.length - 1
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > depthMax) return null
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return { names, inexact }
}

/** Whether a double holds this number: 15 digits without an exponent always fit. */
function isExact(token: string): boolean {
  if (token.length <= 15 && !/[eE]/.test(token)) return true
  const value = Number(token)
  return Number.isFinite(value) && decimal(token) === decimal(String(value))
}

/** A number's digits and exponent, written one way. */
function decimal(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const bare = digits.replace(/0+$/, '')
  if (bare === '') return '0'
  return `${sign}${bare}e${Number(exponent) - fraction.length + (digits.length - bare.length)}`
}

function countNames(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) for (const item of value) count += countNames(item)
  else for (const name of Object.keys(value)) count += 1 + countNames(value[name]!)
  return count
}

/** The one text of a value. Two values have the same text exactly if they are equal. */
export function canonicalText(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return value === 0 ? '0' : String(value)
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map((item) => canonicalText(item)).join()}]`
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalText(value[name]!)}`)
  return `{${members.join()}}`
}

/** Whether a value is an object, not a list. */
export function isObject(value: unknown): value is { [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
