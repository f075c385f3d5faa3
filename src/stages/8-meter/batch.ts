// The output of a batch: a file of JSON lines, one for each request, with the answer and its usage in it. Such a file is
// known by its lines (`batch_req_…`), not by a list of files seen before, which would not survive a restart. Each line
// is an item with an id of its own, so that a file that is read twice, or in parts, counts once. Lines are parsed one
// at a time as they pass; one that is longer than the bound is passed over and counted as such.

import type { Exchange, Tap } from '../../exchange.ts'
import { readAnswer } from '../../openai/usage.ts'
import { rowIdOf, type TakeItem } from './item.ts'
import { Pieces } from '../../net/wire/pieces.ts'

const lf = 10
const brace = 123
const lineBytesMax = 32 * 1024 * 1024
const requestId = Buffer.from('"batch_req_')

interface Line {
  readonly id?: unknown
  readonly response?: { readonly body?: unknown; readonly status_code?: unknown } | null
}

/** Watches the bytes of a file that may be a batch's output. */
export class BatchMeter implements Tap {
  readonly #line = new Pieces()
  readonly #fileId: string
  /** A part of the file was asked for. */
  readonly #part: boolean
  #first = true
  #other = false
  #skipping = false
  /** Lines that were too long to be read. */
  unread = 0

  constructor(
    private readonly x: Exchange,
    private readonly take: TakeItem,
  ) {
    this.#fileId = /\/files\/([^/]+)\/content$/.exec(x.request.path)?.[1] ?? ''
    this.#part = x.request.headers.get('range') !== null
  }

  chunk(bytes: Uint8Array): Uint8Array {
    if (this.#other) return bytes
    // Any other file is let be at its first byte, unless it is read from its middle.
    if (this.#first && this.#line.bytes === 0 && bytes[0] !== brace && !this.#part) this.#other = true
    let start = 0
    for (let end = bytes.indexOf(lf); end >= 0 && !this.#other; end = bytes.indexOf(lf, start)) {
      this.#add(bytes.subarray(start, end))
      this.#lineEnded()
      start = end + 1
    }
    if (start < bytes.length && !this.#other) this.#add(bytes.subarray(start))
    return bytes
  }

  end(): null {
    if (!this.#other) this.#lineEnded()
    return null
  }

  #add(part: Uint8Array): void {
    if (this.#skipping) return
    this.#line.add(part)
    if (this.#line.bytes <= lineBytesMax) return
    this.#line.take()
    this.#skipping = true
    this.unread += 1
  }

  #lineEnded(): void {
    const skipped = this.#skipping
    this.#skipping = false
    if (skipped || this.#line.bytes === 0) return
    const line = this.#line.join()
    const isOutput = Buffer.prototype.indexOf.call(line, requestId) >= 0
    // The first line tells; of a file that is read from its middle the first line is half a one.
    if (this.#first && !isOutput && line[0] === brace) this.#other = true
    this.#first = false
    if (isOutput) this.#read(line)
  }

  #read(bytes: Uint8Array): void {
    let line: Line
    try {
      line = JSON.parse(Buffer.prototype.utf8Slice.call(bytes, 0, bytes.length)) as Line
    } catch {
      return
    }
    const rowId = rowIdOf('batch', this.#fileId, line?.id)
    const facts = readAnswer(line?.response?.body)
    if (rowId === null || facts.usage === null) return
    this.take(this.x, { rowId, facts: { ...facts, final: true }, batch: true })
  }
}
