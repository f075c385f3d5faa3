// One request as the handler sees it: the head, the body, and the one place to answer.

import { Finding } from '../../base/known-bytes.ts'
import { fieldId } from './field-names.ts'
import type { HeaderBlock } from './headers.ts'
import type { Body } from './message.ts'
import type { FrontRefusal, RequestHead } from './request-head.ts'
import type { ServerReply } from './server.ts'

const authorizationId = fieldId('authorization')
const authorizations = new Finding((headers: HeaderBlock) => {
  const index = headers.findId(authorizationId)
  return index < 0 ? null : headers.value(index)
})

/** The connection behind a request. */
export interface Responder {
  respond(request: ServerRequest, reply: ServerReply): void
  destroy(): void
}

/** Whoever answers a request, and hears of its end. */
export interface RequestOwner {
  /** The client leaves before the answer is out; then `finished(false)` follows. */
  gone(): void
  /** The rest of the request turns out to be refused while it is under way: gives the answer to it, null = the server's own. */
  refused(refusal: FrontRefusal): ServerReply | null
  /** Called once: true when the last byte is with the kernel, false when the answer could not be completed. */
  finished(complete: boolean): void
}

/** A request and the way to answer it. */
export class ServerRequest {
  /** Whoever hears of its end. */
  owner: RequestOwner | null = null
  /** Body bytes sent so far. */
  bytesOut = 0
  #answered = false
  #left = false

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

  /** What `Authorization` says, or null. */
  get authorization(): string | null {
    const { headers } = this.head
    return authorizations.of(headers.known, headers)
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

  /** Its client has gone, or it was refused for what came of it. */
  get hasLeft(): boolean {
    return this.#left
  }

  /** The client has left: says so, once. */
  left(): void {
    if (this.#left) return
    this.#left = true
    this.owner?.gone()
  }

  /** Cuts the connection, answered or not. */
  destroy(): void {
    this.responder.destroy()
  }
}
