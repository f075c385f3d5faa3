// An upstream made of plain sockets, which answers with whatever bytes a test says: what a real server would never send
// is what the wire must survive. Each connection is told of whole requests, so that a script can answer the second one
// on a socket differently from the first.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises'

/** One connection as the upstream sees it. */
export class RawConnection {
  received: Buffer = Buffer.alloc(0)
  /** Requests taken by `nextRequest` so far. */
  requests = 0
  closed = false
  /** The peer has finished sending. */
  ended = false
  #taken = 0

  constructor(readonly socket: Socket) {
    socket.setNoDelay(true)
    socket.setMaxListeners(0)
    socket.on('data', (bytes: Buffer) => (this.received = Buffer.concat([this.received, bytes])))
    socket.on('end', () => (this.ended = true))
    socket.on('close', () => (this.closed = true))
    socket.on('error', () => {})
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Waits for the next head, and the body behind it where Content-Length announces one. Null once the peer has gone. */
  async nextRequest(): Promise<string | null> {
    while (true) {
      const rest = this.received.subarray(this.#taken)
      const end = rest.indexOf('\r\n\r\n')
      if (end >= 0) {
        const length = /\r\ncontent-length: (\d+)/i.exec(rest.toString('latin1', 0, end))?.[1] ?? '0'
        const whole = end + 4 + Number(length)
        if (rest.length >= whole) {
          this.#taken += whole
          this.requests += 1
          return rest.toString('latin1', 0, whole)
        }
      }
      if (this.closed || this.ended) return null
      await sleep(1)
    }
  }

  write(bytes: string | Uint8Array): void {
    if (!this.socket.destroyed)
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Writes pieces so that the other end most likely reads each by itself. */
  async writePieces(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      this.write(piece)
      await tick()
      await tick()
    }
  }

  end(): void {
    this.socket.end()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }
}

export type Script = (connection: RawConnection) => unknown

/** A listening script. */
export class RawUpstream {
  readonly connections: RawConnection[] = []

  private constructor(
    private readonly server: Server,
    readonly origin: URL,
  ) {}

  static async start(script: Script, tls: TlsOptions | null = null): Promise<RawUpstream> {
    const seen = (socket: Socket) => {
      const connection = new RawConnection(socket)
      upstream.connections.push(connection)
      // A script that finds its peer gone has done its part; what matters is what the other end made of it.
      Promise.resolve(script(connection)).catch(() => {})
    }
    const server = tls === null ? createServer({ allowHalfOpen: true }, seen) : createTlsServer(tls, seen)
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const upstream = new RawUpstream(
      server,
      new URL(`${tls === null ? 'http' : 'https'}://127.0.0.1:${port}`),
    )
    return upstream
  }

  get open(): number {
    return this.connections.filter((each) => !each.closed).length
  }

  stop(): void {
    this.server.close()
    for (const { socket } of this.connections) socket.destroy()
  }
}

/** A script that answers every request on every connection with the same bytes; `close`: and then ends. */
export function always(answer: string | Uint8Array, close = false): Script {
  return async (connection) => {
    while ((await connection.nextRequest()) !== null) {
      connection.write(answer)
      if (close) return connection.end()
    }
    connection.end()
  }
}

/** Waits until `condition` holds; fails loudly, with `what`, after twenty seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const giveUpAtMs = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error(`never came true: ${what}`)
    await sleep(2)
  }
}
