// From an answer to what happens on the socket: a script of writes, pauses and an ending. All faults of the wire are edits of this
// script, so the transport knows none of them and a test can read a script without a socket.

import type { BookEnding } from './books.ts'
import type { Fault } from './faults.ts'
import { frame, frameBytes, utf8 } from './reply.ts'
import type { Frame, Link, LinkReceiver, Reply, ReplyBody } from './reply.ts'

/** What a write adds to the books. */
export interface Note {
  readonly frames: number
  readonly tokens: number
  readonly usage: boolean
}

/** One thing to do on the socket, in order. */
export type Step =
  | { readonly do: 'write'; readonly bytes: Uint8Array; readonly note: Note | null }
  | { readonly do: 'wait'; readonly ms: number }
  /** The answer is whole; the connection may serve the next request. */
  | { readonly do: 'finish'; readonly keepAlive: boolean }
  | { readonly do: 'close'; readonly as: BookEnding }
  | { readonly do: 'reset' }
  /** Nothing more until the client leaves. */
  | { readonly do: 'hang' }
  | { readonly do: 'tunnel'; readonly accept: (link: Link) => LinkReceiver }

/** What the script must know of the request and the knobs. */
export interface Setting {
  readonly method: string
  readonly minor: 0 | 1
  /** The client lets the connection live on. */
  readonly keepAlive: boolean
  readonly latencyMs: number
  readonly chunkDelayMs: number
}

interface Unit {
  readonly bytes: Uint8Array
  readonly note: Note
}

type Framing = 'length' | 'chunked' | 'close' | 'none'

const reasons: Record<number, string> = {
  101: 'Switching Protocols',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  301: 'Moved Permanently',
  302: 'Found',
  307: 'Temporary Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Payload Too Large',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}
const nothing: Note = { frames: 0, tokens: 0, usage: false }
const crlf = utf8('\r\n')
const lastChunk = utf8('0\r\n\r\n')

type Named<K extends Fault['kind']> = Extract<Fault, { kind: K }>

/** The first fault of a kind, or null. */
export function faultOf<K extends Fault['kind']>(faults: readonly Fault[], kind: K): Named<K> | null {
  return (faults.find((fault) => fault.kind === kind) as Named<K> | undefined) ?? null
}

function errorFrame(like: Frame | null, sequence: number): Frame {
  const message = 'The server had an error while processing your request. Sorry about that!'
  if (like?.event == null) return frame({ error: { message, type: 'server_error', param: null, code: null } })
  const value = { type: 'error', sequence_number: sequence, code: 'server_error', message, param: null }
  return frame(value, { event: 'error' })
}

function halves(bytes: Uint8Array): Uint8Array[] {
  const middle = Math.ceil(bytes.length / 2)
  return bytes.length < 2 ? [bytes] : [bytes.subarray(0, middle), bytes.subarray(middle)]
}

function* frameUnits(frames: Iterable<Frame>, faults: readonly Fault[]): Generator<Unit> {
  const broken = faultOf(faults, 'malformed-chunk')
  const error = faultOf(faults, 'error-frame')
  let count = 0
  let last: Frame | null = null
  for (const item of frames) {
    if (error !== null && count >= error.frames) break
    last = item
    const bytes =
      broken?.frames === count++
        ? utf8(frameBytes(item).length > 40 ? `data: ${item.data.slice(0, 30)}\n\n` : 'data: {"id":\n\n')
        : frameBytes(item)
    yield { bytes, note: { frames: 1, tokens: item.tokens, usage: item.usage } }
  }
  if (error !== null) yield { bytes: frameBytes(errorFrame(last, count)), note: { ...nothing, frames: 1 } }
}

/** The body in the units that are written apart; a plain body is one, or two halves where a fault strikes between them. */
function bodyUnits(reply: Reply, faults: readonly Fault[]): Iterable<Unit> {
  const body = reply.body
  if (body.kind === 'frames') return frameUnits(body.frames, faults)
  const usage = reply.served?.usageTold ?? false
  if (body.kind === 'bytes') {
    const apart = faults.some(({ kind }) =>
      ['cut', 'stall', 'malformed-http', 'malformed-chunk'].includes(kind),
    )
    const pieces = apart ? halves(body.bytes) : [body.bytes]
    if (faultOf(faults, 'malformed-chunk') !== null) pieces.length = 1
    return pieces.map((bytes, i) => ({
      bytes,
      note: { ...nothing, usage: usage && i === pieces.length - 1 },
    }))
  }
  return body.kind === 'pieces' ? pieceUnits(body.pieces) : []
}

function* pieceUnits(pieces: Iterable<Uint8Array>): Generator<Unit> {
  for (const bytes of pieces) yield { bytes, note: { ...nothing, frames: 1 } }
}

function compressed(body: ReplyBody): ReplyBody {
  if (body.kind === 'bytes') return { kind: 'bytes', bytes: Bun.gzipSync(Buffer.from(body.bytes)) }
  if (body.kind === 'socket') return body
  const parts = body.kind === 'frames' ? Array.from(body.frames, frameBytes) : [...body.pieces]
  return { kind: 'pieces', pieces: halves(Bun.gzipSync(Buffer.concat(parts))), pauseMs: null }
}

function framingOf(reply: Reply, faults: readonly Fault[], setting: Setting): Framing {
  if (reply.status === 204 || reply.status === 304 || reply.status === 101) return 'none'
  if (faultOf(faults, 'close-delimited') !== null) return 'close'
  const clean = faultOf(faults, 'cut')?.how === 'clean'
  const chunked =
    clean ||
    faultOf(faults, 'trailers') !== null ||
    faultOf(faults, 'malformed-http') !== null ||
    reply.body.kind !== 'bytes'
  if (!chunked) return 'length'
  return setting.minor === 1 ? 'chunked' : 'close'
}

function headBytes(reply: Reply, framing: Framing, faults: readonly Fault[]): Uint8Array {
  const lines = [`HTTP/1.1 ${reply.status} ${reasons[reply.status] ?? 'Unknown'}`]
  for (const [name, value] of reply.headers) lines.push(`${name}: ${value}`)
  const huge = faultOf(faults, 'huge-header')
  if (huge !== null) lines.push(`x-sandbox-huge: ${'h'.repeat(huge.bytes)}`)
  if (faultOf(faults, 'gzip') !== null) lines.push('content-encoding: gzip')
  if (faultOf(faults, 'trailers') !== null) lines.push('trailer: x-sandbox-trailer')
  if (framing === 'chunked') lines.push('transfer-encoding: chunked')
  if (framing === 'close') lines.push('connection: close')
  if (framing === 'length' && reply.body.kind === 'bytes') {
    // A malformed JSON body is a whole message all the same: only its content is cut.
    const sent = faultOf(faults, 'malformed-chunk') === null ? reply.body.bytes : halves(reply.body.bytes)[0]!
    lines.push(`content-length: ${sent.length}`)
  }
  return utf8(lines.join('\r\n') + '\r\n\r\n')
}

function framed(bytes: Uint8Array, framing: Framing): Uint8Array {
  if (framing !== 'chunked') return bytes
  return Buffer.concat([utf8(bytes.length.toString(16) + '\r\n'), bytes, crlf])
}

function* writes(bytes: Uint8Array, note: Note | null, drip: Named<'drip'> | null): Generator<Step> {
  if (drip === null) return yield { do: 'write', bytes, note }
  for (let i = 0; i < bytes.length; i++) {
    yield { do: 'write', bytes: bytes.subarray(i, i + 1), note: i === bytes.length - 1 ? note : null }
    yield { do: 'wait', ms: drip.ms }
  }
}

/** What comes instead of any answer, or null. */
function insteadOf(faults: readonly Fault[]): Step[] | null {
  if (faultOf(faults, 'reset') !== null) return [{ do: 'reset' }]
  if (faultOf(faults, 'close') !== null) return [{ do: 'close', as: 'cut' }]
  if (faultOf(faults, 'silence') !== null) return [{ do: 'hang' }]
  if (faultOf(faults, 'malformed-http')?.where !== 'head') return null
  const bytes = utf8('HTTP/9.9 twohundred\r\n\0\x01garbage without a colon\r\n\r\n')
  return [
    { do: 'write', bytes, note: null },
    { do: 'close', as: 'cut' },
  ]
}

/** The pause before each unit: -1 none. */
function pauseOf(body: ReplyBody, faults: readonly Fault[], setting: Setting): number {
  const slow = faultOf(faults, 'slow-frames')
  if (slow !== null) return slow.ms
  if (body.kind === 'pieces' && body.pauseMs !== null) return body.pauseMs
  return body.kind !== 'bytes' && setting.chunkDelayMs > 0 ? setting.chunkDelayMs : -1
}

function* body(
  reply: Reply,
  faults: readonly Fault[],
  setting: Setting & { framing: Framing },
): Generator<Step, boolean> {
  const { framing } = setting
  const cut = faultOf(faults, 'cut')
  const stall = faultOf(faults, 'stall')
  const pause = pauseOf(reply.body, faults, setting)
  const limit = (fault: { frames: number } | null): number =>
    fault === null ? Infinity : reply.body.kind === 'bytes' ? 1 : fault.frames
  let count = 0
  for (const unit of bodyUnits(reply, faults)) {
    if (count >= limit(cut)) break
    if (stall !== null && count === limit(stall))
      yield stall.ms === undefined ? { do: 'hang' } : { do: 'wait', ms: stall.ms }
    const first = faultOf(faults, 'slow-first-token')
    if (count === 0 && first !== null) yield { do: 'wait', ms: first.ms }
    if (pause >= 0) yield { do: 'wait', ms: pause }
    if (count === 1 && faultOf(faults, 'malformed-http') !== null) {
      yield { do: 'write', bytes: utf8('ZZ\r\nnot a chunk\r\n'), note: null }
      yield { do: 'close', as: 'cut' }
      return false
    }
    if (unit.bytes.length > 0) yield* writes(framed(unit.bytes, framing), unit.note, faultOf(faults, 'drip'))
    count++
  }
  if (cut === null || cut.how === 'clean') return true
  // The bytes so far must have left before a reset: RST may throw away what the peer has not read.
  yield { do: 'wait', ms: cut.how === 'reset' ? 20 : 0 }
  yield cut.how === 'reset' ? { do: 'reset' } : { do: 'close', as: 'cut' }
  return false
}

/** The script of an answer under faults. */
export function* script(answer: Reply, faults: readonly Fault[], setting: Setting): Generator<Step> {
  const wait = setting.latencyMs + (faultOf(faults, 'slow-headers')?.ms ?? 0)
  if (wait > 0) yield { do: 'wait', ms: wait }
  const instead = insteadOf(faults)
  if (instead !== null) return yield* instead
  const reply = faultOf(faults, 'gzip') === null ? answer : { ...answer, body: compressed(answer.body) }
  const framing = framingOf(reply, faults, setting)
  if (faultOf(faults, 'informational') !== null) {
    yield {
      do: 'write',
      bytes: utf8('HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n'),
      note: null,
    }
  }
  yield { do: 'write', bytes: headBytes(reply, framing, faults), note: null }
  if (reply.body.kind === 'socket') return yield { do: 'tunnel', accept: reply.body.accept }
  if (setting.method !== 'HEAD' && framing !== 'none') {
    const whole = yield* body(reply, faults, { ...setting, framing })
    if (!whole) return
    const trailers = faultOf(faults, 'trailers') !== null
    if (framing === 'chunked') {
      yield {
        do: 'write',
        bytes: trailers ? utf8('0\r\nx-sandbox-trailer: yes\r\n\r\n') : lastChunk,
        note: null,
      }
    }
  }
  if (framing === 'close') yield { do: 'close', as: 'complete' }
  else yield { do: 'finish', keepAlive: setting.keepAlive }
}
