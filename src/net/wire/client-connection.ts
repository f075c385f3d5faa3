// One socket to an upstream and the exchange on it. The response is parsed as it comes and pushed to its body's sink;
// after the last byte the socket goes back to its pool. Whatever is odd destroys the socket: a byte that is read
// wrongly here would become the start of somebody else's answer.

import type { Socket } from 'bun'
import { PushedBody, WholeBody, type BodyOwner } from './body.ts'
import { ChunkedDecoder } from './chunked.ts'
import type { Http1Wire } from './client.ts'
import { WireError, type ExchangeSink, type WireFault, type WireRequest } from './message.ts'
import { openSocket } from './open-socket.ts'
import { Outbox } from './outbox.ts'
import { RequestSender, type SenderEvents } from './request-sender.ts'
import { cannotBeHead, parseResponseHead, type ResponseHead } from './response-head.ts'
import type { Waiting } from './sweeper.ts'
import { sessionOf } from './tls-client.ts'
import { ClientTunnel } from './client-tunnel.ts'

type State = 'connecting' | 'idle' | 'head' | 'body' | 'tunnel' | 'closed'
type Phase = 'none' | 'connect' | 'send' | 'firstByte' | 'idle'

const headBytesMax = 64 * 1024
const informationalMax = 16
const tooManyHang = 'too many connects to this upstream hang already'

const faultOf: Record<Exclude<Phase, 'none'>, WireFault> = {
  connect: 'connect_timeout',
  send: 'idle_timeout',
  firstByte: 'first_byte_timeout',
  idle: 'idle_timeout',
}

export class ClientConnection implements Waiting, BodyOwner, SenderEvents {
  deadlineAtMs = Infinity
  /** No exchange has been completed on this socket yet. */
  fresh = true
  /** What came and waits for its turn. */
  held: (Buffer | boolean)[] | null = null
  #state: State = 'connecting'
  #phase: Phase = 'none'
  #phaseEndsAtMs = Infinity
  #totalEndsAtMs = Infinity
  #socket: Socket<ClientConnection> | null = null
  #outbox: Outbox | null = null
  #request: WireRequest | null = null
  #sink: ExchangeSink | null = null
  #sender: RequestSender | null = null
  #stash: Buffer | null = null
  #informational = 0
  #head: ResponseHead | null = null
  #body: PushedBody | null = null
  #bodyLeft = 0
  #decoder: ChunkedDecoder | null = null
  #tunnel: ClientTunnel | null = null
  #paused = false
  /** Bun is still connecting, which cannot be called off. */
  #connecting = false
  // A sink may give the body up amid a chunk.
  readonly #pushPart = (part: Uint8Array): void => this.#body?.push(part)

  constructor(private readonly wire: Http1Wire) {}

  /** Sends a request; the connection is new, or idle in the pool until now. */
  send(request: WireRequest, sink: ExchangeSink): void {
    this.#request = request
    this.#sink = sink
    this.#informational = 0
    const { totalMs, connectMs } = this.wire.options.timeouts
    const nowMs = this.#now()
    this.#totalEndsAtMs = request.upgrade === null ? nowMs + totalMs : Infinity
    if (this.#socket !== null) return this.#transmit()
    this.wire.sweeper.add(this)
    if (this.wire.unreachable) return this.#fail(new WireError('connect_timeout', tooManyHang, false))
    this.#enter('connect', connectMs)
    this.#connecting = true
    openSocket(this.wire.options, this)
  }

  get awaitsAnswer(): boolean {
    return this.#state === 'head'
  }

  /** TLS session to offer to the upstream, or null. */
  get tlsSession(): Buffer | null {
    return this.wire.tlsSession
  }

  // --- from the socket -------------------------------------------------------------------------------------------

  /** The socket stands, but its certificate is not verified yet: kept only so that giving up can close it. */
  onConnected(socket: Socket<ClientConnection>): void {
    this.#connectSettled()
    if (this.#state === 'closed') socket.terminate()
    else this.#socket = socket
  }

  /** The socket stands, and its certificate, where there is one, is verified. */
  onOpen(socket: Socket<ClientConnection>): void {
    this.#connectSettled()
    if (this.#state === 'closed') return void socket.terminate()
    this.#socket = socket
    this.#outbox = new Outbox(socket, this)
    this.#transmit()
  }

  onOpenFailed(fault: WireFault, detail: string): void {
    this.#connectSettled()
    this.#fail(new WireError(fault, detail, false))
  }

  /** Given up before it stood, it was counted as hanging until now. */
  #connectSettled(): void {
    if (this.#connecting && this.#state === 'closed') this.wire.hangingConnects -= 1
    this.#connecting = false
  }

  onData(bytes: Buffer): void {
    if (this.#state === 'head') this.#readHead(bytes)
    else if (this.#state === 'body') this.#readBody(bytes, 0)
    else if (this.#state === 'tunnel') this.#tunnel!.push(bytes)
    // Bytes on an idle socket belong to no request.
    else this.destroy()
  }

  onDrain(): void {
    this.#outbox?.flush()
    this.#tunnel?.drained()
    this.#sending()
  }

  /** The upstream has closed; `orderly` is false for a reset, which must never end a body that lasts until close. */
  onClose(orderly: boolean): void {
    if (this.#state === 'closed') return
    this.#connecting = false
    if (this.#state === 'tunnel') this.#tunnel!.peerClosed(orderly)
    else if (orderly && this.#state === 'body' && this.#endsWithSocket) {
      this.#endBody(false)
    } else if (this.#state === 'connecting') {
      this.#fail(new WireError('connect_failed', 'the upstream closed the connection before it stood', false))
    } else {
      const answered = this.#state === 'body' || this.#stash !== null || this.#informational > 0
      this.#fail(
        new WireError(answered ? 'truncated' : 'reset', 'the upstream closed the connection', answered),
      )
    }
    this.#closed()
  }

  onDeadline(): void {
    // What waits to be read has come in time.
    if (this.held !== null) return void (this.deadlineAtMs = this.#now())
    if (this.#state === 'idle') return this.destroy()
    const phase = this.#phase
    if (this.#now() >= this.#totalEndsAtMs) this.#timeOut('total_timeout')
    else if (phase !== 'none' && this.#now() >= this.#phaseEndsAtMs) this.#timeOut(faultOf[phase])
    else this.deadlineAtMs = Math.min(this.#phaseEndsAtMs, this.#totalEndsAtMs)
  }

  // --- sending ---------------------------------------------------------------------------------------------------

  #transmit(): void {
    const request = this.#request!
    this.#state = 'head'
    this.#sender = new RequestSender(this.#outbox!, request, this)
    this.#sender.begin(this.wire.headText(request))
    this.#sending()
  }

  /** For the sender: all of the request is with the kernel. */
  sent(): void {
    if (this.#state === 'head') this.#enter('firstByte', this.wire.options.timeouts.firstByteMs)
  }

  /** For the sender: a piece of the body has been written. */
  progress(): void {
    this.#sending()
  }

  /** For the sender: the client's body broke off. Half a request must not be taken for a whole one. */
  broken(cause: WireError): void {
    if (this.#sink !== null) this.abort(this.#sink, cause)
  }

  /** While bytes wait it is the upstream that is slow; while none do, it is the client, whose own front counts that. */
  #sending(): void {
    if (this.#state !== 'head' || this.#sender === null || this.#sender.finished) return
    if (this.#outbox!.waitingBytes > 0) this.#enter('send', this.wire.options.timeouts.idleMs)
    else this.#enter('none', Infinity)
  }

  // --- receiving -------------------------------------------------------------------------------------------------

  #readHead(bytes: Buffer): void {
    let data = bytes
    let from = 0
    if (this.#stash !== null) {
      from = Math.max(0, this.#stash.length - 3)
      data = Buffer.concat([this.#stash, bytes])
      this.#stash = null
    }
    const end = data.indexOf('\r\n\r\n', from)
    if (end < 0 || end > headBytesMax) {
      if (end >= 0 || data.length > headBytesMax) return this.#odd('response head too large')
      if (cannotBeHead(data, from)) return this.#odd('this is not HTTP/1.1')
      this.#stash = data
      return
    }
    const head = parseResponseHead(data.toString('latin1', 0, end + 2))
    if (typeof head === 'string') return this.#odd(head)
    if (head.status === 101) return this.#switch(head, data.subarray(end + 4))
    if (head.status < 200) {
      if (++this.#informational > informationalMax) return this.#odd('too many informational responses')
      if (end + 4 < data.length) this.#readHead(data.subarray(end + 4))
      return
    }
    this.#begin(head, data, end + 4)
  }

  #begin(head: ResponseHead, data: Buffer, bodyStart: number): void {
    this.#head = head
    const bodiless = this.#request!.method === 'HEAD' || head.status === 204 || head.status === 304
    if (bodiless || head.bodyLength === 0) {
      const announced = bodiless && head.status !== 204 ? head.bodyLength : 0
      return this.#answerWhole(new Uint8Array(0), announced, data.length - bodyStart)
    }
    if (head.bodyLength > 0 && data.length - bodyStart >= head.bodyLength) {
      const bodyEnd = bodyStart + head.bodyLength
      return this.#answerWhole(data.subarray(bodyStart, bodyEnd), head.bodyLength, data.length - bodyEnd)
    }
    this.#state = 'body'
    this.#bodyLeft = head.bodyLength
    this.#decoder = head.chunked ? new ChunkedDecoder() : null
    const body = (this.#body = new PushedBody(head.bodyLength, this))
    this.#enter('idle', this.wire.options.timeouts.idleMs)
    // Asked for first: a body that is complete, or already broken, with its head ends the exchange here. It still goes
    // the same way, since it holds its bytes and its end.
    const sink = this.#sink!
    if (bodyStart < data.length) this.#readBody(data, bodyStart)
    sink.answered({ status: head.status, headers: head.headers, body, tunnel: null, resent: false })
  }

  #answerWhole(bytes: Uint8Array, length: number, extra: number): void {
    const { status, headers } = this.#head!
    const sink = this.#sink!
    this.#release(extra === 0)
    sink.answered({ status, headers, body: new WholeBody(bytes, length), tunnel: null, resent: false })
  }

  #readBody(bytes: Buffer, start: number): void {
    const body = this.#body!
    if (!this.#paused) this.#enter('idle', this.wire.options.timeouts.idleMs)
    let next = bytes.length
    if (this.#decoder !== null) {
      next = this.#decoder.decode(bytes, start, this.#pushPart)
      if (next < 0) return this.#odd('malformed chunked body')
    } else if (this.#bodyLeft < 0) {
      body.push(start === 0 ? bytes : bytes.subarray(start))
    } else {
      next = Math.min(bytes.length, start + this.#bodyLeft)
      this.#bodyLeft -= next - start
      body.push(bytes.subarray(start, next))
    }
    // The sink may have given up while it took the bytes.
    if (this.#state !== 'body') return
    if (this.#decoder !== null ? this.#decoder.done : this.#bodyLeft === 0)
      this.#endBody(next === bytes.length)
  }

  /** Not over TLS: a cut by somebody in between looks the same as the upstream's own end. */
  get #endsWithSocket(): boolean {
    return this.#bodyLeft < 0 && this.#decoder === null && !this.wire.secure
  }

  #endBody(clean: boolean): void {
    const body = this.#body!
    this.#release(clean)
    body.finish()
  }

  #switch(head: ResponseHead, early: Buffer): void {
    if (this.#request!.upgrade === null) return this.#odd('101 to a request without Upgrade')
    this.#state = 'tunnel'
    this.#enter('none', Infinity)
    this.#tunnel = new ClientTunnel(this, this.#outbox!, this.wire.options.timeouts.idleMs)
    this.#sink!.answered({ ...head, body: WholeBody.empty, tunnel: this.#tunnel, resent: false })
    if (early.length > 0) this.#tunnel.push(early)
  }

  // --- the owner of the response's body --------------------------------------------------------------------------

  pauseReading(): void {
    this.#paused = true
    // A slow client is no slow upstream.
    if (this.#state === 'body') this.#enter('none', Infinity)
    this.#socket?.pause()
  }

  resumeReading(): void {
    this.#paused = false
    if (this.#state === 'body') this.#enter('idle', this.wire.options.timeouts.idleMs)
    this.#socket?.resume()
  }

  abandonBody(): void {
    this.destroy()
  }

  bodyStarted(): void {}

  // --- ending ----------------------------------------------------------------------------------------------------

  /** Gives up the exchange that reports to `sink`; not another's that has this socket by now. */
  abort(sink: ExchangeSink, cause: WireError): void {
    if (this.#state === 'closed' || this.#state === 'idle' || this.#sink !== sink) return
    this.#fail(cause)
    this.destroy()
  }

  /** For a tunnel: closes in order; what was written is with the kernel. */
  end(): void {
    this.#socket?.end()
  }

  /** For a tunnel: the upstream has so long to take what waits. */
  allow(durationMs: number): void {
    this.#enter(durationMs === Infinity ? 'none' : 'send', durationMs)
  }

  destroy(): void {
    if (this.#state === 'closed') return
    this.#socket?.terminate()
    this.#closed()
  }

  #timeOut(fault: WireFault): void {
    const answered = this.#state === 'body' || this.#stash !== null || this.#informational > 0
    this.#fail(new WireError(fault, 'the upstream took too long', answered))
    this.destroy()
  }

  #odd(what: string): void {
    this.#fail(new WireError('malformed', what, true))
    this.destroy()
  }

  /** Tells whoever waits: for the head, or for the body's next bytes. */
  #fail(cause: WireError): void {
    const sink = this.#sink
    this.#sink = null
    const state = this.#state
    this.#sender?.stop()
    if (state === 'body') this.#body?.fail(cause)
    else if (state === 'tunnel') this.#tunnel?.fail(cause)
    // Closed first, told second: whoever is told may send anew at once.
    if (state === 'connecting' || state === 'head') {
      this.destroy()
      sink?.failed(cause)
    }
  }

  /** The exchange is over: back to the pool, or closed where anything is left unsent or unread. */
  #release(clean: boolean): void {
    const reusable =
      clean && this.#head!.keepAlive && this.#sender!.finished && !this.#paused && this.held === null
    this.#sender!.stop()
    if (this.fresh && this.wire.secure)
      this.wire.tlsSession = sessionOf(this.#socket!) ?? this.wire.tlsSession
    // An idle connection keeps nothing of it: the request's body may be large.
    this.#sender = this.#request = this.#sink = null
    this.#head = this.#body = this.#decoder = this.#stash = null
    this.#totalEndsAtMs = Infinity
    this.#enter('none', Infinity)
    this.#state = 'idle'
    this.fresh = false
    this.wire.release(this, reusable)
  }

  #closed(): void {
    this.#state = 'closed'
    if (this.#connecting) this.wire.hangingConnects += 1
    // Whoever still pushes the request's body would push it into a socket that is gone.
    this.#sender?.stop()
    this.#body = null
    this.#stash = null
    this.wire.sweeper.remove(this)
    this.wire.forget(this)
  }

  #enter(phase: Phase, durationMs: number): void {
    this.#phase = phase
    this.#phaseEndsAtMs = durationMs === Infinity ? Infinity : this.#now() + durationMs
    this.deadlineAtMs = Math.min(this.#phaseEndsAtMs, this.#totalEndsAtMs)
  }

  #now(): number {
    return this.wire.sweeper.clock.nowMs()
  }
}
