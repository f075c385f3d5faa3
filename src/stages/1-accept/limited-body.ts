// A streamed body with a bound: over it, the body breaks off, and with it the request.

import { WireError, type Body, type BodySink } from '../../net/wire/message.ts'

export class LimitedBody implements Body {
  readonly whole = null
  readonly length: number
  #bytes = 0

  constructor(
    private readonly source: Body,
    private readonly bytesMax: number,
    /** Told how many bytes have come so far, and which came last. */
    private readonly look: (bytes: number, last: Uint8Array) => void,
  ) {
    this.length = source.length
  }

  start(sink: BodySink): void {
    this.source.start({
      chunk: (bytes) => {
        this.#bytes += bytes.length
        this.look(this.#bytes, bytes)
        if (this.#bytes <= this.bytesMax) return sink.chunk(bytes)
        this.source.abort()
        sink.error(new WireError('too_large', `over ${this.bytesMax} bytes`, false))
      },
      end: () => sink.end(),
      error: (cause) => sink.error(cause),
    })
  }

  pause(): void {
    this.source.pause()
  }

  resume(): void {
    this.source.resume()
  }

  abort(): void {
    this.source.abort()
  }
}
