// Heads of requests that came before: an application sends the same one again and again, on one connection after another,
// and the same bytes are the same head. They hold credentials, as the memory of whoever reads them always does; they are
// bounded, never printed, and what a credential may do is asked anew each time.

import { KnownBytes, KnownTable } from '../../base/known-bytes.ts'
import { FrontRefusal, parseRequestHead, type RequestHead } from './request-head.ts'

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
}

const table = new KnownTable<KnownHead>({ bytesMax: 2 * 1024 * 1024, lengthMax: 4096, secondTime: true })

/** The head with these bytes, the empty line among them, where it came before; null = it did not. */
export function knownHead(bytes: Uint8Array): KnownHead | null {
  return table.of(bytes, KnownHead.read)
}
