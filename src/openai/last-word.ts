// Whether a stream of events has come to its own end, told from its bytes as they pass. A connection that ends cleanly says
// nothing: a proxy in between, or a server that gives up, ends it as cleanly amid an answer. Chat says `[DONE]`, or at
// least why it finished; the Responses API has three last events. An error event is a last word too: the client has been
// told. What looks alike inside a text is not taken for it (a quote or a line end there is escaped), nor is what a response
// repeats of its request. Costs a native search a chunk.

import { memberPlaces } from './member-place.ts'

/** Kinds of streams whose last word is known. */
export type StreamKind = 'chat' | 'responses'

/** The kind of stream that an operation answers with; null = nobody knows how it ends. */
export function streamKind(operation: string): StreamKind | null {
  if (operation === 'chat.completions' || operation === 'completions') return 'chat'
  return operation === 'responses' ? 'responses' : null
}

const reason = Buffer.from('"finish_reason":')
const failed = Buffer.from('"error":')
const done = Buffer.from('[DONE]')
const dataField = Buffer.from('data:')
const errorLine = Buffer.from('event: error')
const type = Buffer.from('"type":')
const lastTypes = ['response.completed', 'response.incomplete', 'response.failed', 'error'].map((name) =>
  Buffer.from(`"${name}"`),
)
const overlapBytes = 64
const lf = 10
const cr = 13
const space = 32
const letterN = 110
const nothing = new Uint8Array(0)

export class LastWord {
  #said = false
  /** The end of what came, where that is amid a line. */
  #tail: Uint8Array = nothing
  /** What came last, and where it joins what came before. */
  #last: Uint8Array = nothing
  #seam: Uint8Array = nothing

  constructor(private readonly kind: StreamKind) {}

  /** Bytes that have passed. */
  see(bytes: Uint8Array): void {
    if (this.#said) return
    if (isBlank(bytes)) return void (this.#tail = nothing)
    const tail = this.#tail
    const seam = tail.length > 0 ? Buffer.concat([tail, bytes.subarray(0, overlapBytes)]) : nothing
    this.#said = (seam.length > 0 && this.#says(seam)) || this.#says(bytes)
    this.#last = bytes
    this.#seam = seam
    // Nearly every chunk ends with a line: nothing has to be kept of it.
    if (bytes[bytes.length - 1] === lf) this.#tail = nothing
    else {
      const joined = bytes.length >= overlapBytes ? bytes : Buffer.concat([tail, bytes])
      this.#tail = Uint8Array.prototype.slice.call(joined, Math.max(0, joined.length - overlapBytes))
    }
  }

  /** Whether it was said; asked when the stream has ended. */
  get said(): boolean {
    if (this.#said) return true
    return this.#closes(this.#last) || this.#closes(this.#seam)
  }

  /** Whether this says it that can only stand in what came last. */
  #closes(bytes: Uint8Array): boolean {
    if (this.kind === 'responses') return Buffer.prototype.indexOf.call(bytes, errorLine) >= 0
    return isDone(bytes) || hasValue(bytes, failed)
  }

  #says(bytes: Uint8Array): boolean {
    return this.kind === 'responses' ? hasLastType(bytes) : hasValue(bytes, reason)
  }
}

/** Whether these are a few line ends and nothing else. */
function isBlank(bytes: Uint8Array): boolean {
  if (bytes.length > 4) return false
  for (const byte of bytes) if (byte !== lf && byte !== cr) return false
  return true
}

/** Whether a member of this name has a value that is not null. */
function hasValue(bytes: Uint8Array, name: Uint8Array): boolean {
  let at = Buffer.prototype.indexOf.call(bytes, name)
  while (at >= 0) {
    let value = at + name.length
    while (bytes[value] === space) value++
    if (value < bytes.length && bytes[value] !== letterN) return true
    at = Buffer.prototype.indexOf.call(bytes, name, value)
  }
  return false
}

/** Whether there is a line `data: [DONE]`. */
function isDone(bytes: Uint8Array): boolean {
  let at = Buffer.prototype.indexOf.call(bytes, done)
  while (at >= 0) {
    let start = bytes[at - 1] === space ? at - 1 : at
    start -= dataField.length
    if (start >= 0 && isAt(bytes, dataField, start) && isLineStart(bytes, start)) return true
    at = Buffer.prototype.indexOf.call(bytes, done, at + 1)
  }
  return false
}

function isLineStart(bytes: Uint8Array, at: number): boolean {
  return at === 0 || bytes[at - 1] === lf || bytes[at - 1] === cr
}

function hasLastType(bytes: Uint8Array): boolean {
  let at = Buffer.prototype.indexOf.call(bytes, type)
  while (at >= 0) {
    let value = at + type.length
    while (bytes[value] === space) value++
    if (lastTypes.some((name) => isAt(bytes, name, value)) && isOutermost(bytes, value)) return true
    at = Buffer.prototype.indexOf.call(bytes, type, value)
  }
  return false
}

/** Whether the value of a `type` is that of the event itself. Where the event began earlier it is taken for it. */
function isOutermost(bytes: Uint8Array, value: number): boolean {
  const line = bytes.lastIndexOf(lf, value) + 1
  const start = isAt(bytes, dataField, line) ? line + dataField.length : -1
  if (start < 0) return line === 0
  const event = new Uint8Array(bytes.buffer, bytes.byteOffset + start, bytes.length - start)
  return memberPlaces(event, 'type').some((place) => place.start + start === value)
}

function isAt(bytes: Uint8Array, text: Uint8Array, at: number): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text[index]) return false
  return true
}
