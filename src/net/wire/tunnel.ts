// Joins a client's connection to an upstream's after a 101: bytes pass unchanged both ways, each way pushes back on its
// own sender, and either end's leaving ends the other.

import type { Outbox } from './outbox.ts'
import type { Tunnel } from './message.ts'

/** The client's half, as its connection offers it. */
export interface TunnelClient {
  readonly outbox: Outbox
  setTunnelPaused(paused: boolean): void
  /** Bytes wait: from now on the client has a bounded time to take some. */
  writeStalled(): void
  closeTunnel(): void
  destroy(): void
}

/** What the client's connection calls once the tunnel stands. */
export interface TunnelSink {
  bytes(part: Uint8Array): void
  /** The client has finished sending. */
  ended(): void
  /** The client is gone without a word. */
  cut(): void
  drained(): void
}

/** Connects the two ends; bytes from the upstream flow from now on. */
export function splice(client: TunnelClient, tunnel: Tunnel): TunnelSink {
  let upstreamPaused = false
  tunnel.onDrain(() => client.setTunnelPaused(false))
  queueMicrotask(() =>
    tunnel.incoming.start({
      chunk(bytes) {
        if (client.outbox.write(bytes) || upstreamPaused) return
        upstreamPaused = true
        client.writeStalled()
        tunnel.incoming.pause()
      },
      end: () => client.closeTunnel(),
      error: () => client.destroy(),
    }),
  )
  return {
    bytes(part) {
      if (!tunnel.write(part)) client.setTunnelPaused(true)
    },
    // In order, not cut: a close frame may still be on its way to the upstream.
    ended: () => tunnel.end(),
    cut: () => tunnel.abort(),
    drained() {
      if (!upstreamPaused) return
      upstreamPaused = false
      tunnel.incoming.resume()
    },
  }
}
