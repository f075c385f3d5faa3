// Opens a socket to an upstream. With TLS nothing is written before the handshake has shown a certificate that is
// trusted and carries the upstream's name: an unknown issuer and a wrong name are both reported there.

import type { Socket } from 'bun'
import type { ClientConnection } from './client-connection.ts'
import type { WireOptions } from './message.ts'

const handlers = {
  data: (socket: Socket<ClientConnection>, bytes: Buffer) => socket.data.onData(bytes),
  drain: (socket: Socket<ClientConnection>) => socket.data.onDrain(),
  end: (socket: Socket<ClientConnection>) => void socket.end(),
  close: (socket: Socket<ClientConnection>, cause?: Error) => socket.data.onClose(cause === undefined),
  error: (socket: Socket<ClientConnection>) => {
    socket.data.onClose(false)
    socket.terminate()
  },
}

/** Connects; the outcome goes to `connection.onOpen` or `connection.onOpenFailed`. Never throws. */
export function openSocket(options: WireOptions, connection: ClientConnection): void {
  const { origin } = options
  const secure = origin.protocol === 'https:'
  const hostname = origin.hostname.replace(/^\[|\]$/g, '')
  const port = origin.port === '' ? (secure ? 443 : 80) : Number(origin.port)
  const failed = (cause: unknown) => connection.onOpenFailed('connect_failed', describe(cause))
  try {
    Bun.connect<ClientConnection>({
      hostname,
      port,
      data: connection,
      ...(secure ? { tls: tlsOptions(options, hostname) } : {}),
      socket: {
        ...handlers,
        open(socket) {
          if (secure) connection.onConnected(socket)
          else connection.onOpen(socket)
        },
        handshake(socket, success, problem) {
          if (success && problem === null && socket.authorized) return connection.onOpen(socket)
          connection.onOpenFailed('tls_failed', describe(problem ?? 'the TLS handshake failed'))
          socket.terminate()
        },
        connectError: (_socket, cause) => failed(cause),
      },
    }).catch(failed)
  } catch (cause) {
    failed(cause)
  }
}

function tlsOptions(options: WireOptions, hostname: string) {
  const trust = options.caPem === null ? {} : { ca: options.caPem }
  return { serverName: hostname, rejectUnauthorized: true, ...trust }
}

/** What went wrong, as one short line for the log. */
function describe(cause: unknown): string {
  if (cause instanceof Error) {
    const code = (cause as { code?: unknown }).code
    return typeof code === 'string' ? code : cause.message
  }
  return String(cause)
}
