// The contract of the wire, the same for both sides and for every kind of client: a message is a head, then a body
// that is pushed: start, chunks, end or error. Push with pause/resume, not an async iterator: an iterator costs a
// promise a chunk, and the sockets underneath push anyway. Whoever starts a body owns it until end, error or abort.

import type { HeaderBlock } from './headers.ts'

/** Why a message broke off. `answered`: at least one byte of a reply had come, so a repeat may pay twice. */
export type WireFault =
  | 'connect_failed'
  | 'connect_timeout'
  | 'tls_failed'
  | 'first_byte_timeout'
  | 'idle_timeout'
  | 'total_timeout'
  | 'reset'
  | 'truncated'
  | 'malformed'
  | 'too_large'
  | 'aborted'

/** A broken message. Plain value, no stack: breaking is an expected event on a network. */
export class WireError {
  #resent = false

  constructor(
    readonly fault: WireFault,
    readonly detail: string,
    /** At least one byte of an answer had come. */
    readonly answered: boolean,
  ) {}

  /** The request had been sent twice: see `WireReply.resent`. */
  get resent(): boolean {
    return this.#resent
  }

  /** The same, for a request that had been sent twice. */
  ofResent(): WireError {
    const error = new WireError(this.fault, this.detail, this.answered)
    error.#resent = true
    return error
  }
}

/** Receives a body. Called synchronously from socket callbacks: must not throw. */
export interface BodySink {
  /** `bytes` is the sink's to keep; never empty. */
  chunk(bytes: Uint8Array): void
  end(): void
  /** Called instead of `end`, at most once; nothing follows. */
  error(cause: WireError): void
}

/** A body on its way, pushed to one sink. */
export interface Body {
  /** Bytes announced by Content-Length; -1 where unknown (chunked or until close). */
  readonly length: number
  /** The whole body where it is already here: then `start` need not be called. */
  readonly whole: Uint8Array | null
  /** Begin. Bytes that came before are pushed first, synchronously. Call once. */
  start(sink: BodySink): void
  /** Stop reading from the peer; a few chunks already read may still come. */
  pause(): void
  resume(): void
  /** Give up: the peer's connection is destroyed if bytes are still owed. Idempotent; the sink hears nothing more. */
  abort(): void
}

/** A two-way byte stream after a 101, for WebSocket. */
export interface Tunnel {
  /** Bytes from the peer. Call `start` once; `end` = the peer finished cleanly. */
  readonly incoming: Body
  /** Hand bytes to the peer. False = its buffer is full: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean
  onDrain(callback: () => void): void
  /** Finish sending; the connection closes when all is written. */
  end(): void
  /** Destroy at once. */
  abort(): void
}

/** What a client of the wire is asked to send. */
export interface WireRequest {
  readonly method: string
  /** Path and query as they go onto the request line: starts with `/`, no spaces. */
  readonly target: string
  /** Header lines, each ended by CRLF, without Host, Content-Length, Transfer-Encoding and Connection: the wire writes those. */
  readonly headerLines: string
  /** null = no body at all. */
  readonly body: Body | null
  /** The Upgrade token to ask for (`websocket`), or null. */
  readonly upgrade: string | null
}

/** An answer, from the moment its head is complete. */
export interface WireReply {
  readonly status: number
  readonly headers: HeaderBlock
  /** Ends empty for 204, 304 and HEAD. */
  readonly body: Body
  /** Set on a 101 to a request with `upgrade`, else null. */
  readonly tunnel: Tunnel | null
  /** The request was sent twice: first on a socket that had died idle, then on a fresh one. */
  readonly resent: boolean
}

/** A request under way. */
export interface WireCall {
  /** Resolves when the head is complete. @throws WireError */
  readonly reply: Promise<WireReply>
  /** Destroy the socket under this call, whatever its state; idempotent. */
  abort(): void
}

/** A client of one account: its pool, its time-outs. Two kinds: our own HTTP/1.1 (`client.ts`) and `fetch` (`fetch.ts`). */
export interface Wire {
  send(request: WireRequest): WireCall
  /** No new requests; idle sockets close now, busy ones when they are done. */
  close(): void
  /** Sockets by state, for `/readyz`, tests and metrics. */
  counts(): { idle: number; busy: number }
}

/** What a wire needs to know of its account. */
export interface WireOptions {
  /** Scheme, host and port; the path is part of each request's target. */
  readonly origin: URL
  readonly timeouts: {
    readonly connectMs: number
    readonly firstByteMs: number
    readonly idleMs: number
    readonly totalMs: number
  }
  readonly keepAlive: { readonly idleMs: number; readonly maxIdle: number }
  /** PEM of extra trust roots; null = the system's. Verification is always on. */
  readonly caPem: string | null
  /** Egress proxy. Our own client goes through it where `canTunnel` (egress.ts) says so; otherwise it takes `fetch`. */
  readonly proxy: string | null
}

/** Where the outcome of one exchange goes; exactly one of the two is called, once. */
export interface ExchangeSink {
  answered(reply: WireReply): void
  failed(cause: WireError): void
}
