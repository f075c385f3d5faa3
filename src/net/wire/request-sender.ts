// Sends one request on a socket: head and body in one write where the body is here, otherwise piece by piece with
// back-pressure on whoever pushes it.

import { WireError, type BodySink, type WireRequest } from './message.ts'
import { lastChunk, writeChunk, writePieces, type Outbox } from './outbox.ts'

/** What happens to a request on its way out. */
export interface SenderEvents {
  /** The last byte is with the kernel. */
  sent(): void
  progress(): void
  broken(cause: WireError): void
}

export class RequestSender implements BodySink {
  /** All of the request is with the kernel. */
  finished = false
  #ended = false
  #stopped = false
  #left: number

  constructor(
    private readonly outbox: Outbox,
    private readonly request: WireRequest,
    private readonly events: SenderEvents,
  ) {
    this.#left = request.body?.length ?? 0
  }

  begin(head: string): void {
    const body = this.request.body
    const taken = writePieces(this.outbox, [head], body?.whole ?? null)
    if (body === null || body.whole !== null) {
      this.#ended = true
      if (taken) this.#finish()
      else this.outbox.onDrain = () => this.#finish()
    } else body.start(this)
  }

  chunk(bytes: Uint8Array): void {
    if (this.#stopped || bytes.length === 0) return
    const body = this.request.body!
    this.#left -= bytes.length
    if (body.length >= 0 && this.#left < 0) return this.#mismatch()
    const taken = body.length < 0 ? writeChunk(this.outbox, bytes) : this.outbox.write(bytes)
    this.events.progress()
    if (taken) return
    body.pause()
    this.outbox.onDrain = () => {
      this.outbox.onDrain = null
      if (this.#ended) this.#finish()
      else if (!this.#stopped) body.resume()
    }
  }

  end(): void {
    if (this.#stopped) return
    if (this.request.body!.length >= 0 && this.#left > 0) return this.#mismatch()
    this.#ended = true
    const taken =
      this.request.body!.length < 0 ? this.outbox.write(lastChunk) : this.outbox.waitingBytes === 0
    if (taken) this.#finish()
    else this.outbox.onDrain = () => this.#finish()
  }

  error(cause: WireError): void {
    if (!this.#stopped) this.events.broken(cause)
  }

  /** The exchange is over: send no more of the body. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    if (!this.#ended) this.request.body?.abort()
  }

  /** Sent as it is, the rest or the excess would be the start of the next request on this socket. */
  #mismatch(): void {
    this.events.broken(new WireError('aborted', 'the request body does not match its length', false))
  }

  #finish(): void {
    this.outbox.onDrain = null
    if (this.finished) return
    this.finished = true
    this.events.sent()
  }
}
