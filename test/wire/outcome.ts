// One exchange over a wire, taken to its end and written down: what every contract test compares.

import {
  WireError,
  type Body,
  type Wire,
  type WireCall,
  type WireReply,
  type WireRequest,
} from '../../src/net/wire/message.ts'

/** All that a caller of the wire can see of one exchange. */
export interface Outcome {
  status: number
  headerLines: readonly string[]
  body: string
  /** How the body or the call ended: 'end', or the fault. */
  ending: string
  answered: boolean
}

export function request(fields: Partial<WireRequest> = {}): WireRequest {
  return { method: 'GET', target: '/v1/models', headerLines: '', body: null, upgrade: null, ...fields }
}

/** Sends a request and reads its answer to the end. Never rejects. */
export function exchange(wire: Wire, fields: Partial<WireRequest> = {}): Promise<Outcome> {
  return outcomeOf(wire.send(request(fields)))
}

export async function outcomeOf(call: WireCall): Promise<Outcome> {
  let reply: WireReply
  try {
    reply = await call.reply
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause
    return { status: 0, headerLines: [], body: '', ending: cause.fault, answered: cause.answered }
  }
  const { bytes, cause } = await drain(reply.body)
  const ending = cause === null ? 'end' : cause.fault
  const answered = cause === null || cause.answered
  return {
    status: reply.status,
    headerLines: Array.from({ length: reply.headers.size }, (_, index) => reply.headers.line(index)),
    body: bytes.toString('latin1'),
    ending,
    answered,
  }
}

/** Reads a body to its end or break. Throws where the body calls its sink after it has ended, or with empty chunks. */
export function drain(body: Body): Promise<{ bytes: Buffer; cause: WireError | null }> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = []
    let over = false
    const close = (cause: WireError | null) => {
      if (over) reject(new Error('a body ended twice'))
      over = true
      // Copied a moment later: bytes handed over are the sink's to keep.
      setImmediate(() => resolve({ bytes: Buffer.concat(parts), cause }))
    }
    body.start({
      chunk(bytes) {
        if (over) reject(new Error('a chunk came behind the end'))
        if (bytes.length === 0) reject(new Error('an empty chunk came'))
        parts.push(bytes)
      },
      end: () => close(null),
      error: close,
    })
  })
}

/** A body pushed by the test. */
export class TestBody implements Body {
  readonly whole = null
  sink: Parameters<Body['start']>[0] | null = null
  started = false
  paused = false
  pauses = 0
  aborted = false

  constructor(readonly length: number = -1) {}

  start(sink: Parameters<Body['start']>[0]): void {
    this.started = true
    this.sink = sink
  }

  push(bytes: string | Uint8Array): void {
    this.sink!.chunk(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  pause(): void {
    this.paused = true
    this.pauses += 1
  }

  resume(): void {
    this.paused = false
  }

  abort(): void {
    this.aborted = true
  }
}
