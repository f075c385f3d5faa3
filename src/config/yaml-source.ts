// YAML text to a plain tree, and from any place in that tree back to a line. `${…}` is opaque here: before parsing, each
// one is swapped for a run of private characters of the same length, since `[ ${env:KEY} ]` is not YAML (a brace ends
// plain text inside brackets) and a `#` or `: ` in a command would end it too. Same length keeps every position right.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import type { Node, Scalar } from 'yaml'
import { danglingAlias, explainFault, isLeftOpen } from './yaml-faults.ts'
import type { YamlDocument } from './yaml-faults.ts'
import { nextReference } from './references.ts'

/** A place in a file, from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Finds where a setting stands: its key or its value; of one that is absent, the nearest thing around it. */
export type Locate = (path: readonly (string | number)[], at: 'key' | 'value') => Position | null

/** Something that is not the YAML we take. */
export interface YamlFault extends Position {
  readonly message: string
  readonly suggestion: string | null
}

export interface YamlSource {
  /** undefined where `faults` is not empty; null for an empty file. */
  readonly tree: unknown
  readonly faults: readonly YamlFault[]
  readonly locate: Locate
}

/** Reads one YAML document. Never throws: what is wrong comes back as faults, none of which repeats the file's text. */
export function parseYaml(text: string): YamlSource {
  const lines = new LineCounter()
  const opaque = hideReferences(text)
  const end = Math.max(opaque.text.trimEnd().length - 1, 0)
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(offset, end))
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const fail = (faults: YamlFault[]): YamlSource => ({ tree: undefined, faults, locate: () => null })
  try {
    const options = {
      lineCounter: lines,
      prettyErrors: false,
      merge: true,
      stringKeys: true,
      logLevel: 'error',
    } as const
    const document = parseDocument(opaque.text, options)
    const found = [...document.errors, ...document.warnings]
    const leftOpen = found.findIndex(isLeftOpen)
    const telling = leftOpen < 0 ? found : found.slice(0, leftOpen + 1)
    const faults = telling.map((error) => {
      const { offset, ...words } = explainFault(error, { document, text: opaque.text })
      return { ...at(offset), ...words }
    })
    if (faults.length > 0) return fail(onePerLine(faults))
    const dangling = restore(document, opaque.references)
    if (dangling !== null) return fail([{ ...at(dangling), ...danglingAlias }])
    const tree: unknown = document.toJS({ maxAliasCount: 100 })
    return { tree, faults, locate: (path, part) => locate(document.contents, { path, part, at }) }
  } catch {
    // The parser's own guards: aliases that multiply, nesting that exhausts the stack.
    const message = 'the file nests too deeply or repeats its anchors too often'
    return fail([{ line: 1, column: 1, message, suggestion: null }])
  }
}

/** One cause often gives several errors, most of them on its own line or at the file's end. */
function onePerLine(faults: YamlFault[]): YamlFault[] {
  const first = new Map<number, YamlFault>()
  for (const fault of faults.toSorted((a, b) => a.line - b.line)) {
    if (!first.has(fault.line)) first.set(fault.line, fault)
  }
  return [...first.values()].slice(0, 20)
}

// Private-use characters: one opens, two digits number the reference, one fills up to the length.
const open = '\uE000'
const fill = '\uE001'
const digitBase = 0xe100
const radix = 4096
const placeholder = /\uE000([\uE100-\uF0FF])([\uE100-\uF0FF])\uE001*/g

function hideReferences(text: string): { text: string; references: string[] } {
  const references: string[] = []
  if (/[\uE000-\uF8FF]/.test(text)) return { text, references }
  const parts: string[] = []
  let from = 0
  for (let at = 0; ;) {
    const reference = nextReference(text, at, true)
    if (reference === null) break
    if (reference === 'open') {
      at = text.indexOf('${', at) + 2
      continue
    }
    at = reference.end
    const index = references.length
    if (index >= radix * radix) break
    references.push(text.slice(reference.start, reference.end))
    const number = String.fromCharCode(digitBase + Math.floor(index / radix), digitBase + (index % radix))
    parts.push(
      text.slice(from, reference.start),
      (open + number).padEnd(reference.end - reference.start, fill),
    )
    from = reference.end
  }
  return { text: parts.join('') + text.slice(from), references }
}

/** Puts references back into the document's text; gives the offset of an alias that leads nowhere, or null. */
function restore(document: YamlDocument, references: readonly string[]): number | null {
  let dangling: number | null = null
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string') node.value = restoreText(node, references)
    },
    Alias(_, node) {
      if (node.resolve(document) === undefined) dangling ??= node.range?.[0] ?? 0
    },
  })
  return dangling
}

function restoreText(node: Scalar, references: readonly string[]): string {
  return (node.value as string).replaceAll(placeholder, (_, high: string, low: string) => {
    const raw = references[(high.charCodeAt(0) - digitBase) * radix + low.charCodeAt(0) - digitBase]!
    const quotes = node.type === 'QUOTE_DOUBLE' ? '"' : node.type === 'QUOTE_SINGLE' ? "'" : null
    if (quotes === null) return raw
    // Inside quotes YAML would have undone the escapes: do what it would have done.
    const quoted = parseDocument(quotes + raw + quotes, { prettyErrors: false, logLevel: 'error' })
    return quoted.errors.length === 0 && isScalar(quoted.contents) ? String(quoted.contents.value) : raw
  })
}

interface Wanted {
  readonly path: readonly (string | number)[]
  readonly part: 'key' | 'value'
  at(offset: number): Position
}

function locate(root: unknown, wanted: Wanted): Position | null {
  let best = offsetOf(root)
  let node: unknown = root
  for (const [depth, step] of wanted.path.entries()) {
    const last = depth === wanted.path.length - 1
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step))
      if (pair === undefined) break
      const key = offsetOf(pair.key)
      node = pair.value
      best = last && wanted.part === 'key' ? key : (offsetOf(node) ?? key ?? best)
      // `key:` with nothing behind it has its value's place at the line's end: the key is the better place.
      if (isScalar(node) && node.value === null) best = key
      if (!last && !isAlias(node) && (isMap(node) || isSeq(node))) best = key ?? best
    } else if (isSeq(node)) {
      if (node.items[Number(step)] === undefined) break
      node = node.items[Number(step)]
      best = offsetOf(node) ?? best
    } else break
  }
  return best === null ? null : wanted.at(best)
}

function offsetOf(node: unknown): number | null {
  return (node as Node | null)?.range?.[0] ?? null
}
