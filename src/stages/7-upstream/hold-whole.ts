// Holds an answer until it is complete, up to a bound. What is longer goes on as it comes, behind what was held.

import { WholeBody } from '../../net/wire/body.ts'
import type { Body, BodySink, WireError } from '../../net/wire/message.ts'
import { Pieces } from '../../net/wire/pieces.ts'

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
  readonly #held = new Pieces()
  #passing = false
  #sink: BodySink | null = null
  #state: 'open' | 'ended' | WireError = 'open'

  constructor(
    private readonly source: Body,
    private readonly bytesMax: number,
    private readonly outcome: { resolve: (body: Body) => void; reject: (cause: WireError) => void },
  ) {
    this.length = source.length
  }

  chunk(bytes: Uint8Array): void {
    if (this.#sink !== null) return this.#sink.chunk(bytes)
    this.#held.add(bytes)
    if (this.#held.bytes <= this.bytesMax || this.#passing) return
    this.#passing = true
    this.source.pause()
    this.outcome.resolve(this)
  }

  end(): void {
    this.#state = 'ended'
    if (this.#sink !== null) this.#sink.end()
    else if (!this.#passing) this.outcome.resolve(new WholeBody(this.#held.join()))
  }

  error(cause: WireError): void {
    this.#state = cause
    if (this.#sink !== null) this.#sink.error(cause)
    else if (!this.#passing) this.outcome.reject(cause)
  }

  start(sink: BodySink): void {
    this.#sink = sink
    for (const part of this.#held.take()) sink.chunk(part)
    if (this.#state === 'open') this.source.resume()
    else if (this.#state === 'ended') sink.end()
    else sink.error(this.#state)
  }

  pause(): void {
    this.source.pause()
  }

  resume(): void {
    this.source.resume()
  }

  abort(): void {
    this.#held.take()
    this.source.abort()
  }
}
