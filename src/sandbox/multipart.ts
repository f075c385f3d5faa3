// multipart/form-data as it streams by (RFC 7578): fields are kept whole up to a limit, files keep their hash and size and at most
// `keptMax` of their content, so that an upload of any size costs a bounded amount of memory.

import { createHash } from 'node:crypto'

/** One part of a form. */
export interface Part {
  readonly name: string
  /** Null for a plain field. */
  readonly filename: string | null
  readonly contentType: string | null
  /** The first `keptMax` bytes. */
  readonly content: Uint8Array
  readonly size: number
  readonly sha256: string
}

const headBytesMax = 16 * 1024
const partsMax = 1000

/** The boundary of a content type, or null where it is no form. */
export function formBoundary(contentType: string | null): string | null {
  const match = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(
    contentType ?? '',
  )
  return match === null ? null : (match[1] ?? match[2])!
}

function attribute(disposition: string, name: string): string | null {
  const match = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, 'i').exec(disposition)
  return match === null
    ? null
    : match[1]!
        .replace(/\\(.)/g, '$1')
        .replace(/%22/g, '"')
        .replace(/%0D%0A/gi, '\r\n')
}

interface OpenPart {
  readonly name: string
  readonly filename: string | null
  readonly contentType: string | null
  readonly kept: Uint8Array[]
  keptBytes: number
  size: number
  readonly hash: ReturnType<typeof createHash>
}

/** Reads a form pushed in pieces. */
export class FormReader {
  readonly parts: Part[] = []
  /** Why the form could not be read, or null. */
  problem: string | null = null
  /** The closing boundary was seen. */
  complete = false
  readonly #delimiter: Buffer
  #held: Buffer = Buffer.from('\r\n')
  #state: 'preamble' | 'after-boundary' | 'head' | 'content' | 'epilogue' = 'preamble'
  #open: OpenPart | null = null

  constructor(
    boundary: string,
    readonly keptMax: number,
  ) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  }

  push(bytes: Uint8Array): void {
    if (this.problem !== null || this.#state === 'epilogue') return
    this.#held = Buffer.concat([this.#held, bytes])
    while (this.#step());
  }

  /** One state's worth of work; false = more bytes are needed, or none. */
  #step(): boolean {
    if (this.problem !== null || this.#state === 'epilogue') return false
    if (this.#state === 'after-boundary') return this.#afterBoundary()
    if (this.#state === 'head') return this.#head()
    const at = this.#held.indexOf(this.#delimiter)
    // Without a boundary in sight all but a possible start of one is content.
    const end = at >= 0 ? at : Math.max(this.#held.length - this.#delimiter.length, 0)
    if (this.#state === 'content') this.#content(this.#held.subarray(0, end))
    this.#held = this.#held.subarray(at >= 0 ? at + this.#delimiter.length : end)
    if (at < 0) return false
    this.#closePart()
    this.#state = 'after-boundary'
    return true
  }

  #afterBoundary(): boolean {
    if (this.#held.length < 2) return false
    const two = this.#held.toString('latin1', 0, 2)
    this.#held = this.#held.subarray(2)
    if (two === '--') {
      this.complete = true
      this.#state = 'epilogue'
      return false
    }
    if (two !== '\r\n') this.problem = 'a boundary is followed by neither CRLF nor --'
    this.#state = 'head'
    return true
  }

  #head(): boolean {
    const at = this.#held.indexOf('\r\n\r\n')
    if (at < 0) {
      if (this.#held.length > headBytesMax) this.problem = 'the head of a part is too long'
      return false
    }
    const lines = this.#held.toString('utf8', 0, at).split('\r\n')
    this.#held = this.#held.subarray(at + 4)
    const find = (name: string): string | null =>
      lines
        .find((line) => line.toLowerCase().startsWith(name))
        ?.slice(name.length)
        .trim() ?? null
    const disposition = find('content-disposition:') ?? ''
    const name = attribute(disposition, 'name')
    if (name === null) this.problem = 'a part without a name'
    if (this.parts.length >= partsMax) this.problem = `more than ${partsMax} parts`
    this.#open = {
      name: name ?? '',
      filename: attribute(disposition, 'filename'),
      contentType: find('content-type:'),
      kept: [],
      keptBytes: 0,
      size: 0,
      hash: createHash('sha256'),
    }
    this.#state = 'content'
    return true
  }

  #content(bytes: Buffer): void {
    const part = this.#open
    if (part === null || bytes.length === 0) return
    part.size += bytes.length
    part.hash.update(bytes)
    const room = this.keptMax - part.keptBytes
    if (room <= 0) return
    const kept = Uint8Array.from(bytes.subarray(0, room))
    part.kept.push(kept)
    part.keptBytes += kept.length
  }

  #closePart(): void {
    const part = this.#open
    this.#open = null
    if (part === null) return
    const { name, filename, contentType, size } = part
    this.parts.push({
      name,
      filename,
      contentType,
      size,
      content: Buffer.concat(part.kept),
      sha256: part.hash.digest('hex'),
    })
  }
}
