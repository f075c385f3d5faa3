// One request as the handler sees it: the head, the body, and the one place to answer.

import type { HeaderBlock } from './headers.ts'
import type { Body } from './message.ts'
import type { FrontRefusal, RequestHead } from './request-head.ts'
import type { ServerReply } from './server.ts'

/** The connection behind a request. */
export interface Responder {
  respond(request: ServerRequest, reply: ServerReply): void
  destroy(): void
}

/** A request and the way to answer it. */
export class ServerRequest {
  /** Called when the client leaves before the answer is out; then `onFinished(false)` follows. */
  onGone: (() => void) | null = null
  /** Called where the rest of the request turns out to be refused while it is under way: gives the answer to it. */
  onRefused: ((refusal: FrontRefusal) => ServerReply) | null = null
  /** Called once: true when the last byte is with the kernel, false when the answer could not be completed. */
  onFinished: ((complete: boolean) => void) | null = null
  /** Body bytes sent so far. */
  bytesOut = 0
  #answered = false

  constructor(
    readonly head: RequestHead,
    readonly body: Body | null,
    private readonly responder: Responder & { readonly peerAddress: string },
  ) {}

  get method(): string {
    return this.head.method
  }

  get path(): string {
    return this.head.path
  }

  get query(): string {
    return this.head.query
  }

  get headers(): HeaderBlock {
    return this.head.headers
  }

  get upgrade(): string | null {
    return this.head.upgrade
  }

  get peerAddress(): string {
    return this.responder.peerAddress
  }

  /** Sends the answer. A second call is a bug and throws; a call after the client has gone does nothing. */
  respond(reply: ServerReply): void {
    if (this.#answered) throw new Error('a request is answered once only')
    this.#answered = true
    this.responder.respond(this, reply)
  }

  /** The client has left: says so, once. */
  left(): void {
    const { onGone } = this
    this.onGone = null
    onGone?.()
  }

  /** Cuts the connection, answered or not. */
  destroy(): void {
    this.responder.destroy()
  }
}
