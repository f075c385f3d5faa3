// Our HTTP/1.1 client: one pool of keep-alive sockets for one account. The newest idle socket is used first, so that the
// others grow old and are closed. A socket that the upstream closed while it lay idle is noticed only when it is used:
// such a request is sent once anew on a fresh socket, and only if the reset came at once and not one byte of an answer
// had come: an upstream that has worked on a request may have it done, and charge it.

import { ClientConnection } from './client-connection.ts'
import {
  WireError,
  type ExchangeSink,
  type Wire,
  type WireCall,
  type WireOptions,
  type WireReply,
  type WireRequest,
} from './message.ts'
import type { Sweeper } from './sweeper.ts'

/** Idle sockets per account, whatever the configuration says. */
const idleBound = 1024
/** As many may lie idle as were busy at once within one to two such times. */
const peakMs = 5000
/** Connects given up and still hanging, each with a socket that cannot be called off. */
const hangingConnectsMax = 128
/** A socket that died idle says so at once; later than this the upstream may have worked on the request. */
const diedIdleMs = 1000
/** RFC 9110 section 8.6: a client says that there is no body where the method would have one. */
const takesBody = new Set(['POST', 'PUT', 'PATCH'])

export class Http1Wire implements Wire {
  readonly #idle: ClientConnection[] = []
  readonly #busy = new Set<ClientConnection>()
  readonly #hostLine: string
  readonly secure: boolean
  /** What the newest TLS handshake with this upstream left for the next one. */
  tlsSession: Buffer | null = null
  /** Connects that were given up and are not settled yet; kept by the connections. */
  hangingConnects = 0
  #closed = false
  /** Most that were busy at once since `#peakSinceMs`, and in the time before. */
  #peak = 0
  #peakBefore = 0
  #peakSinceMs = 0

  constructor(
    readonly options: WireOptions,
    readonly sweeper: Sweeper,
  ) {
    this.secure = options.origin.protocol === 'https:'
    this.#hostLine = `Host: ${options.origin.host}\r\n`
  }

  send(request: WireRequest): WireCall {
    return new Call(this, request)
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  counts(): { idle: number; busy: number } {
    return { idle: this.#idle.length, busy: this.#busy.size }
  }

  /** For calls: a connection, used before or new. */
  take(fresh: boolean): ClientConnection {
    const connection = (fresh ? undefined : this.#idle.pop()) ?? new ClientConnection(this)
    this.#busy.add(connection)
    this.#peak = Math.max(this.#peak, this.#busy.size)
    return connection
  }

  /** For connections: the exchange is over. `reusable`: the socket stands at the start of a next answer. */
  release(connection: ClientConnection, reusable: boolean): void {
    this.#busy.delete(connection)
    const { idleMs, maxIdle } = this.options.keepAlive
    if (!reusable || this.#closed || idleMs === 0 || maxIdle === 0) {
      connection.destroy()
      return
    }
    const nowMs = this.sweeper.clock.nowMs()
    connection.deadlineAtMs = nowMs + idleMs
    this.#idle.push(connection)
    if (nowMs - this.#peakSinceMs > peakMs) {
      this.#peakBefore = this.#peak
      this.#peak = this.#busy.size
      this.#peakSinceMs = nowMs
    }
    // Answers come in bursts, and to connect anew costs more than a call.
    const most = Math.min(Math.max(maxIdle, this.#peak, this.#peakBefore), idleBound)
    while (this.#idle.length > most) this.#idle.shift()!.destroy()
  }

  /** For connections: the socket is gone. */
  forget(connection: ClientConnection): void {
    this.#busy.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
  }

  /** So many connects hang that one more would only hold one more socket: the upstream is a black hole. */
  get unreachable(): boolean {
    return this.hangingConnects >= hangingConnectsMax
  }

  /** The head as it goes out. */
  headText(request: WireRequest): string {
    let text = `${request.method} ${request.target} HTTP/1.1\r\n${this.#hostLine}${request.headerLines}`
    const body = request.body
    if (body === null) text += takesBody.has(request.method) ? 'Content-Length: 0\r\n' : ''
    else text += body.length < 0 ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`
    if (request.upgrade !== null) text += `Connection: Upgrade\r\nUpgrade: ${request.upgrade}\r\n`
    return `${text}\r\n`
  }
}

/** One request under way: over one connection, or two where the first had died idle. Hears of its own outcome. */
class Call implements WireCall, ExchangeSink {
  readonly reply: Promise<WireReply>
  #connection!: ClientConnection
  /** It is sent for the second time. */
  #again = false
  #mayRepeat = false
  #startedAtMs = 0
  readonly #resolve: (reply: WireReply) => void
  readonly #reject: (cause: WireError) => void

  constructor(
    private readonly wire: Http1Wire,
    readonly request: WireRequest,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<WireReply>()
    this.reply = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#start()
  }

  abort(): void {
    this.#connection.abort(this, new WireError('aborted', 'given up by this side', false))
  }

  answered(reply: WireReply): void {
    this.#resolve(this.#again ? { ...reply, resent: true } : reply)
  }

  failed(cause: WireError): void {
    const diedIdle =
      cause.fault === 'reset' && this.wire.sweeper.clock.nowMs() - this.#startedAtMs <= diedIdleMs
    if (this.#mayRepeat && diedIdle && !cause.answered) {
      this.#again = true
      this.#start()
    } else this.#reject(this.#again ? cause.ofResent() : cause)
  }

  #start(): void {
    const { request } = this
    const connection = this.wire.take(this.#again)
    this.#mayRepeat = !connection.fresh && (request.body === null || request.body.whole !== null)
    this.#startedAtMs = this.wire.sweeper.clock.nowMs()
    this.#connection = connection
    connection.send(request, this)
  }
}
