// One client's connection: reads requests one after the other, sends answers, pushes back both ways, and frees
// everything it holds on every exit. States: `head` (idle or amid a head), `body` (amid a request's body), `busy` (the
// request is read, the answer is not out), `tunnel` (after a 101), `closing` (discards what still comes, so that the
// answer is not lost to a reset). What follows a refused request on the connection is never read as a request.

import type { Socket } from 'bun'
import { WholeBody, type BodyOwner } from './body.ts'
import { findHead, type KnownHead } from './known-heads.ts'
import { WireError, type Body } from './message.ts'
import { Outbox, writeMessage } from './outbox.ts'
import { discardBytesMax, RequestBodyReader } from './request-body.ts'
import { FrontRefusal, type RequestHead } from './request-head.ts'
import { ReplyWriter } from './reply-writer.ts'
import { ServerRequest, type Responder } from './server-request.ts'
import type { HttpServer, ServerReply } from './server.ts'
import { refusalHead, switchHead } from './status.ts'
import type { Waiting } from './sweeper.ts'
import { splice, type TunnelSink } from './tunnel.ts'

type State = 'head' | 'body' | 'busy' | 'tunnel' | 'closing' | 'closed'

/** Bytes of following requests held while one is being answered. */
const stashBytesMax = 64 * 1024
/** How long a closing connection waits for the client to take the answer and leave. */
const lingerMs = 2000
/** Draining: an idle connection gets this long for a request that is on its way already. */
const drainLingerMs = 1000

const continueLine = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')

export class ServerConnection implements Waiting, BodyOwner, Responder {
  deadlineAtMs: number
  /** The socket's other end, or the client that a PROXY header names; `opening`: what came of it, null = settled. */
  peerAddress: string
  opening: Buffer | null = null
  readonly outbox: Outbox
  #state: State = 'head'
  #stash: Buffer | null = null
  #head: RequestHead | null = null
  /** The last head that came before; the next one is nearly always the same. */
  #lastHead: KnownHead | null = null
  #request: ServerRequest | null = null
  #body: RequestBodyReader | null = null
  #continued = false
  #discarded = 0
  #writer: ReplyWriter | null = null
  #replied = false
  #closeAfter = false
  #bodyPaused = false
  #stashFull = false
  #readingOn = false
  #again = false
  #tunnelSink: TunnelSink | null = null

  constructor(
    private readonly socket: Socket<ServerConnection>,
    readonly server: HttpServer,
  ) {
    // A client that has reset the connection already has no address any more.
    this.peerAddress = socket.remoteAddress ?? 'unknown'
    this.outbox = new Outbox(socket, this, server.handler.bug)
    this.deadlineAtMs = this.#in(server.limits.idleMs)
  }

  /** A request is being read or answered. */
  get busy(): boolean {
    return this.#request !== null || this.#state === 'tunnel'
  }

  // --- from the socket -------------------------------------------------------------------------------------------

  onData(bytes: Buffer): void {
    if (this.#state === 'head') this.#readHead(bytes)
    else if (this.#state === 'body') this.#readBody(bytes)
    else if (this.#state === 'busy') this.#keepForLater(bytes)
    else if (this.#state === 'tunnel') this.#tunnelSink?.bytes(bytes)
    else this.#discard(bytes.length)
  }

  onDrain(): void {
    this.outbox.flush()
    if (this.#state === 'closed') return
    if (this.outbox.waitingBytes > 0) return this.writeStalled()
    // A reader that has caught up is not slow any more, however long the next bytes take to come.
    if (this.#state === 'busy' || this.#state === 'tunnel') this.deadlineAtMs = Infinity
    if (this.#state === 'tunnel') this.#tunnelSink?.drained()
    else this.#written()
  }

  /** The client will send no more. With an answer still owed it is taken as gone, as a client that closes looks the same. */
  onEnd(): void {
    if (this.#state === 'tunnel') {
      this.#tunnelSink?.ended()
      this.#tunnelSink = null
      this.#finish(true)
    }
    // Answers may be given already, and lie among others.
    while (this.outbox.hurry());
    if (this.#request === null) this.socket.end()
    else this.destroy()
  }

  /** The socket is gone, for whatever reason. */
  onClose(): void {
    if (this.#state === 'closed') return
    const tunnel = this.#tunnelSink
    this.#state = 'closed'
    this.#stash = null
    this.#tunnelSink = null
    tunnel?.cut()
    this.#body?.body.fail(new WireError('aborted', 'the client has gone', false))
    // Told before the answer is let go of: its owner may want to read it on.
    this.#request?.left()
    this.#writer?.abort()
    this.#finish(false)
  }

  onDeadline(): void {
    if (this.#state === 'head' && this.#stash !== null) {
      this.refuse(new FrontRefusal('request_timeout', 'The request head took too long to arrive.'))
    } else if (this.#state === 'body' && !this.#replied) {
      const body = this.#body?.body
      this.refuse(new FrontRefusal('request_timeout', 'The request body took too long to arrive.'))
      body?.fail(new WireError('idle_timeout', 'the request body stalled', false))
    } else if (this.#state === 'head') this.#close()
    // Closed, not cut: the kernel may still be sending the end of an answer.
    else if (this.#state === 'closing') this.socket.end()
    else this.destroy()
  }

  // --- reading ---------------------------------------------------------------------------------------------------

  #readHead(bytes: Buffer): void {
    const limits = this.server.limits
    const part = this.#stash
    const last = this.#lastHead
    if (part === null && last !== null && last.isWithin(limits) && last.begins(bytes))
      return this.#begin(last.head, bytes, last.bytes.length)
    const data = part === null ? bytes : Buffer.concat([part, bytes])
    this.#stash = null
    const found = findHead(data, part === null ? 0 : Math.max(0, part.length - 3), limits)
    if (found instanceof FrontRefusal) return this.refuse(found)
    if (found === null) {
      // Counted from its first byte; one that comes whole, as nearly all do, needs no deadline.
      if (part === null) this.deadlineAtMs = this.#in(limits.headerMs)
      this.#stash = data
      return
    }
    this.#lastHead = found.known
    this.#begin(found.head, data, found.end)
  }

  #begin(head: RequestHead, data: Buffer, bodyStart: number): void {
    this.#head = head
    this.#replied = false
    this.#continued = false
    this.#discarded = 0
    this.deadlineAtMs = Infinity
    let body: Body | null = null
    if (head.bodyLength > 0 && data.length - bodyStart >= head.bodyLength) {
      body = new WholeBody(data.subarray(bodyStart, bodyStart + head.bodyLength))
      bodyStart += head.bodyLength
    } else if (head.bodyLength !== 0) {
      this.#body = new RequestBodyReader(head.bodyLength, this)
      body = this.#body.body
    }
    const request = (this.#request = new ServerRequest(head, body, this))
    const pushed = this.#body
    this.#state = pushed === null ? 'busy' : 'body'
    if (pushed !== null) this.deadlineAtMs = this.#in(this.server.limits.idleMs)
    const rest = bodyStart < data.length ? data.subarray(bodyStart) : null
    if (rest !== null && pushed === null) this.#keepForLater(rest)
    this.server.handler.request(request)
    // The handler may have answered and the connection moved on: the rest belongs to this body only while it is current.
    if (rest !== null && pushed !== null && this.#body === pushed && this.#state === 'body')
      this.#readBody(rest)
  }

  #readBody(bytes: Buffer): void {
    const reader = this.#body!
    this.deadlineAtMs = this.#in(this.server.limits.idleMs)
    const end = reader.read(bytes)
    if (end < 0) {
      this.refuse(new FrontRefusal('malformed_request', 'The chunked body is malformed.'))
      return reader.body.fail(new WireError('malformed', 'the request body is malformed', false))
    }
    // A sink may have answered, or the connection may have been cut, while it took the bytes.
    if (this.#state !== 'body') return
    if (!reader.done) {
      if (reader.droppedTooMuch && this.#replied) this.#close()
      return
    }
    this.#body = null
    this.#state = 'busy'
    // Whoever pushed back on the last piece has nothing left to resume; the next request must be read all the same.
    if (this.#bodyPaused) this.resumeReading()
    this.deadlineAtMs = this.outbox.waitingBytes > 0 ? this.#in(this.server.limits.idleMs) : Infinity
    if (end < bytes.length) this.#keepForLater(bytes.subarray(end))
    reader.body.finish()
    this.#written()
  }

  #keepForLater(bytes: Buffer): void {
    if (this.#closeAfter) return this.#discard(bytes.length)
    this.#stash = this.#stash === null ? bytes : Buffer.concat([this.#stash, bytes])
    if (this.#stash.length > stashBytesMax && !this.#stashFull) {
      this.#stashFull = true
      this.#updateReading()
    }
  }

  #discard(bytes: number): void {
    this.#discarded += bytes
    // A client that goes on sending behind a refusal for ever is cut.
    if (this.#discarded > 64 * discardBytesMax) this.destroy()
  }

  #updateReading(): void {
    if (this.#state === 'closed') return
    if (this.#bodyPaused || this.#stashFull) this.socket.pause()
    else this.socket.resume()
  }

  // --- the owner of a request's body -----------------------------------------------------------------------------

  pauseReading(): void {
    this.#bodyPaused = true
    this.deadlineAtMs = Infinity
    this.#updateReading()
  }

  resumeReading(): void {
    this.#bodyPaused = false
    if (this.#state === 'body') this.deadlineAtMs = this.#in(this.server.limits.idleMs)
    this.#updateReading()
  }

  abandonBody(): void {
    if (this.#bodyPaused) this.resumeReading()
  }

  bodyStarted(): void {
    if (!this.#head!.expectsContinue || this.#continued || this.#replied) return
    this.#continued = true
    this.outbox.write(continueLine)
  }

  // --- answering -------------------------------------------------------------------------------------------------

  respond(request: ServerRequest, reply: ServerReply): void {
    if (this.#state === 'closed' || this.#state === 'closing' || request !== this.#request) {
      reply.body?.abort()
      reply.tunnel?.abort()
      return
    }
    this.#replied = true
    if (reply.tunnel !== null) return this.#openTunnel(reply)
    const head = this.#head!
    // An unread body decides over the connection: waiting for `100 Continue`, or too long to be worth reading.
    const unread = this.#body !== null && this.#body.tooLongToDrop
    const refusesBody = this.#body !== null && head.expectsContinue && !this.#continued
    const untilClose = !head.takesChunked && (reply.body?.length ?? 0) < 0
    if (!head.keepAlive || reply.close || this.server.draining || unread || refusesBody || untilClose) {
      this.#closeAfter = true
    }
    // What still comes of its request may end the connection: an answer that is early goes out first.
    this.outbox.alone = this.#body !== null
    this.#writer = new ReplyWriter(this, request, { reply, head, close: this.#closeAfter })
    this.#writer.begin()
  }

  /** The writer has handed over its last byte, or cannot go on. */
  replyEnded(complete: boolean): void {
    if (!complete) return this.destroy()
    if (this.outbox.waitingBytes > 0) this.writeStalled()
    this.#written()
  }

  /** A piece did not fit into the kernel's buffer: the reader has this long to take some. */
  writeStalled(): void {
    this.deadlineAtMs = this.#in(this.server.limits.idleMs)
  }

  /** Goes on where an answer is out and its request is read: to the next request, or to the end. */
  #written(): void {
    if (this.#state === 'closing' || this.#state === 'closed' || this.#writer === null) return
    if (!this.#writer.ended || this.outbox.waitingBytes > 0) return
    this.#finish(true)
    if (this.#closeAfter) return this.#close()
    if (this.#body !== null) return this.#body.body.abort()
    this.#next()
  }

  #next(): void {
    this.#replied = false
    this.#head = this.#writer = null
    this.#state = 'head'
    // An answer begun before draining has not said that this ends: the next request may be on its way.
    this.deadlineAtMs = this.#in(this.server.draining ? drainLingerMs : this.server.limits.idleMs)
    if (this.#stashFull) {
      this.#stashFull = false
      this.#updateReading()
    }
    this.#readOn()
  }

  /** Reads the requests held so far. A loop: answers given at once would nest as deep as requests are pipelined. */
  #readOn(): void {
    this.#again = true
    if (this.#readingOn) return
    this.#readingOn = true
    while (this.#again) {
      this.#again = false
      const rest = this.#stash
      this.#stash = null
      if (rest !== null) this.#readHead(rest)
    }
    this.#readingOn = false
  }

  #finish(complete: boolean): void {
    const request = this.#request
    if (request === null) return
    this.#request = null
    if (!complete) request.left()
    request.owner?.finished(complete)
  }

  /** Says why and closes: what follows on this connection is not read. */
  refuse(refusal: FrontRefusal): void {
    this.#stash = null
    this.#closeAfter = true
    if (this.#replied) return this.destroy()
    const reply =
      this.#request?.owner?.refused(refusal) ?? this.server.handler.refuse(refusal, this.peerAddress)
    const bytes = reply.body?.whole ?? WholeBody.empty.whole
    writeMessage(this.outbox, refusalHead(reply, bytes.length), bytes)
    this.#finish(false)
    this.#close()
  }

  #openTunnel(reply: ServerReply): void {
    this.#state = 'tunnel'
    this.deadlineAtMs = Infinity
    this.socket.setKeepAlive(true, 60_000)
    this.#tunnelSink = splice(this, reply.tunnel!)
    writeMessage(this.outbox, switchHead(reply), null)
    const early = this.#stash
    this.#stash = null
    if (early !== null) this.#tunnelSink.bytes(early)
  }

  // --- ending ----------------------------------------------------------------------------------------------------

  /** Draining: closes behind an answer that says so; an idle one when nothing comes for a moment. */
  drain(): void {
    if (this.#state === 'head' && this.#stash === null) this.deadlineAtMs = this.#in(drainLingerMs)
  }

  /** Ends in order: what was written is sent, then the connection is closed, and what still comes is dropped. */
  #close(): void {
    if (this.#state === 'closed' || this.#state === 'closing') return
    const mayStillSend = this.#body !== null || this.#state === 'head' || this.#state === 'tunnel'
    this.#state = 'closing'
    this.#bodyPaused = this.#stashFull = false
    this.#updateReading()
    this.deadlineAtMs = this.#in(lingerMs)
    if (this.outbox.waitingBytes > 0) this.outbox.onDrain = () => this.#shut(mayStillSend)
    else this.#shut(mayStillSend)
  }

  /** Closing with bytes unread makes the kernel send a reset, which can destroy the answer on its way: shut one side only. */
  #shut(mayStillSend: boolean): void {
    if (mayStillSend) this.socket.shutdown()
    else this.socket.end()
  }

  /** Cuts the connection: the client sees that the answer is not complete. */
  destroy(): void {
    this.outbox.hurry()
    if (this.#state !== 'closed') this.socket.terminate()
  }

  /** The upstream has ended the tunnel in order. */
  closeTunnel(): void {
    if (this.#state !== 'tunnel') return
    this.#finish(true)
    this.#close()
  }

  /** Tunnel only: push back on the client. */
  setTunnelPaused(paused: boolean): void {
    this.#bodyPaused = paused
    this.#updateReading()
  }

  #in(durationMs: number): number {
    return this.server.sweeper.clock.nowMs() + durationMs
  }
}
