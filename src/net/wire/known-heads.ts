// Heads of requests that came before: an application sends the same one again and again, on one connection after another,
// and the same bytes are the same head. They hold credentials, as the memory of whoever reads them always does; they are
// bounded, never printed, and what a credential may do is asked anew each time.

import { KnownBytes, KnownTable } from '../../base/known-bytes.ts'
import { FrontRefusal, parseRequestHead, unfinishedHead, type RequestHead } from './request-head.ts'

/** A head, with the bytes of it up to and with the empty line. */
export class KnownHead extends KnownBytes {
  constructor(
    bytes: Uint8Array,
    private parsed: RequestHead | null = null,
  ) {
    super(bytes)
  }

  /** Null where the bytes are no head that is taken. */
  static read(bytes: Uint8Array): KnownHead | null {
    const known = new KnownHead(bytes)
    const text = Buffer.prototype.latin1Slice.call(bytes, 0, bytes.length - 2)
    const head = parseRequestHead(text, Infinity, known)
    if (head instanceof FrontRefusal) return null
    known.parsed = head
    return known
  }

  get head(): RequestHead {
    return this.parsed!
  }

  /** Whether `data` begins with these bytes. */
  begins(data: Uint8Array): boolean {
    const { bytes } = this
    return data.length >= bytes.length && Buffer.prototype.compare.call(bytes, data, 0, bytes.length) === 0
  }

  /** Whether what was taken once is within today's bounds. */
  isWithin({ headerBytesMax, headerFieldsMax }: HeadLimits): boolean {
    return this.bytes.length <= headerBytesMax && this.head.headers.size <= headerFieldsMax
  }
}

interface HeadLimits {
  readonly headerBytesMax: number
  readonly headerFieldsMax: number
}

const table = new KnownTable<KnownHead>({ bytesMax: 2 * 1024 * 1024, lengthMax: 4096, secondTime: true })

/** A head at the beginning of what has come. */
export interface FoundHead {
  readonly head: RequestHead
  /** The same, where it came before. */
  readonly known: KnownHead | null
  /** Offset behind its empty line. */
  readonly end: number
}

/** The head that `data` begins with, why it is refused, or null where it is not whole yet; `from`: its end is not before. */
export function findHead(data: Buffer, from: number, limits: HeadLimits): FoundHead | FrontRefusal | null {
  // RFC 9112 section 2.2: an empty line before a request line is skipped.
  let start = 0
  while (start < 4 && data[start] === 13 && data[start + 1] === 10) start += 2
  const end = data.indexOf('\r\n\r\n', Math.max(from, start))
  if (end < 0 || end - start > limits.headerBytesMax)
    return unfinishedHead(data, start, limits.headerBytesMax)
  const known = table.of(data.subarray(start, end + 4), KnownHead.read)
  if (known !== null && known.isWithin(limits)) return { head: known.head, known, end: end + 4 }
  const head = parseRequestHead(data.toString('latin1', start, end + 2), limits.headerFieldsMax)
  return head instanceof FrontRefusal ? head : { head, known: null, end: end + 4 }
}
