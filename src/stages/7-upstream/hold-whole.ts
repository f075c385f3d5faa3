// Holds an answer until it is complete, up to a bound. What is longer goes on as it comes, behind what was held.

import { WholeBody } from '../../net/wire/body.ts'
import type { Body, BodySink, WireError } from '../../net/wire/message.ts'

/**
 * The body, whole where it ends within `bytesMax`, else streaming from its first byte.
 * @throws WireError where it breaks off before
 */
export function holdWhole(body: Body, bytesMax: number): Promise<Body> {
  if (body.length > bytesMax) return Promise.resolve(body)
  return new Promise((resolve, reject) => body.start(new Holder(body, bytesMax, { resolve, reject })))
}

class Holder implements BodySink, Body {
  readonly whole = null
  readonly length: number
  #parts: Uint8Array[] = []
  #bytes = 0
  #passing = false
  #sink: BodySink | null = null
  #outcome: 'open' | 'ended' | WireError = 'open'

  constructor(
    private readonly source: Body,
    private readonly bytesMax: number,
    private readonly held: { resolve: (body: Body) => void; reject: (cause: WireError) => void },
  ) {
    this.length = source.length
  }

  chunk(bytes: Uint8Array): void {
    if (this.#sink !== null) return this.#sink.chunk(bytes)
    this.#parts.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes <= this.bytesMax || this.#passing) return
    this.#passing = true
    this.source.pause()
    this.held.resolve(this)
  }

  end(): void {
    this.#outcome = 'ended'
    if (this.#sink !== null) this.#sink.end()
    else if (!this.#passing) {
      this.held.resolve(
        new WholeBody(this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)),
      )
    }
  }

  error(cause: WireError): void {
    this.#outcome = cause
    if (this.#sink !== null) this.#sink.error(cause)
    else if (!this.#passing) this.held.reject(cause)
  }

  start(sink: BodySink): void {
    this.#sink = sink
    for (const part of this.#parts.splice(0)) sink.chunk(part)
    if (this.#outcome === 'open') this.source.resume()
    else if (this.#outcome === 'ended') sink.end()
    else sink.error(this.#outcome)
  }

  pause(): void {
    this.source.pause()
  }

  resume(): void {
    this.source.resume()
  }

  abort(): void {
    this.#parts = []
    this.source.abort()
  }
}
