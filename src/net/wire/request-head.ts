// Head of a request, read as strictly as RFC 9112 allows: whatever two parsers could read differently is refused, since
// the difference is what request smuggling lives on. Pure: bytes in, a head or the reason for a refusal out.

import type { KnownBytes } from '../../base/known-bytes.ts'
import { fieldId } from './field-names.ts'
import { contentLength, HeaderBlock } from './headers.ts'

/** Why the front refuses a request before any stage sees it. The names are those of the failures told to the client. */
export type FrontFault =
  | 'malformed_request'
  | 'headers_too_large'
  | 'request_timeout'
  | 'request_too_large'
  | 'method_not_allowed'
  | 'not_implemented'
  | 'expectation_failed'
  | 'http_version_not_supported'
  | 'overloaded'

/** A refusal: what is told to the client, in one sentence. */
export class FrontRefusal {
  constructor(
    readonly fault: FrontFault,
    readonly message: string,
  ) {}
}

/** A request's head, checked. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  /** With its `?`, or ''. */
  readonly query: string
  readonly headers: HeaderBlock
  /** Host as sent, lower-cased. */
  readonly host: string
  /** Content-Length; 0 where there is no body; -1 where it is chunked. */
  readonly bodyLength: number
  readonly keepAlive: boolean
  /** HTTP/1.1 and later: may be answered in the chunked coding. */
  readonly takesChunked: boolean
  readonly expectsContinue: boolean
  /** Upgrade token asked for, lower-cased, or null. */
  readonly upgrade: string | null
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const visible = /^[\x21-\x7e]+$/
const host = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/

/**
 * Reads a head: latin1 text from the request line up to and with the last field's CRLF, without the empty line.
 * Returns a refusal instead of throwing: refusing hostile bytes must cost little.
 */
export function parseRequestHead(
  text: string,
  fieldsMax: number,
  known: KnownBytes | null = null,
): RequestHead | FrontRefusal {
  const lineEnd = text.indexOf('\r\n')
  const line = requestLine(text.slice(0, lineEnd))
  if (line instanceof FrontRefusal) return line
  const headers = HeaderBlock.parse(text, lineEnd + 2, known)
  if (headers === null) return malformed('A header line is malformed.')
  if (headers.size > fieldsMax) {
    return new FrontRefusal('headers_too_large', `More than ${fieldsMax} header fields. Send fewer.`)
  }
  return checkHead(line, headers)
}

interface RequestLine {
  readonly method: string
  /** Authority of an absolute-form target, else null. */
  readonly authority: string | null
  readonly path: string
  readonly query: string
  readonly minor: number
}

/** Lines read before: an application sends few different ones. Cleared when full, so that ids in paths cost nothing. */
const linesRead = new Map<string, RequestLine>()
const linesReadMax = 512

function requestLine(line: string): RequestLine | FrontRefusal {
  const known = linesRead.get(line)
  if (known !== undefined) return known
  const read = readRequestLine(line)
  if (read instanceof FrontRefusal || line.length > 256) return read
  if (linesRead.size >= linesReadMax) linesRead.clear()
  linesRead.set(line, read)
  return read
}

function readRequestLine(line: string): RequestLine | FrontRefusal {
  const first = line.indexOf(' ')
  const second = line.indexOf(' ', first + 1)
  const method = line.slice(0, first)
  const version = line.slice(second + 1)
  const wrong = malformed('The request line is malformed.')
  if (first < 1 || second < 0 || !token.test(method)) return wrong
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') {
    if (!/^HTTP\/[0-9]\.[0-9]$/.test(version)) return wrong
    return new FrontRefusal('http_version_not_supported', 'Use HTTP/1.1.')
  }
  if (!methods.has(method)) {
    return method === 'CONNECT' || method === 'TRACE'
      ? new FrontRefusal('method_not_allowed', `${method} is not allowed.`)
      : new FrontRefusal('not_implemented', 'This method is not known.')
  }
  const target = readTarget(line.slice(first + 1, second))
  if (target === null) return malformed('The request target is malformed.')
  return { method, ...target, minor: version === 'HTTP/1.1' ? 1 : 0 }
}

/** Origin-form or absolute-form; null for anything else. */
function readTarget(target: string): Pick<RequestLine, 'authority' | 'path' | 'query'> | null {
  if (!visible.test(target) || target.includes('#')) return null
  const absolute = target.startsWith('/') ? null : /^https?:\/\/([^/?]+)(\/.*)?$/i.exec(target)
  if (absolute === null && !target.startsWith('/')) return null
  const origin = absolute === null ? target : (absolute[2] ?? '/')
  const question = origin.indexOf('?')
  return {
    authority: absolute === null ? null : absolute[1]!.toLowerCase(),
    path: question < 0 ? origin : origin.slice(0, question),
    query: question < 0 ? '' : origin.slice(question),
  }
}

const hostId = fieldId('host')
const expectId = fieldId('expect')
const upgradeId = fieldId('upgrade')
const codingId = fieldId('transfer-encoding')

function checkHead(line: RequestLine, headers: HeaderBlock): RequestHead | FrontRefusal {
  const authority = readHost(headers)
  if (authority === null) return malformed('Exactly one valid Host header is needed.')
  if (line.authority !== null && line.authority !== authority)
    return malformed('The request target is malformed.')
  const bodyLength = readFraming(line, headers)
  if (typeof bodyLength !== 'number') return bodyLength
  const expects = headers.findId(expectId) >= 0
  if (expects && headers.get('expect')!.toLowerCase() !== '100-continue') {
    return new FrontRefusal('expectation_failed', 'Of all expectations only 100-continue is supported.')
  }
  const upgrade = headers.findId(upgradeId) < 0 ? null : headers.get('upgrade')!.toLowerCase()
  const connection = headers.connection()
  // RFC 9110 section 7.8: HTTP/1.1, and named by Connection. Whoever stands in front may read anything else as no upgrade.
  const soundUpgrade = line.minor === 1 && connection.includes('upgrade') && !connection.includes('close')
  if (upgrade !== null && (!soundUpgrade || headers.count('upgrade') > 1 || bodyLength !== 0)) {
    return malformed('An upgrade is asked for in a way that is not supported.')
  }
  return {
    method: line.method,
    path: line.path,
    query: line.query,
    headers,
    host: authority,
    bodyLength,
    keepAlive: line.minor === 1 ? !connection.includes('close') : connection.includes('keep-alive'),
    takesChunked: line.minor === 1,
    expectsContinue: expects && line.minor === 1,
    upgrade,
  }
}

let hostText = ''
let hostName = ''

/** The one valid Host, lower-cased, or null. The last one is remembered: it hardly ever changes. */
function readHost(headers: HeaderBlock): string | null {
  const index = headers.findId(hostId)
  if (index < 0 || headers.count('host') !== 1) return null
  const value = headers.value(index)
  if (value !== hostText || value === '') {
    if (!host.test(value)) return null
    hostText = value
    hostName = value.toLowerCase()
  }
  return hostName
}

/** Body length (-1: chunked). */
function readFraming(line: RequestLine, headers: HeaderBlock): number | FrontRefusal {
  const length = contentLength(headers)
  if (length === null) return malformed('Content-Length is malformed.')
  if (headers.findId(codingId) < 0) return Math.max(length, 0)
  if (length >= 0 || line.minor === 0) {
    return malformed('Transfer-Encoding goes with neither Content-Length nor HTTP/1.0.')
  }
  if (
    headers.count('transfer-encoding') > 1 ||
    headers.get('transfer-encoding')!.toLowerCase() !== 'chunked'
  ) {
    return malformed('Of all transfer codings only chunked is supported.')
  }
  return -1
}

function malformed(message: string): FrontRefusal {
  return new FrontRefusal('malformed_request', message)
}

/**
 * What is wrong with a head that is not whole yet, or too long; null: its rest may still come. Tells from what is there
 * that it will never be a head, instead of waiting for its time-out.
 */
export function unfinishedHead(data: Buffer, start: number, bytesMax: number): FrontRefusal | null {
  if (data.length - start > bytesMax) {
    return new FrontRefusal('headers_too_large', `The request head is over ${bytesMax} bytes.`)
  }
  if (data[start] === 0x16 && data[start + 1] === 3)
    return malformed('This looks like TLS; the port speaks plain HTTP.')
  return cannotBeRequest(data, start) ? malformed('This is not HTTP/1.1.') : null
}

function cannotBeRequest(data: Buffer, start: number): boolean {
  const first = data[start]
  if (first !== undefined && first !== 13 && (first < 0x21 || first > 0x7e)) return true
  for (let feed = data.indexOf(10, start); feed >= 0; feed = data.indexOf(10, feed + 1)) {
    if (data[feed - 1] !== 13) return true
  }
  return false
}
