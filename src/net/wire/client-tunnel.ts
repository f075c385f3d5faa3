// The upstream's half of a tunnel after a 101. A quiet tunnel lives for ever; one in which bytes wait lives only as long
// as the upstream goes on taking some, since a client may fill it and leave without a sign that a paused socket would see.

import { PushedBody, type BodyOwner } from './body.ts'
import { WireError, type Tunnel } from './message.ts'
import type { Outbox } from './outbox.ts'

/** How long the upstream has for what is left when the client has ended. */
const lingerMs = 2000

/** The connection under a tunnel. */
export interface TunnelSocket extends BodyOwner {
  destroy(): void
  /** Closes in order. */
  end(): void
  /** Cuts, and tells the tunnel, unless called again within `durationMs`. */
  allow(durationMs: number): void
}

export class ClientTunnel implements Tunnel {
  readonly incoming: PushedBody
  #ended = false

  constructor(
    private readonly socket: TunnelSocket,
    private readonly outbox: Outbox,
    private readonly idleMs: number,
  ) {
    this.incoming = new PushedBody(-1, socket)
  }

  push(bytes: Uint8Array): void {
    this.incoming.push(bytes)
  }

  /** `orderly` is false for a reset: then the peer has not finished. */
  peerClosed(orderly: boolean): void {
    if (orderly) this.incoming.finish()
    else this.incoming.fail(new WireError('reset', 'the upstream cut the tunnel', true))
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended) return true
    const waited = this.outbox.waitingBytes > 0
    const taken = this.outbox.write(bytes)
    if (!taken && !waited) this.socket.allow(this.idleMs)
    return taken
  }

  onDrain(callback: () => void): void {
    this.outbox.onDrain = callback
  }

  /** The upstream has taken some of what waited. */
  drained(): void {
    if (this.#ended) this.socket.allow(lingerMs)
    else this.socket.allow(this.outbox.waitingBytes > 0 ? this.idleMs : Infinity)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.socket.allow(lingerMs)
    if (this.outbox.waitingBytes === 0) this.socket.end()
    else this.outbox.onDrain = () => this.socket.end()
  }

  /** The connection breaks the tunnel off: whoever reads it is told. */
  fail(cause: WireError): void {
    this.#ended = true
    this.incoming.fail(cause)
  }

  abort(): void {
    this.#ended = true
    this.incoming.abort()
    this.socket.destroy()
  }
}
