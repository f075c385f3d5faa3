// An answer as a plain value: status, headers, and a body that is bytes, SSE frames, pieces of binary, or a WebSocket. Endpoints write
// these and touch no socket, so that a fault can take an answer apart anywhere and a test can look at it without a network.

import type { BookUnits, BookUsage } from './books.ts'
import type { Json } from './json.ts'

/** One SSE event. `tokens`: how many output tokens its delta carries; `usage`: whether it tells the client the usage. */
export interface Frame {
  readonly event: string | null
  readonly data: string
  readonly tokens: number
  readonly usage: boolean
}

/** The far side of a connection that became a WebSocket. */
export interface Link {
  write(bytes: Uint8Array): void
  /** Close after what was written (FIN). */
  end(): void
  /** RST. */
  reset(): void
  /** Calls back after `ms`, not at all if the connection is gone by then. */
  later(ms: number, callback: () => void): void
}

/** What a WebSocket endpoint does with what comes. */
export interface LinkReceiver {
  data(bytes: Uint8Array): void
  closed(): void
}

/** A body. Iterables are drawn from as the socket takes bytes, so a long stream costs no memory. */
export type ReplyBody =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'frames'; readonly frames: Iterable<Frame> }
  | { readonly kind: 'pieces'; readonly pieces: Iterable<Uint8Array>; readonly pauseMs: number | null }
  | { readonly kind: 'socket'; readonly accept: (link: Link) => LinkReceiver }

/** What the books are to say of an answer. */
export interface Served {
  readonly model: string
  readonly usage: BookUsage | null
  readonly units?: BookUnits | null
  /** A body that is no stream carries the usage. */
  readonly usageTold: boolean
}

/** An answer. `headers` are without framing (length, transfer coding, connection). */
export interface Reply {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: ReplyBody
  readonly served: Served | null
}

const encoder = new TextEncoder()

/** UTF-8 of a text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** A JSON answer, indented by two spaces as OpenAI's are. */
export function jsonReply(value: unknown, status = 200, served: Served | null = null): Reply {
  const bytes = utf8(JSON.stringify(value, null, 2) + '\n')
  return { status, headers: [['content-type', 'application/json']], body: { kind: 'bytes', bytes }, served }
}

/** Bytes as they are. */
export function bytesReply(bytes: Uint8Array, contentType: string, served: Served | null = null): Reply {
  return { status: 200, headers: [['content-type', contentType]], body: { kind: 'bytes', bytes }, served }
}

/** A stream of SSE frames. */
export function streamReply(frames: Iterable<Frame>, served: Served | null): Reply {
  const headers: [string, string][] = [
    ['content-type', 'text/event-stream; charset=utf-8'],
    ['cache-control', 'no-cache'],
  ]
  return { status: 200, headers, body: { kind: 'frames', frames }, served }
}

/** An SSE frame that carries JSON. */
export function frame(
  value: Json | object,
  more: { event?: string; tokens?: number; usage?: boolean } = {},
): Frame {
  const { event = null, tokens = 0, usage = false } = more
  return { event, data: JSON.stringify(value), tokens, usage }
}

/** The frame that ends OpenAI's older streams. */
export const doneFrame: Frame = { event: null, data: '[DONE]', tokens: 0, usage: false }

/** A frame as bytes. */
export function frameBytes(frame: Frame): Uint8Array {
  return utf8(
    frame.event === null ? `data: ${frame.data}\n\n` : `event: ${frame.event}\ndata: ${frame.data}\n\n`,
  )
}

/** A refusal in OpenAI's shape, thrown by endpoint code and turned into the answer in one place. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly error: { message: string; type: string; param: string | null; code: string | null },
    readonly headers: readonly (readonly [string, string])[] = [],
  ) {}

  toReply(): Reply {
    const reply = jsonReply({ error: this.error }, this.status)
    return { ...reply, headers: [...reply.headers, ...this.headers] }
  }
}

/** A 400 about one field. */
export function invalid(message: string, param: string | null = null, code: string | null = null): Refusal {
  return new Refusal(400, { message, type: 'invalid_request_error', param, code })
}

/** A 404 for an object that is not there. */
export function missing(message: string): Refusal {
  return new Refusal(404, { message, type: 'invalid_request_error', param: null, code: null })
}
