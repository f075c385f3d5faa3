// From an upstream's reply to the bytes a client gets. Server-sent events pass in whole frames: a frame cut in two by
// the network waits for its rest (the client could not use half of it either), so that an upstream that breaks off can
// always be followed by a well-formed error event, and a tap never sees half a frame.

import type { Drain, Exchange, Reply, Tap } from './exchange.ts'
import { Failure } from './failure.ts'
import { WholeBody } from './net/wire/body.ts'
import type { Body, BodySink, Tunnel, WireError } from './net/wire/message.ts'
import { SseFrames, sseErrorFrame } from './openai/sse.ts'

/** A frame longer than this passes in pieces: nobody may make us hold more. Frames with images have some megabytes. */
const frameBytesMax = 16 * 1024 * 1024

/** The reply with the taps on its body. */
export function deliver(x: Exchange, reply: Reply, taps: readonly Tap[]): Reply {
  x.status = reply.status
  if (reply.tunnel !== null) reply.tunnel = watched(x, reply.tunnel)
  const body = reply.body
  if (body === null) return reply
  x.stream = isEventStream(reply.contentType)
  if (body.whole !== null && !x.stream) reply.body = tapWhole(body, taps)
  else reply.body = new TappedBody(x, body, taps)
  return reply
}

/** A tunnel that notes where it was the upstream that cut it. */
function watched(x: Exchange, tunnel: Tunnel): Tunnel {
  const { incoming } = tunnel
  const start = (sink: BodySink): void =>
    incoming.start({
      chunk: (bytes) => sink.chunk(bytes),
      end: () => sink.end(),
      error(cause) {
        if (!x.gone) x.failure = streamFailure(cause)
        sink.error(cause)
      },
    })
  return {
    incoming: {
      whole: null,
      length: -1,
      start,
      pause: () => incoming.pause(),
      resume: () => incoming.resume(),
      abort: () => incoming.abort(),
    },
    write: (bytes) => tunnel.write(bytes),
    onDrain: (callback) => tunnel.onDrain(callback),
    end: () => tunnel.end(),
    abort: () => tunnel.abort(),
  }
}

/** A body that is here already stays whole: head and body go out in one write. */
function tapWhole(body: Body, taps: readonly Tap[]): Body {
  let bytes = body.whole!
  for (const tap of taps) {
    const passed = bytes.length === 0 ? bytes : tap.chunk(bytes)
    const rest = tap.end()
    bytes = rest === null || rest.length === 0 ? passed : Buffer.concat([passed, rest])
  }
  return bytes === body.whole ? body : new WholeBody(bytes)
}

export function isEventStream(contentType: string): boolean {
  return /^text\/event-stream\b/i.test(contentType)
}

class TappedBody implements Body, BodySink {
  readonly whole = null
  readonly length: number
  #sink: BodySink | null = null
  #started = false
  /** Set where the client has left and the answer is read on all the same: the taps see it, nobody else. */
  #drain: Drain | null = null
  readonly #frames: SseFrames | null

  constructor(
    private readonly x: Exchange,
    private readonly source: Body,
    private readonly taps: readonly Tap[],
  ) {
    // The length of events is not announced: an error event may have to follow.
    this.length = x.stream ? -1 : source.length
    this.#frames = x.stream ? new SseFrames(frameBytesMax) : null
  }

  start(sink: BodySink): void {
    this.#sink = sink
    this.#started = true
    this.source.start(this)
  }

  chunk(bytes: Uint8Array): void {
    const frames = this.#frames
    if (frames === null) {
      this.#pass(bytes)
      this.#drain?.saw(bytes)
      return
    }
    const whole = frames.push(bytes) ?? (frames.overflowed ? frames.rest() : null)
    if (whole !== null) this.#pass(whole)
    this.#drain?.saw(bytes)
  }

  end(): void {
    // What has no blank line behind it is no event by the standard, but it is the upstream's bytes.
    const last = this.#frames?.rest() ?? null
    if (last !== null) this.#pass(last)
    this.x.reading = false
    const rests: Uint8Array[] = []
    for (let index = 0; index < this.taps.length; index++) {
      let rest = this.taps[index]!.end()
      for (const tap of this.taps.slice(index + 1))
        if (rest !== null && rest.length > 0) rest = tap.chunk(rest)
      if (rest !== null && rest.length > 0) rests.push(rest)
    }
    // The last byte waits for what must be kept before it.
    const { durable } = this.x
    if (durable === null) this.#finish(rests)
    else void durable.finally(() => this.#finish(rests))
  }

  #finish(rests: readonly Uint8Array[]): void {
    if (this.#drain !== null) return this.#drain.end()
    for (const rest of rests) this.#sink!.chunk(rest)
    this.#sink!.end()
  }

  error(cause: WireError): void {
    const { x } = this
    x.reading = false
    if (this.#drain !== null) return this.#drain.end()
    // Nobody is left to be told, or what cut the connection has been said.
    if (x.gone || x.failure !== null) return this.#sink!.error(cause)
    x.failure = streamFailure(cause)
    if (!x.stream) return this.#sink!.error(cause)
    this.#sink!.chunk(Buffer.from(sseErrorFrame(x.failure.toJson()), 'utf8'))
    this.#sink!.end()
  }

  pause(): void {
    this.source.pause()
  }

  resume(): void {
    this.source.resume()
  }

  abort(): void {
    const { drain, reading } = this.x
    if (drain === null || !reading || this.#drain !== null) {
      this.x.reading = false
      return this.source.abort()
    }
    this.#drain = drain
    drain.begin(this.source)
    if (this.#started) this.source.resume()
    else this.source.start(this)
  }

  #pass(bytes: Uint8Array): void {
    let passed = bytes
    for (const tap of this.taps) {
      if (passed.length === 0) return
      passed = tap.chunk(passed)
    }
    if (passed.length > 0 && this.#drain === null) this.#sink!.chunk(passed)
  }
}

/** A stream that broke off after its head: never to be repeated by itself, since tokens were paid for. */
function streamFailure(cause: WireError): Failure {
  const detail = `${cause.fault}: ${cause.detail}`
  return cause.fault === 'idle_timeout' || cause.fault === 'total_timeout'
    ? new Failure('upstream_timeout', 'The upstream stopped sending before its answer was complete.', {
        detail,
        retryable: false,
      })
    : new Failure('upstream_unavailable', 'The upstream broke off before its answer was complete.', {
        detail,
        retryable: false,
      })
}
