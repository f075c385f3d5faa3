// Opens a socket to an upstream: plain, with TLS, or with TLS through an egress proxy.

import type { ClientConnection } from './client-connection.ts'
import { openThroughProxy } from './egress.ts'
import type { WireOptions } from './message.ts'
import { describe, plainHost, socketHandlers, tlsHandlers, tlsOptions } from './tls-client.ts'

/** Connects; the outcome goes to `connection.onOpen` or `connection.onOpenFailed`. Never throws. */
export function openSocket(options: WireOptions, connection: ClientConnection): void {
  const { origin, proxy } = options
  const failed = (cause: unknown) => connection.onOpenFailed('connect_failed', describe(cause))
  const address = { hostname: plainHost(origin), port: portOf(origin), data: connection }
  try {
    if (proxy !== null) openThroughProxy({ options, proxy: new URL(proxy) }, connection).catch(failed)
    else if (origin.protocol === 'https:') {
      const socket = { ...tlsHandlers, connectError: (_socket: unknown, cause: Error) => failed(cause) }
      Bun.connect<ClientConnection>({ ...address, tls: tlsOptions(options), socket }).catch(failed)
    } else {
      const socket = {
        ...socketHandlers,
        open: connection.onOpen.bind(connection),
        connectError: (_socket: unknown, cause: Error) => failed(cause),
      }
      Bun.connect<ClientConnection>({ ...address, socket }).catch(failed)
    }
  } catch (cause) {
    failed(cause)
  }
}

function portOf(origin: URL): number {
  if (origin.port !== '') return Number(origin.port)
  return origin.protocol === 'https:' ? 443 : 80
}
