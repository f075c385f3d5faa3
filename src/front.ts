// Between the wire and the path: makes an exchange of each request, sends its reply with our own header fields, and sees
// to it that every exchange ends exactly once. Also answers what is no exchange: refusals of the strict front, and the
// page at `/`.

import type { Clock } from './base/clock.ts'
import { newExchangeId } from './base/id.ts'
import { Exchange, type CacheStatus, type IncomingRequest, type Reply } from './exchange.ts'
import { Failure } from './failure.ts'
import { readAway, WholeBody } from './net/wire/body.ts'
import { HeaderBlock } from './net/wire/headers.ts'
import type { FrontRefusal } from './net/wire/request-head.ts'
import type { RequestOwner, ServerRequest } from './net/wire/server-request.ts'
import type { ServerHandler, ServerReply } from './net/wire/server.ts'
import { finish, proxy, type Stages } from './proxy.ts'
import { failureReply } from './refuse.ts'
import type { Running } from './running.ts'
import type { Overload } from './proxy.ts'

export interface FrontOptions {
  /** The stages in force. */
  readonly stages: () => Stages
  readonly clock: Clock
  readonly running: Running
  /** Says when there is more than this process can do. */
  readonly overload: Overload<ServerRequest>
}

export function createFront(options: FrontOptions): ServerHandler {
  const { overload } = options
  overload.serve((request, readAtMs) => begin(request, options, readAtMs))
  return {
    request(request) {
      if (request.path === '/' && (request.method === 'GET' || request.method === 'HEAD'))
        request.respond(welcome)
      else if (overload.begins()) {
        begin(request, options)
        overload.worked()
      } else if (!overload.waits(request)) shed(request)
    },
    refuse: (refusal, peerAddress) => refuseUnread(refusal, peerAddress, options),
    bug: (cause) => options.stages().log.bug(cause),
  }
}

/** `readAtMs`: since when it has waited for its turn; absent = it did not. */
function begin(request: ServerRequest, options: FrontOptions, readAtMs?: number): void {
  const x = new Exchange(newExchangeId(), request, options.clock)
  if (readAtMs !== undefined) x.startedAtMs = readAtMs
  const answering = new Answering(x, request, options)
  request.owner = answering
  answering.run()
}

/** An exchange on its way, as its connection sees it. An object, since closures for each request are dearer. */
class Answering implements RequestOwner {
  readonly #stages: Stages
  readonly #slot: number

  constructor(
    private readonly x: Exchange,
    private readonly request: ServerRequest,
    private readonly options: FrontOptions,
  ) {
    this.#stages = options.stages()
    this.#slot = options.running.began(x, request)
  }

  run(): void {
    const reply = proxy(this.x, this.#stages)
    if (reply instanceof Promise) this.#answerLater(reply)
    else this.#answer(reply)
  }

  /** By itself: a function that makes closures pays for them at every call. */
  #answerLater(reply: Promise<Reply>): void {
    void reply.then((so) => this.#answer(so))
  }

  /** Never throws: `respond` may find a bug of ours, which must not end the process. */
  #answer(reply: Reply): void {
    const { x, request } = this
    try {
      x.firstByteAtMs = this.options.clock.nowMs()
      // Its client has left, but others wait for what it began.
      if (
        x.gone &&
        x.drained !== null &&
        x.drain === null &&
        reply.body !== null &&
        reply.body.whole === null
      )
        return void readAway(reply.body)
      request.respond(serverReply(x, reply))
      // Waited for though its client has left, and here: there is no more to read.
      if (x.drain !== null && !x.reading) x.drain.end()
    } catch (cause) {
      x.drain?.end()
      this.#stages.log.bug(cause)
      request.destroy()
    }
  }

  gone(): void {
    const { x } = this
    // Where something had failed already, the connection was cut for that: the client did not leave.
    x.gone = x.failure === null
    if (x.sharing === null || !x.sharing.left(x)) x.onGone?.()
  }

  refused(refusal: FrontRefusal): ServerReply {
    return serverReply(this.x, failed(this.x, refusal))
  }

  finished(complete: boolean): void {
    const { x, request, options } = this
    x.bytesOut = request.bytesOut
    // A reply that broke off by the upstream's fault is not the client's leaving.
    if (!complete && x.failure === null)
      x.failure = new Failure('client_gone', 'The client closed the connection.')
    if (x.failure?.code === 'client_gone') x.status = x.failure.status
    options.running.ended(this.#slot)
    options.overload.knew(request, x.principal)
    // An answer that is read on without its client is over when its usage is known.
    if (x.drained === null) finish(x, this.#stages)
    else this.#drains(x.drained)
  }

  #drains(drained: Promise<void>): void {
    const { x, options } = this
    options.running.drains(x.drain, drained, () => finish(x, this.#stages))
  }
}

/** Turned away before anything is done for it: no exchange, no line in the log. */
function shed(request: ServerRequest): void {
  request.body?.abort()
  request.respond(overloaded)
}

/** An upstream's own: two answers to one question are none. What we say ourselves stands in `corsLines`. */
const crossOriginLine = /^access-control-[^\r\n]*\r\n/gim

/** An upstream's own limits are the operator's account's: a client is told of its own. */
const limitLine = /^x-ratelimit-[^\r\n]*\r\n/gim

function serverReply(x: Exchange, reply: Reply): ServerReply {
  let { headerLines } = reply
  if (x.limitLines !== '') headerLines = headerLines.replace(limitLine, '')
  if (x.corsLines !== null) headerLines = headerLines.replace(crossOriginLine, '')
  return {
    status: reply.status,
    headerLines,
    ownLines: ownLines(x),
    dated: reply.dated,
    body: reply.body,
    tunnel: reply.tunnel,
    close: x.failure?.closes ?? false,
  }
}

/** One long template for nearly all: a string made longer step by step takes twice as long to put together. */
function ownLines(x: Exchange): string {
  const { id, cacheStatus, limitLines } = x
  const requestId = x.upstreamRequestId === null ? `x-request-id: ${id}\r\n` : ''
  const upstream =
    x.upstream === null ? '' : `x-headgate-upstream: ${x.upstream}\r\nx-headgate-attempts: ${x.attempts}\r\n`
  const cache = x.upstream === null && cacheStatus === 'BYPASS' ? '' : cacheLines[cacheStatus]
  const age = x.ageSeconds === null ? '' : `age: ${x.ageSeconds}\r\n`
  return `${requestId}x-headgate-id: ${id}\r\n${upstream}${cache}${age}${limitLines}${x.corsLines ?? ''}`
}

const cacheLines: Readonly<Record<CacheStatus, string>> = {
  HIT: 'x-cache-status: HIT\r\n',
  SEMANTIC: 'x-cache-status: SEMANTIC\r\n',
  MISS: 'x-cache-status: MISS\r\n',
  BYPASS: 'x-cache-status: BYPASS\r\n',
  EXPIRED: 'x-cache-status: EXPIRED\r\n',
  STALE: 'x-cache-status: STALE\r\n',
  COALESCED: 'x-cache-status: COALESCED\r\n',
}

/** A request that was refused before it could be read: answered, and logged like any other. */
function refuseUnread(refusal: FrontRefusal, peerAddress: string, options: FrontOptions): ServerReply {
  const stages = options.stages()
  const clock = options.clock
  const x = new Exchange(newExchangeId(), unread(peerAddress), clock)
  const reply = failed(x, refusal)
  finish(x, stages)
  return serverReply(x, reply)
}

function failed(x: Exchange, refusal: FrontRefusal): Reply {
  // One code stands for many reasons, and no body tells the operator which: the log does.
  x.failure = new Failure(refusal.fault, refusal.message, { detail: refusal.message })
  x.status = x.failure.status
  return failureReply(x.failure)
}

function unread(peerAddress: string): IncomingRequest {
  return {
    method: '-',
    path: '-',
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress,
    upgrade: null,
  }
}

const overloaded: ServerReply = {
  ...failureReply(new Failure('overloaded', 'The gateway is overloaded. Try again in a moment.')),
  ownLines: '',
  close: false,
}

const welcome: ServerReply = {
  status: 200,
  headerLines: 'Content-Type: text/plain; charset=utf-8\r\n',
  ownLines: '',
  dated: false,
  body: new WholeBody(
    Buffer.from("Headgate is running. Point your OpenAI client's base URL at /v1 of this address.\n"),
  ),
  tunnel: null,
  close: false,
}
