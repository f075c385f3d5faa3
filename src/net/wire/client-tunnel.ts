// The upstream's half of a tunnel after a 101.

import { PushedBody, type BodyOwner } from './body.ts'
import { WireError, type Tunnel } from './message.ts'
import type { Outbox } from './outbox.ts'

/** The connection under a tunnel. */
export interface TunnelSocket extends BodyOwner {
  destroy(): void
  /** Sends what waits, within a moment, and closes. */
  endInOrder(): void
  /** Bytes wait: from now on the upstream has a bounded time to take some. */
  writeStalled(): void
}

export class ClientTunnel implements Tunnel {
  readonly incoming: PushedBody
  #ended = false

  constructor(
    private readonly socket: TunnelSocket,
    private readonly outbox: Outbox,
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
    if (this.#ended || this.outbox.write(bytes)) return true
    this.socket.writeStalled()
    return false
  }

  onDrain(callback: () => void): void {
    this.outbox.onDrain = callback
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.socket.endInOrder()
  }

  /** The tunnel breaks off on our side: whoever reads it is told. The caller destroys the socket. */
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
