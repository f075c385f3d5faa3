// Through an egress proxy to an upstream: CONNECT (RFC 9110 section 9.3.6), then TLS with the upstream itself inside the
// tunnel. So the proxy sees a host name and nothing else, and all that our own client does works through it: its strict
// parser, its time-outs, WebSocket. For `https:` upstreams behind `http:` proxies only: proxies refuse CONNECT to other
// ports than 443, and a proxy that itself speaks TLS would need TLS inside TLS; the rest goes over `fetch`.
// The trap: after the upgrade the plain socket's handlers still hear the encrypted bytes.

import type { Socket } from 'bun'
import type { ClientConnection } from './client-connection.ts'
import type { WireOptions } from './message.ts'
import { parseResponseHead } from './response-head.ts'
import { describe, plainHost, tlsHandlers, tlsOptions } from './tls-client.ts'

const headBytesMax = 16 * 1024

/** Whether our own client can reach `origin` through `proxy`. */
export function canTunnel(origin: URL, proxy: string): boolean {
  return origin.protocol === 'https:' && URL.parse(proxy)?.protocol === 'http:'
}

/** Connects; the outcome goes to the connection, or rejects. */
export async function openThroughProxy(
  way: { options: WireOptions; proxy: URL },
  connection: ClientConnection,
): Promise<void> {
  const { options, proxy } = way
  let answer = Buffer.alloc(0)
  let through = false
  const refused = (socket: Socket<ClientConnection>, detail: string) => {
    connection.onOpenFailed('connect_failed', `the egress proxy ${detail}`)
    socket.terminate()
  }
  await Bun.connect<ClientConnection>({
    hostname: plainHost(proxy),
    port: proxy.port === '' ? 80 : Number(proxy.port),
    data: connection,
    socket: {
      open(socket) {
        connection.onConnected(socket)
        socket.write(connectHead(options.origin, proxy))
      },
      data(socket, bytes) {
        if (through) return
        answer = Buffer.concat([answer, bytes])
        const end = answer.indexOf('\r\n\r\n')
        if (end < 0)
          return answer.length > headBytesMax ? refused(socket, 'sent no answer to CONNECT') : undefined
        const head = parseResponseHead(answer.toString('latin1', 0, end + 2))
        if (typeof head === 'string') return refused(socket, `sent a ${head}`)
        if (head.status < 200 || head.status > 299)
          return refused(socket, `answered ${head.status} to CONNECT`)
        // Whoever speaks before the client's hello is not the upstream.
        if (answer.length > end + 4) return refused(socket, 'sent bytes of its own into the tunnel')
        through = true
        socket.upgradeTLS<ClientConnection>({
          data: connection,
          tls: tlsOptions(options),
          socket: tlsHandlers,
        })
      },
      drain() {},
      close: () => {
        if (!through) connection.onClose(false)
      },
      error: (socket, cause) => refused(socket, describe(cause)),
      connectError: (socket, cause) => refused(socket, `could not be reached: ${describe(cause)}`),
    },
  })
}

function connectHead(origin: URL, proxy: URL): string {
  const authority = `${origin.hostname}:${origin.port === '' ? 443 : origin.port}`
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  const identity =
    user === ':' ? '' : `Proxy-Authorization: Basic ${Buffer.from(user).toString('base64')}\r\n`
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${identity}\r\n`
}
