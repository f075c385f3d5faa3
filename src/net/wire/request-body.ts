// Takes a request's body off its connection, by its length or in chunks. What nobody wants any more is read and dropped,
// as far as that is cheaper than a new connection.

import { PushedBody, type BodyOwner } from './body.ts'
import { ChunkedDecoder } from './chunked.ts'

/** Rest of an unread body that is read and dropped so that the connection can be kept. */
export const discardBytesMax = 256 * 1024

export class RequestBodyReader {
  readonly body: PushedBody
  readonly #decoder: ChunkedDecoder | null
  #left: number
  #dropped = 0

  /** `length`: Content-Length, or -1 for the chunked coding. */
  constructor(length: number, owner: BodyOwner) {
    this.body = new PushedBody(length, owner)
    this.#left = length
    this.#decoder = length < 0 ? new ChunkedDecoder() : null
  }

  /** All of the body has been read. */
  get done(): boolean {
    return this.#decoder === null ? this.#left === 0 : this.#decoder.done
  }

  /** More may come than is worth reading only to keep the connection. */
  get tooLongToDrop(): boolean {
    return this.#decoder !== null || this.#left > discardBytesMax
  }

  /** More has been dropped than was thought worth it. */
  get droppedTooMuch(): boolean {
    return this.#dropped > discardBytesMax
  }

  /** Reads on. Returns the offset behind the last byte of the body, or -1 where its coding is malformed. */
  read(bytes: Buffer): number {
    if (this.#decoder !== null) return this.#decoder.decode(bytes, 0, (part) => this.#push(part))
    const end = Math.min(bytes.length, this.#left)
    this.#left -= end
    this.#push(end === bytes.length ? bytes : bytes.subarray(0, end))
    return end
  }

  #push(part: Uint8Array): void {
    if (this.body.dropped) this.#dropped += part.length
    else this.body.push(part)
  }
}
