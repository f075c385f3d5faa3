// The front: an HTTP/1.1 server on plain sockets. Ours instead of Bun.serve because the front must see what was really
// sent (raw target, every header line, both Hosts) and send what it really means (Content-Length of a stream, header
// bytes as received), and because it costs about two thirds of the processor time; see docs/decisions/own-http-front.md.
// This file listens, counts connections and drains; one connection is in server-connection.ts.

import type { Socket, TCPSocketListener } from 'bun'
import { ServerConnection } from './server-connection.ts'
import { readProxyHeader, type ProxyProtocol } from './proxy-protocol.ts'
import { FrontRefusal } from './request-head.ts'
import type { Body, Tunnel } from './message.ts'
import type { ServerRequest } from './server-request.ts'
import type { Sweeper } from './sweeper.ts'

/** What goes back to a client. */
export interface ServerReply {
  readonly status: number
  /** Lines as they go out, each ended by CRLF, without framing and Connection; latin1. */
  readonly headerLines: string
  /** The same, of whoever answers. Apart, since the others are nearly always a text that was there before. */
  readonly ownLines: string
  /** `headerLines` holds a Date already. */
  readonly dated: boolean
  /** null = no bytes. */
  readonly body: Body | null
  /** For a 101: the other end. */
  readonly tunnel: Tunnel | null
  /** Close the connection behind this answer. */
  readonly close: boolean
}

/** Who answers. No method may throw. */
export interface ServerHandler {
  /** Answers by `request.respond`, once, now or later; not at all where the client has gone. */
  request(request: ServerRequest): void
  /** Puts a refusal of the front into the words of the API. */
  refuse(refusal: FrontRefusal, peerAddress: string): ServerReply
  /** Something threw that never should: the connection is cut, the process goes on. */
  bug(cause: unknown): void
}

/** Bounds of one connection; see `server.limits` and `server.timeouts` of the configuration. */
export interface ServerLimits {
  readonly headerBytesMax: number
  readonly headerFieldsMax: number
  readonly connectionsPerAddressMax: number
  /** From the first byte of a head to its end. */
  readonly headerMs: number
  /** Between two requests, between two pieces of a body, and between two pieces a slow reader takes. */
  readonly idleMs: number
  /** Whether connections begin with a PROXY header; absent or null = never. */
  readonly proxyProtocol?: ProxyProtocol | null
}

const tooMany = new FrontRefusal(
  'overloaded',
  'Too many connections from this address. Close some, or reuse them.',
)

const noHeader = new FrontRefusal('malformed_request', 'Connections here begin with a PROXY protocol header.')
const badHeader = new FrontRefusal('malformed_request', 'The PROXY protocol header is malformed.')
const strangersHeader = new FrontRefusal(
  'malformed_request',
  'A PROXY protocol header is taken from trusted proxies only.',
)
const nothing = Buffer.alloc(0)

/** One listening address. */
export class HttpServer {
  readonly #listener: TCPSocketListener<ServerConnection>
  readonly #connections = new Set<ServerConnection>()
  readonly #perAddress = new Map<string, number>()
  /** The address asked for: with port 0 it differs from the one bound. */
  readonly requested: string
  #draining = false
  #empty: PromiseWithResolvers<void> | null = null

  /**
   * Starts listening at once.
   * @throws the system's error (`EADDRINUSE`, `EACCES`) where the address cannot be had
   */
  constructor(
    address: { readonly hostname: string; readonly port: number },
    /** In force for the next request; a reload may replace it. */
    public limits: ServerLimits,
    private readonly wiring: { readonly handler: ServerHandler; readonly sweeper: Sweeper },
  ) {
    this.requested = `${address.hostname} ${address.port}`
    this.#listener = Bun.listen<ServerConnection>({
      hostname: address.hostname,
      port: address.port,
      socket: {
        open: (socket) => this.#open(socket),
        data: (socket, bytes) => this.#data(socket.data, bytes),
        drain: (socket) => socket.data?.onDrain(),
        end: (socket) => socket.data?.onEnd(),
        close: (socket) => this.#closed(socket.data),
        error: (socket, cause) => {
          this.handler.bug(cause)
          socket.data?.destroy()
        },
      },
    })
  }

  get hostname(): string {
    return this.#listener.hostname
  }

  get port(): number {
    return this.#listener.port
  }

  get draining(): boolean {
    return this.#draining
  }

  get handler(): ServerHandler {
    return this.wiring.handler
  }

  get sweeper(): Sweeper {
    return this.wiring.sweeper
  }

  /** Open connections, and how many of them wait for or send an answer. */
  counts(): { open: number; busy: number } {
    let busy = 0
    for (const connection of this.#connections) if (connection.busy) busy++
    return { open: this.#connections.size, busy }
  }

  /**
   * Accepts no more, lets every request under way end, and resolves when the last connection has closed. Idle
   * connections stay open a moment, since a request may be on its way to them already.
   */
  async drain(): Promise<void> {
    if (!this.#draining) {
      this.#draining = true
      this.#listener.stop(false)
      for (const connection of this.#connections) connection.drain()
    }
    if (this.#connections.size > 0) await (this.#empty ??= Promise.withResolvers()).promise
  }

  /** Stops at once: cuts every connection. */
  stop(): void {
    this.#draining = true
    this.#listener.stop(false)
    for (const connection of this.#connections) connection.destroy()
  }

  #open(socket: Socket<ServerConnection>): void {
    const connection = new ServerConnection(socket, this)
    socket.data = connection
    this.#connections.add(connection)
    this.sweeper.add(connection)
    const { proxyProtocol = null, headerMs } = this.limits
    if (proxyProtocol !== null) {
      connection.opening = nothing
      if (proxyProtocol.mode === 'required') connection.deadlineAtMs = this.sweeper.clock.nowMs() + headerMs
    }
    this.#enter(connection)
  }

  /** Counts the connection with those of its address. */
  #enter(connection: ServerConnection): void {
    const open = this.#perAddress.get(connection.peerAddress) ?? 0
    this.#perAddress.set(connection.peerAddress, open + 1)
    if (open >= this.limits.connectionsPerAddressMax) connection.refuse(tooMany)
  }

  #leave(connection: ServerConnection): void {
    const left = this.#perAddress.get(connection.peerAddress)! - 1
    if (left > 0) this.#perAddress.set(connection.peerAddress, left)
    else this.#perAddress.delete(connection.peerAddress)
  }

  #data(connection: ServerConnection | undefined, bytes: Buffer): void {
    if (connection === undefined) return
    if (connection.opening === null) connection.onData(bytes)
    else this.#readOpening(connection, bytes)
  }

  /** Reads on whether the connection begins with a PROXY header. */
  #readOpening(connection: ServerConnection, bytes: Buffer): void {
    const { proxyProtocol = null, headerMs, idleMs } = this.limits
    const opening = connection.opening!
    const data = opening.length === 0 ? bytes : Buffer.concat([opening, bytes])
    // A reload may have switched it off since the connection was opened.
    const read = proxyProtocol === null ? 'none' : readProxyHeader(data)
    if (read === 'more') {
      connection.opening = data
      if (opening.length === 0) connection.deadlineAtMs = this.sweeper.clock.nowMs() + headerMs
      return
    }
    connection.opening = null
    if (read === 'none') {
      if (proxyProtocol?.mode === 'required') return connection.refuse(noHeader)
      return connection.onData(data)
    }
    if (read === 'bad') return connection.refuse(badHeader)
    if (!proxyProtocol!.trusts(connection.peerAddress)) return connection.refuse(strangersHeader)
    connection.deadlineAtMs = this.sweeper.clock.nowMs() + idleMs
    if (read.address !== null) {
      this.#leave(connection)
      connection.peerAddress = read.address
      this.#enter(connection)
    }
    if (data.length > read.length) connection.onData(data.subarray(read.length))
  }

  #closed(connection: ServerConnection | undefined): void {
    if (connection === undefined || !this.#connections.delete(connection)) return
    this.sweeper.remove(connection)
    this.#leave(connection)
    connection.onClose()
    if (this.#connections.size === 0) this.#empty?.resolve()
  }
}
