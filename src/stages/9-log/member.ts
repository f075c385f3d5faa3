// One member of a log line as finished JSON text. What a member says repeats from line to line (models, paths, clients),
// so its text is kept once it has been escaped: finding it again costs a tenth of escaping it. What is kept is bounded in
// number and length, since clients choose most of these texts. Escaped beyond what JSON asks for is what a terminal acts on
// or hides (C1 controls, line separators, marks that turn text around), for the day someone cats the file.

import { cut, textMax } from './access-line.ts'

const plain = /^[ -~]*$/
/** Needs no escape at all: printable ASCII without quote and backslash. */
const bare = /^[ !#-[\]-~]*$/
const actedOn = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

const keptMax = 512
const keptLengthMax = 256

/** JSON text with what a terminal acts on written as escapes. Lone surrogates and C0 controls JSON.stringify escapes itself. */
export function inert(json: string): string {
  if (plain.test(json)) return json
  return json.replace(actedOn, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A text as a JSON string, inert. */
export function quoted(text: string): string {
  return bare.test(text) ? `"${text}"` : inert(JSON.stringify(text))
}

/** The text as one string of its own: joined strings would be walked piece by piece in every line, and keep alive what they were cut from. */
export function solid(text: string): string {
  return Buffer.from(text).toString()
}

/** Writes one member: `,"name":"text"`, or nothing where there is no text. Long texts are cut. */
export class Member {
  readonly #start: string
  readonly #max: number
  readonly #kept = new Map<string, string>()
  #lastText = ''
  #last: string

  /** `lengthMax`: characters of the text that are written. */
  constructor(name: string, lengthMax = textMax) {
    this.#start = `,"${name}":`
    this.#max = lengthMax
    this.#last = `${this.#start}""`
  }

  /** For texts that come again. */
  of(text: string | null): string {
    if (text === null) return ''
    if (text === this.#lastText) return this.#last
    if (text.length > keptLengthMax) return this.once(text)
    let member = this.#kept.get(text)
    if (member === undefined) {
      member = solid(this.once(text))
      if (this.#kept.size >= keptMax) this.#kept.clear()
      this.#kept.set(solid(text), member)
    }
    this.#lastText = text
    this.#last = member
    return member
  }

  /** For texts that do not. */
  once(text: string | null): string {
    return text === null ? '' : this.#start + quoted(cut(text, this.#max))
  }
}
