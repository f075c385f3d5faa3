// TLS towards an upstream. Nothing is written before the handshake has shown a certificate that is trusted and carries
// the upstream's name: an unknown issuer and a wrong name are both reported there. There is no switch to go without.
// A session is offered again to the upstream it came from, which saves most of the handshake's processor time.

import type { Socket } from 'bun'
import type { ClientConnection } from './client-connection.ts'
import type { WireOptions } from './message.ts'
import { turn } from './turn.ts'

export interface TlsClientOptions {
  readonly serverName: string
  readonly rejectUnauthorized: true
  readonly ca?: string
}

export function tlsOptions(options: WireOptions): TlsClientOptions {
  const trust = options.caPem === null ? {} : { ca: options.caPem }
  return { serverName: plainHost(options.origin), rejectUnauthorized: true, ...trust }
}

/** What every socket to an upstream does with its events. */
export const socketHandlers = {
  data: (socket: Socket<ClientConnection>, bytes: Buffer) => turn.data(socket, bytes),
  drain: (socket: Socket<ClientConnection>) => socket.data.onDrain(),
  end: (socket: Socket<ClientConnection>) => void socket.end(),
  close: (socket: Socket<ClientConnection>, cause?: Error) => turn.closed(socket, cause === undefined),
  error: (socket: Socket<ClientConnection>) => {
    turn.closed(socket, false)
    socket.terminate()
  },
}

/** As `socketHandlers`, for a socket that carries TLS. */
export const tlsHandlers = {
  ...socketHandlers,
  open(socket: Socket<ClientConnection>) {
    const session = socket.data.tlsSession
    if (session !== null) socket.setSession(session)
    socket.data.onConnected(socket)
  },
  handshake(socket: Socket<ClientConnection>, success: boolean, problem: Error | null) {
    if (success && problem === null && socket.authorized) return socket.data.onOpen(socket)
    socket.data.onOpenFailed('tls_failed', describe(problem ?? 'the TLS handshake failed'))
    socket.terminate()
  },
}

/** The session to offer next time; null where this socket has none. */
export function sessionOf(socket: Socket<ClientConnection>): Buffer | null {
  // The types say that nothing is returned.
  const session: unknown = socket.getSession()
  return Buffer.isBuffer(session) && session.length > 0 ? session : null
}

/** The host of a URL as sockets take it: an IPv6 address without its brackets. */
export function plainHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** What went wrong, as one short line for the log. */
export function describe(cause: unknown): string {
  if (cause instanceof Error) {
    const code = (cause as { code?: unknown }).code
    return typeof code === 'string' ? code : cause.message
  }
  return String(cause)
}
