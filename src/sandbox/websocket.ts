// WebSocket frames, server side, written out (RFC 6455): strict about everything a peer or a gateway between could get wrong (masking,
// reserved bits, unknown opcodes, fragmentation order, control frame length, close codes, UTF-8, size), because a test peer that
// mends such things hides them.

import { createHash } from 'node:crypto'
import type { Link, LinkReceiver, Reply } from './reply.ts'
import { invalid } from './reply.ts'
import type { Call } from './world.ts'

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const messageBytesMax = 16 * 1024 * 1024

/** What a WebSocket endpoint does. */
export interface SocketSession {
  /** A whole message: text, or bytes. */
  message(data: string | Uint8Array): void
  /** The peer is gone, or closed with this code (1005 = without one, 1006 = without a close frame). */
  closed(code: number): void
}

/** A WebSocket connection as its endpoint sees it. */
export interface SocketPeer {
  send(data: string | Uint8Array): void
  ping(data: string): void
  close(code: number, reason?: string): void
  /** RST, no close frame. */
  reset(): void
  later(ms: number, callback: () => void): void
}

/** A frame as a server sends it: unmasked, whole. */
export function encodeFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const extended = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8
  const frame = Buffer.alloc(2 + extended + payload.length)
  frame[0] = 0x80 | opcode
  frame[1] = extended === 0 ? payload.length : extended === 2 ? 126 : 127
  if (extended === 2) frame.writeUInt16BE(payload.length, 2)
  if (extended === 8) frame.writeBigUInt64BE(BigInt(payload.length), 2)
  frame.set(payload, 2 + extended)
  return frame
}

/** Whether a code may stand in a close frame (RFC 6455 section 7.4, IANA registry). */
export function closeCodeAllowed(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)
  )
}

/** A breach of the protocol, with the code to close with. */
class Breach {
  constructor(
    readonly code: number,
    readonly reason: string,
  ) {}
}

interface Header {
  readonly fin: boolean
  readonly opcode: number
  readonly length: number
  readonly bytes: number
}

/** The header at the start of `held`, or null where it is not whole. @throws Breach */
function readHeader(held: Buffer): Header | null {
  if (held.length < 2) return null
  const first = held[0]!
  const opcode = first & 0x0f
  const fin = (first & 0x80) !== 0
  const short = held[1]! & 0x7f
  if ((first & 0x70) !== 0) throw new Breach(1002, 'reserved bits are set')
  if (![0, 1, 2, 8, 9, 10].includes(opcode)) throw new Breach(1002, 'unknown opcode')
  if ((held[1]! & 0x80) === 0) throw new Breach(1002, 'frame is not masked')
  if (opcode >= 8 && (!fin || short > 125)) throw new Breach(1002, 'control frame is fragmented or too long')
  const bytes = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + 4
  if (held.length < bytes) return null
  const length =
    short === 126 ? held.readUInt16BE(2) : short === 127 ? Number(held.readBigUInt64BE(2)) : short
  if (length > messageBytesMax) throw new Breach(1009, 'message too big')
  return { fin, opcode, length, bytes }
}

/** One connection: frames in, messages out. */
export class SocketConnection implements LinkReceiver, SocketPeer {
  #held: Buffer = Buffer.alloc(0)
  #message: Buffer[] = []
  #messageBytes = 0
  #opcode = 0
  #state: 'open' | 'closing' | 'closed' = 'open'
  #session: SocketSession | null = null

  constructor(readonly link: Link) {}

  /** The session hears messages from now on. */
  start(session: SocketSession): void {
    this.#session = session
  }

  data(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    this.#held = Buffer.concat([this.#held, bytes])
    try {
      while (this.#frame());
    } catch (cause) {
      if (!(cause instanceof Breach)) throw cause
      this.close(cause.code, cause.reason)
      this.#finish(cause.code)
    }
  }

  #frame(): boolean {
    if (this.#state === 'closed') return false
    const header = readHeader(this.#held)
    if (header === null || this.#held.length < header.bytes + header.length) return false
    const mask = this.#held.subarray(header.bytes - 4, header.bytes)
    const payload = Buffer.from(this.#held.subarray(header.bytes, header.bytes + header.length))
    for (let i = 0; i < payload.length; i++) payload[i] = payload[i]! ^ mask[i & 3]!
    this.#held = this.#held.subarray(header.bytes + header.length)
    if (header.opcode === 9) this.#write(10, payload)
    else if (header.opcode === 8) this.#closeFrame(payload)
    else if (header.opcode !== 10) this.#dataFrame(header, payload)
    return true
  }

  #dataFrame(header: Header, payload: Buffer): void {
    const goesOn = header.opcode === 0
    if (goesOn !== (this.#opcode !== 0))
      throw new Breach(1002, goesOn ? 'nothing to continue' : 'message was not finished')
    if (!goesOn) this.#opcode = header.opcode
    this.#messageBytes += payload.length
    if (this.#messageBytes > messageBytesMax) throw new Breach(1009, 'message too big')
    this.#message.push(payload)
    if (!header.fin) return
    const whole = Buffer.concat(this.#message)
    const isText = this.#opcode === 1
    this.#message = []
    this.#messageBytes = 0
    this.#opcode = 0
    if (this.#state === 'open') this.#session?.message(isText ? this.#text(whole) : whole)
  }

  #text(bytes: Buffer): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new Breach(1007, 'text is not UTF-8')
    }
  }

  #closeFrame(payload: Buffer): void {
    if (payload.length === 1) throw new Breach(1002, 'close code is cut')
    const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0)
    if (payload.length > 0 && !closeCodeAllowed(code)) throw new Breach(1002, 'close code is not allowed')
    this.#text(payload.subarray(2))
    if (this.#state === 'open') this.#write(8, payload.subarray(0, 2))
    this.#finish(code)
  }

  #finish(code: number): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.link.end()
    this.#session?.closed(code)
  }

  closed(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#session?.closed(1006)
  }

  #write(opcode: number, payload: Uint8Array): void {
    if (this.#state === 'open') this.link.write(encodeFrame(opcode, payload))
  }

  send(data: string | Uint8Array): void {
    this.#write(typeof data === 'string' ? 1 : 2, typeof data === 'string' ? Buffer.from(data) : data)
  }

  ping(data: string): void {
    this.#write(9, Buffer.from(data))
  }

  close(code: number, reason = ''): void {
    if (this.#state !== 'open') return
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.#write(8, Buffer.concat([payload, Buffer.from(reason)]))
    this.#state = 'closing'
  }

  reset(): void {
    this.#state = 'closed'
    this.link.reset()
  }

  later(ms: number, callback: () => void): void {
    this.link.later(ms, callback)
  }
}

/** The 101 that makes a call a WebSocket; `protocols` are those we speak, the first one offered is chosen. @throws Refusal 400 */
export function socketReply(
  call: Call,
  protocols: readonly string[],
  open: (peer: SocketPeer) => SocketSession,
): Reply {
  const upgrade = call.header('upgrade')?.toLowerCase() === 'websocket'
  const connection = (call.header('connection') ?? '').toLowerCase().split(/\s*,\s*/)
  const key = call.header('sec-websocket-key') ?? ''
  if (!upgrade || !connection.includes('upgrade'))
    throw invalid('Expected a WebSocket upgrade.', null, 'upgrade_required')
  if (call.header('sec-websocket-version') !== '13' || Buffer.from(key, 'base64').length !== 16)
    throw invalid('Malformed WebSocket handshake.')
  const offered = (call.header('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim())
  const chosen = offered.find((name) => protocols.includes(name))
  const headers: [string, string][] = [
    ['upgrade', 'websocket'],
    ['connection', 'Upgrade'],
    [
      'sec-websocket-accept',
      createHash('sha1')
        .update(key + guid)
        .digest('base64'),
    ],
    ...(chosen === undefined ? [] : [['sec-websocket-protocol', chosen] as [string, string]]),
    ['openai-version', '2020-10-01'],
  ]
  const accept = (link: Link): LinkReceiver => {
    const connection = new SocketConnection(link)
    connection.start(open(connection))
    return connection
  }
  return { status: 101, headers, body: { kind: 'socket', accept }, served: null }
}
