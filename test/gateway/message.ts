// HTTP/1.1 messages as a test reads them from raw bytes: lenient about nothing that a test may want to look at, so lines
// stay as they came. Written apart from the gate's own parser on purpose: a fault shared by both would not show.

import type { Peer } from './peer.ts'

/** A head taken apart. */
export interface Head {
  readonly firstLine: string
  /** Field lines as received, in order. */
  readonly lines: readonly string[]
  /** Length in bytes, with the empty line. */
  readonly length: number
}

/** An answer as received. */
export interface RawReply {
  readonly status: number
  readonly firstLine: string
  readonly lines: readonly string[]
  readonly body: Buffer
  /** The framing said that the body is complete. */
  readonly complete: boolean
  /** The value of a field, its lines joined by `, `; null where absent. */
  header(name: string): string | null
  json(): any
}

/** The head at the start of `bytes`, or null where it is not whole. */
export function readHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [firstLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  return { firstLine, lines, length: end + 4 }
}

/** Values of a field over all its lines. */
export function fieldValues(lines: readonly string[], name: string): string[] {
  return lines
    .filter((line) => line.slice(0, line.indexOf(':')).toLowerCase() === name.toLowerCase())
    .map((line) => line.slice(line.indexOf(':') + 1).trim())
}

export function field(lines: readonly string[], name: string): string | null {
  const values = fieldValues(lines, name)
  return values.length === 0 ? null : values.join(', ')
}

/** A chunked body at the start of `bytes`: null while it is not whole. @throws where it is malformed */
export function readChunked(bytes: Buffer): { body: Buffer; length: number } | null {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const line = bytes.toString('latin1', at, lineEnd)
    if (!/^[0-9a-fA-F]+(?:;.*)?$/.test(line))
      throw new Error(`not a chunk size: ${JSON.stringify(line.slice(0, 80))}`)
    const size = Number.parseInt(line, 16)
    at = lineEnd + 2
    if (size === 0) break
    if (bytes.length < at + size + 2) return null
    parts.push(bytes.subarray(at, at + size))
    if (bytes.toString('latin1', at + size, at + size + 2) !== '\r\n')
      throw new Error('a chunk does not end with CRLF')
    at += size + 2
  }
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const empty = lineEnd === at
    at = lineEnd + 2
    if (empty) return { body: Buffer.concat(parts), length: at }
  }
}

/** What of a chunked body has come so far, whole or not. */
export function chunkedSoFar(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) break
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (!(size > 0)) break
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
    if (at > bytes.length) break
  }
  return Buffer.concat(parts)
}

/**
 * Takes one answer off a connection. Informational answers are passed over. `method`: of the request, since an answer
 * to HEAD has no body.
 * @throws where the connection closes before a head has come
 */
export async function readReply(peer: Peer, method = 'GET'): Promise<RawReply> {
  const head = await peer.until(
    () => readHead(peer.received) ?? (peer.closed ? 'closed' : null),
    'the head of an answer',
  )
  if (head === 'closed')
    throw new Error(
      `the connection closed without an answer; received ${JSON.stringify(peer.text.slice(0, 200))}`,
    )
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.firstLine)?.[1])
  if (Number.isNaN(status)) throw new Error(`not an answer: ${head.firstLine}`)
  peer.take(head.length)
  if (status >= 100 && status < 200 && status !== 101) return readReply(peer, method)
  const { body, complete } = await readBody(
    peer,
    head,
    method === 'HEAD' || status === 204 || status === 304 || status === 101,
  )
  return {
    status,
    firstLine: head.firstLine,
    lines: head.lines,
    body,
    complete,
    header: (name) => field(head.lines, name),
    json: () => JSON.parse(body.toString('utf8')),
  }
}

async function readBody(
  peer: Peer,
  head: Head,
  bodiless: boolean,
): Promise<{ body: Buffer; complete: boolean }> {
  if (bodiless) return { body: Buffer.alloc(0), complete: true }
  const length = field(head.lines, 'content-length')
  const over = () => peer.closed || peer.ended
  if (/chunked/i.test(field(head.lines, 'transfer-encoding') ?? '')) {
    const whole = await peer.until(
      () => readChunked(peer.received) ?? (over() ? 'over' : null),
      'a chunked body',
    )
    if (whole === 'over') return { body: chunkedSoFar(peer.take(peer.received.length)), complete: false }
    peer.take(whole.length)
    return { body: whole.body, complete: true }
  }
  if (length === null) {
    await peer.untilEnded()
    return { body: peer.take(peer.received.length), complete: true }
  }
  await peer.until(() => peer.received.length >= Number(length) || over(), `a body of ${length} bytes`)
  const complete = peer.received.length >= Number(length)
  return { body: Buffer.from(peer.take(Number(length))), complete }
}
