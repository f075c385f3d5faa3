// The wire's second kind, over Bun's `fetch`: for what our own client does not speak. It pays three to four times the
// processor time, and it knows less: connecting cannot be told from waiting for the first byte (both count against
// firstByteMs, and a stuck connect reads `first_byte_timeout`), names of header fields arrive lower-cased and repeated
// fields joined, bare LF and a missing last CRLF are forgiven, a GET cannot carry a body, there is no WebSocket, and
// how many idle sockets are kept is Bun's affair. What would change the meaning of a request is refused, not passed; so
// is an answer whose end could not be told from a break.

import { PushedBody, WholeBody, type BodyOwner } from './body.ts'
import { Upload } from './fetch-upload.ts'
import { HeaderBlock } from './headers.ts'
import { WireError, type Wire, type WireCall, type WireFault } from './message.ts'
import type { WireOptions, WireReply, WireRequest } from './message.ts'
import type { Sweeper, Waiting } from './sweeper.ts'

/** A client of one account over `fetch`; honours `WireOptions.proxy`. */
export class FetchWire implements Wire {
  readonly #busy = new Set<FetchCall>()

  constructor(
    readonly options: WireOptions,
    readonly sweeper: Sweeper,
  ) {}

  send(request: WireRequest): WireCall {
    const call = new FetchCall(this, request)
    const refusal = refusalOf(request, this.options)
    if (refusal === null) call.start()
    else call.refuse(new WireError('connect_failed', refusal, false))
    return call
  }

  /** Nothing to do: idle sockets are Bun's, and what is under way ends by itself. */
  close(): void {}

  /** `idle` is always 0: Bun does not tell. */
  counts(): { idle: number; busy: number } {
    return { idle: 0, busy: this.#busy.size }
  }

  /** For calls: under way from now on. */
  enter(call: FetchCall): void {
    this.#busy.add(call)
    this.sweeper.add(call)
  }

  /** For calls: over, however it went. */
  leave(call: FetchCall): void {
    this.#busy.delete(call)
    this.sweeper.remove(call)
  }
}

/** Why `fetch` could not send this request as it is; null where it can. */
function refusalOf(request: WireRequest, options: WireOptions): string | null {
  if (request.upgrade !== null) return 'WebSocket does not go through an egress proxy'
  if (request.body !== null && (request.method === 'GET' || request.method === 'HEAD')) {
    return `a ${request.method} with a body does not go through an egress proxy`
  }
  // A URL is normalised: `/a/%2e%2e/b` would be sent as `/b`, which nobody has authorised.
  const url = new URL(options.origin.origin + request.target)
  if (url.pathname + url.search !== request.target)
    return 'this path cannot be sent unchanged through an egress proxy'
  return null
}

type Phase = 'send' | 'firstByte' | 'idle' | 'none'

const faultOf: Record<Phase, WireFault> = {
  send: 'idle_timeout',
  firstByte: 'first_byte_timeout',
  idle: 'idle_timeout',
  none: 'idle_timeout',
}

class FetchCall implements WireCall, Waiting, BodyOwner {
  readonly reply: Promise<WireReply>
  deadlineAtMs = Infinity
  readonly #controller = new AbortController()
  #settle!: { resolve: (reply: WireReply) => void; reject: (cause: WireError) => void }
  #phase: Phase = 'none'
  #phaseEndsAtMs = Infinity
  #totalEndsAtMs = Infinity
  #upload: Upload | null = null
  #body: PushedBody | null = null
  #resumed: PromiseWithResolvers<void> | null = null
  #over = false

  constructor(
    private readonly wire: FetchWire,
    private readonly request: WireRequest,
  ) {
    this.reply = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
  }

  refuse(cause: WireError): void {
    this.#over = true
    this.#settle.reject(cause)
  }

  start(): void {
    const { options, sweeper } = this.wire
    this.#totalEndsAtMs = sweeper.clock.nowMs() + options.timeouts.totalMs
    this.wire.enter(this)
    const body = this.request.body
    if (body === null || body.whole !== null) this.#enter('firstByte', options.timeouts.firstByteMs)
    else {
      // Before the first piece is taken lies the connect, for which there is no signal of its own.
      this.#enter('send', Math.max(options.timeouts.firstByteMs, options.timeouts.idleMs))
      this.#upload = new Upload(body, {
        // While the source is asked, it is the client that is slow, not the upstream.
        asking: () => this.#body === null && this.#enter('none', Infinity),
        given: () => this.#body === null && this.#enter('send', options.timeouts.idleMs),
        sent: () => this.#body === null && this.#enter('firstByte', options.timeouts.firstByteMs),
        broken: (cause) => this.#fail(cause),
      })
    }
    this.#run().catch((cause: unknown) => this.#fail(this.#describe(cause)))
  }

  abort(): void {
    this.#fail(new WireError('aborted', 'given up by this side', false))
  }

  onDeadline(): void {
    const nowMs = this.wire.sweeper.clock.nowMs()
    const fault = nowMs >= this.#totalEndsAtMs ? 'total_timeout' : faultOf[this.#phase]
    if (nowMs < Math.min(this.#totalEndsAtMs, this.#phaseEndsAtMs))
      this.#enter(this.#phase, this.#phaseEndsAtMs - nowMs)
    else this.#fail(new WireError(fault, 'the upstream took too long', this.#body !== null))
  }

  // --- the owner of the answer's body ----------------------------------------------------------------------------

  pauseReading(): void {
    this.#resumed ??= Promise.withResolvers()
    this.#enter('none', Infinity)
  }

  resumeReading(): void {
    this.#enter('idle', this.wire.options.timeouts.idleMs)
    this.#resumed?.resolve()
    this.#resumed = null
  }

  abandonBody(): void {
    this.abort()
  }

  bodyStarted(): void {}

  // --- the exchange ----------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    const response = await fetch(this.wire.options.origin.origin + this.request.target, this.#init())
    if (this.#over) return void response.body?.cancel().catch(ignore)
    const headers = HeaderBlock.fromPairs(response.headers)
    const coding = headers.get('transfer-encoding')
    const length = coding === null ? lengthOf(headers) : -1
    if (
      length === null ||
      (coding !== null && (coding.toLowerCase() !== 'chunked' || headers.get('content-length') !== null))
    ) {
      throw new WireError('malformed', 'odd framing of the answer', true)
    }
    const { status } = response
    if (coding === null && length < 0 && !isBodiless(this.request.method, status)) {
      // Bun takes a reset for the end of such a body; the bytes so far would look like a complete answer.
      throw new WireError(
        'malformed',
        'an answer without length cannot be told from one that broke off',
        true,
      )
    }
    if (isBodiless(this.request.method, status) || length === 0) {
      const announced = this.request.method === 'HEAD' || status === 304 ? length : 0
      this.#finish()
      return this.#settle.resolve({
        status,
        headers,
        body: new WholeBody(nothing, announced),
        tunnel: null,
        resent: false,
      })
    }
    const body = (this.#body = new PushedBody(length, this))
    this.#enter('idle', this.wire.options.timeouts.idleMs)
    this.#settle.resolve({ status, headers, body, tunnel: null, resent: false })
    await this.#pump(response, body)
    this.#finish()
    body.finish()
  }

  async #pump(response: Response, body: PushedBody): Promise<void> {
    let left = body.length
    const reader = response.body!.getReader()
    while (true) {
      if (this.#resumed !== null) await this.#resumed.promise
      const { done, value } = await reader.read()
      if (this.#over) return
      if (done) break
      if (value.length === 0) continue
      left -= value.length
      if (this.#phase === 'idle') this.#enter('idle', this.wire.options.timeouts.idleMs)
      body.push(value)
    }
    if (body.length >= 0 && left !== 0)
      throw new WireError('truncated', 'the answer does not match its length', true)
  }

  #init(): BunFetchRequestInit {
    const { options } = this.wire
    const { method, body } = this.request
    const headers = pairsOf(this.request.headerLines)
    // What the client did not send, Bun would make up.
    for (const name of ['user-agent', 'accept'])
      if (!headers.some(([each]) => each.toLowerCase() === name)) headers.push([name, ''])
    if (body !== null && body.length >= 0) headers.push(['Content-Length', String(body.length)])
    return {
      method,
      headers,
      body: (body?.whole as Uint8Array<ArrayBuffer> | null | undefined) ?? this.#upload?.stream ?? null,
      redirect: 'manual',
      decompress: false,
      keepalive: options.keepAlive.idleMs > 0 && options.keepAlive.maxIdle > 0,
      signal: this.#controller.signal,
      tls: { rejectUnauthorized: true, ...(options.caPem === null ? {} : { ca: options.caPem }) },
      ...(options.proxy === null ? {} : { proxy: options.proxy }),
      // Ours are the time-outs that count; Bun's own would cut an answer that pauses for five minutes.
      ...{ timeout: false },
    }
  }

  // --- ending ----------------------------------------------------------------------------------------------------

  #fail(cause: WireError): void {
    if (this.#over) return
    const body = this.#body
    this.#finish()
    this.#controller.abort()
    this.#resumed?.resolve()
    if (body === null) this.#settle.reject(cause)
    else body.fail(cause)
  }

  #finish(): void {
    this.#over = true
    this.#upload?.stop()
    this.#enter('none', Infinity)
    this.deadlineAtMs = Infinity
    this.wire.leave(this)
  }

  #enter(phase: Phase, durationMs: number): void {
    this.#phase = phase
    this.#phaseEndsAtMs = durationMs === Infinity ? Infinity : this.wire.sweeper.clock.nowMs() + durationMs
    this.deadlineAtMs = Math.min(this.#phaseEndsAtMs, this.#totalEndsAtMs)
  }

  #describe(cause: unknown): WireError {
    if (cause instanceof WireError) return cause
    const code = codeOf(cause)
    const answered = this.#body !== null
    if (/^(?:Invalid|Malformed|Unrequested|.*Encoding|.*Decompression|.*HeadersOversized)/i.test(code)) {
      return new WireError('malformed', code, true)
    }
    if (answered) return new WireError('truncated', code, true)
    if (/CERT|SIGNATURE|TLS|SSL|ISSUER|CRL|_CA$|ALTNAME/i.test(code))
      return new WireError('tls_failed', code, false)
    if (/ECONNRESET|ConnectionClosed|EPIPE/.test(code)) return new WireError('reset', code, false)
    return new WireError('connect_failed', code, false)
  }
}

const nothing = new Uint8Array(0)

function ignore(): void {}

function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** Bun's name for what went wrong, else its message. */
function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const { code } = cause as { code?: unknown }
  return typeof code === 'string' ? code : cause.message
}

/** Content-Length of an answer to `fetch`: -1 where absent, null where it is none. */
function lengthOf(headers: HeaderBlock): number | null {
  const value = headers.get('content-length')
  if (value === null) return -1
  return /^[0-9]{1,15}$/.test(value) ? Number(value) : null
}

function pairsOf(headerLines: string): [string, string][] {
  const block = HeaderBlock.parse(headerLines)
  if (block === null) throw new WireError('connect_failed', 'the request has a malformed header line', false)
  return Array.from({ length: block.size }, (_, index) => [block.name(index), block.value(index)])
}
