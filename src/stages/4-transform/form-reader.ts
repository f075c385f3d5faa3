// Reads a form (RFC 7578) as it streams by, for the ids it names; nothing is changed. Delimiters are found as the most lenient
// reader would: a line feed alone ends a line, a preamble may stand before the first, fields may come twice.

import { Failure } from '../../failure.ts'
import { lenientName } from '../../openai/json-keys.ts'
import { idsNamed, mayNameIds, NamedIds } from '../../openai/object-ids.ts'

const headBytesMax = 16 * 1024
const fieldBytesMax = 1024 * 1024
/** A file up to this length is also taken for a field. */
const smallBytes = 1024
const transferCoded = /^content-transfer-encoding[ \t]*:[ \t]*(?!(?:7bit|8bit|binary)[ \t]*\r?$)/im
const lineBytesMax = 8 * 1024 * 1024
/** OpenAI takes 50,000 lines a batch. */
const lineIdsMax = 200_000

interface Part {
  readonly names: readonly string[]
  readonly isFile: boolean
  pieces: Uint8Array[]
  bytes: number
  /** Of a file: how long it is so far, and its beginning. */
  bytesSeen: number
  readonly start: Uint8Array[]
  /** Of a file: whether its first byte begins an object; null = not seen yet. */
  jsonLines: boolean | null
}

export class FormReader {
  readonly #fields = new NamedIds()
  readonly #lines = new NamedIds(lineIdsMax)
  readonly #delimiter: Buffer
  #rest: Buffer = Buffer.alloc(0)
  #state: 'before' | 'head' | 'body' = 'before'
  #part: Part | null = null
  #isBatch = false
  /** A file has a line that cannot be read. */
  #dark = false
  #failure: Failure | null = null

  /** `lines`: files may be input of batches. `strict`: what cannot be read is refused. */
  constructor(
    contentType: string,
    private readonly options: { readonly lines: boolean; readonly strict: boolean },
  ) {
    const boundary = /;\s*boundary\s*=\s*(?:"([^"]+)"|([^\s;"]+))/gi
    const found = [...contentType.matchAll(boundary)].map((match) => match[1] ?? match[2]!)
    if (found.length !== 1)
      this.#failure = new Failure(
        'bad_request',
        'The form names no boundary in its Content-Type, or several.',
      )
    this.#delimiter = Buffer.from(`--${found[0] ?? ''}`, 'latin1')
  }

  push(bytes: Uint8Array): void {
    if (this.#failure !== null) return
    let data =
      this.#rest.length === 0
        ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
        : Buffer.concat([this.#rest, bytes])
    for (;;) {
      const left = this.#state === 'head' ? this.#head(data) : this.#body(data)
      if (left === null) break
      data = left
    }
  }

  /** What may be named only by its owner. @throws Failure where the form cannot be read */
  end(): NamedIds {
    if (this.#failure === null && this.#state !== 'before') this.#closePart(this.#rest)
    const { strict } = this.options
    if (this.#failure !== null && strict) throw this.#failure
    if (!this.#isBatch) return this.#fields
    if (this.#dark && strict)
      throw new Failure('bad_request', 'The input of a batch must be lines of JSON, each of 8 MB at most.')
    this.#fields.join(this.#lines)
    return this.#fields
  }

  /** Takes a part's head off; null = more is needed. */
  #head(data: Buffer): Buffer | null {
    const crlf = data.indexOf('\r\n\r\n')
    const lf = data.indexOf('\n\n')
    const at = crlf < 0 || (lf >= 0 && lf < crlf) ? lf : crlf
    if (at < 0) {
      if (data.length > headBytesMax)
        this.#failure = new Failure('bad_request', 'A part of the form has a head that is too long.')
      this.#rest = data
      return null
    }
    const head = data.toString('latin1', 0, at)
    // Readers differ in what they take for a delimiter, and in what they decode.
    if (data.subarray(0, at).includes(this.#delimiter) || transferCoded.test(head)) {
      this.#failure = new Failure(
        'bad_request',
        'A part of the form has a head that can be read in two ways.',
      )
      return null
    }
    this.#part = partOf(head)
    this.#state = 'body'
    return data.subarray(at + (at === crlf ? 4 : 2))
  }

  /** Takes content off up to the next delimiter; null = more is needed. */
  #body(data: Buffer): Buffer | null {
    const at = data.indexOf(this.#delimiter)
    if (at < 0) {
      const keep = Math.min(data.length, this.#delimiter.length + 2)
      this.#content(data.subarray(0, data.length - keep))
      // A copy: a view would keep the whole chunk.
      this.#rest = Buffer.from(data.subarray(data.length - keep))
      return null
    }
    if (this.#part !== null) this.#closePart(data.subarray(0, at))
    this.#rest = Buffer.alloc(0)
    this.#state = 'head'
    return data.subarray(at + this.#delimiter.length)
  }

  #content(bytes: Buffer): void {
    const part = this.#part
    if (part === null || bytes.length === 0) return
    if (!part.isFile) {
      part.bytes += bytes.length
      if (part.bytes <= fieldBytesMax) part.pieces.push(Buffer.from(bytes))
      else this.#failure = new Failure('request_too_large', 'A field of the form is over 1 MB.')
      return
    }
    if (part.bytesSeen <= smallBytes) part.start.push(Buffer.from(bytes))
    part.bytesSeen += bytes.length
    if (!this.options.lines || part.jsonLines === false) return
    if (part.jsonLines === null) {
      const first = bytes.find((byte) => byte > 32)
      if (first === undefined) return
      part.jsonLines = first === 0x7b
      if (!part.jsonLines) {
        this.#dark = true
        return
      }
    }
    this.#fileLines(part, bytes)
  }

  #fileLines(part: Part, bytes: Buffer): void {
    let from = 0
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      this.#line(part, bytes.subarray(from, at))
      from = at + 1
    }
    if (from === bytes.length) return
    part.bytes += bytes.length - from
    if (part.bytes <= lineBytesMax) part.pieces.push(Buffer.from(bytes.subarray(from)))
    else {
      this.#dark = true
      part.pieces = []
    }
  }

  #line(part: Part, end: Buffer): void {
    const line = part.pieces.length === 0 ? end : Buffer.concat([...part.pieces, end])
    if (part.bytes > lineBytesMax) this.#dark = true
    part.pieces = []
    part.bytes = 0
    if (line.length === 0) return
    if (!mayNameIds(line)) return
    const text = line.toString('utf8')
    if (isJson(text)) idsNamed(text, this.#lines)
    else this.#dark = true
  }

  #closePart(content: Buffer): void {
    const part = this.#part
    if (part === null) return
    this.#content(content)
    this.#part = null
    if (part.isFile) {
      if (part.jsonLines === true) this.#line(part, Buffer.alloc(0))
      // What calls itself a file is a field to some readers.
      if (part.bytesSeen > smallBytes) return
    }
    const value = Buffer.concat(part.isFile ? part.start : part.pieces)
      .toString('utf8')
      .replace(/\r?\n$/, '')
    for (const name of part.names) {
      if (name === 'purpose' && value.trim().toLowerCase() === 'batch') this.#isBatch = true
      this.#fields.add(name, value)
    }
    if (!part.isFile && /^\s*[[{]/.test(value) && isJson(value)) idsNamed(value, this.#fields)
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** A part's names: `file_ids[]` is `file_ids`, and `video[id]` is `id` as well as `video`. */
function partOf(head: string): Part {
  const names: string[] = []
  for (const [, quoted, bare] of head.matchAll(/[;\s]name\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\r\n]*))/gi)) {
    const name = decoded((quoted ?? bare ?? '').replace(/^[\w-]*'[\w-]*'/, '').replaceAll('\\', ''))
    names.push(...name.split(/[[\].]/).map(lenientName).filter((each) => each !== '')) // prettier-ignore
  }
  // Without a name that can be read it could have any.
  if (names.length === 0) names.push('id', 'purpose')
  return {
    names,
    isFile: /[;\s]filename\*?\s*=/i.test(head),
    pieces: [],
    bytes: 0,
    bytesSeen: 0,
    start: [],
    jsonLines: null,
  }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
