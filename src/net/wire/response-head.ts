// Head of a response, read strictly (RFC 9112): anything odd is an upstream error and its socket is destroyed, because
// bytes that are read wrongly here would be the next client's answer.

import { fieldId } from './field-names.ts'
import { contentLength, HeaderBlock } from './headers.ts'

/** A response's head, checked. */
export interface ResponseHead {
  readonly status: number
  readonly headers: HeaderBlock
  /** Content-Length; -1 where it is chunked or ends with the connection. */
  readonly bodyLength: number
  readonly chunked: boolean
  readonly keepAlive: boolean
}

const fieldsMax = 200
const opening = 'HTTP/1.'
const statusLine = /^HTTP\/1\.[01] [1-5][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?$/
const codingId = fieldId('transfer-encoding')

/**
 * Tells from an unfinished head that it will never be one, instead of waiting for its time-out: another protocol, or a
 * line ended by LF alone. Bytes before `from` have been looked at before.
 */
export function cannotBeHead(data: Buffer, from: number): boolean {
  if (!opening.startsWith(data.toString('latin1', 0, opening.length))) return true
  for (let feed = data.indexOf(10, from); feed >= 0; feed = data.indexOf(10, feed + 1)) {
    if (data[feed - 1] !== 13) return true
  }
  return false
}

/** Reads a head: latin1 text up to and with the last field's CRLF. Returns what is odd about it as a string. */
export function parseResponseHead(text: string): ResponseHead | string {
  const lineEnd = text.indexOf('\r\n')
  const status = readStatus(text.slice(0, lineEnd))
  if (status === 0) return 'malformed status line'
  const headers = HeaderBlock.parse(text, lineEnd + 2)
  if (headers === null) return 'malformed header line'
  if (headers.size > fieldsMax) return 'too many header fields'
  const length = contentLength(headers)
  if (length === null) return 'malformed Content-Length'
  const minor = text.charCodeAt(opening.length) - 48
  const chunked = headers.findId(codingId) >= 0
  if (chunked) {
    if (length >= 0) return 'both Content-Length and Transfer-Encoding'
    const coding = headers.get('transfer-encoding')!
    if (headers.count('transfer-encoding') > 1 || coding.toLowerCase() !== 'chunked')
      return 'unsupported transfer coding'
    if (minor === 0) return 'chunked coding in HTTP/1.0'
  }
  const connection = headers.connection()
  const keepAlive = minor === 1 ? !connection.includes('close') : connection.includes('keep-alive')
  return { status, headers, bodyLength: length, chunked, keepAlive }
}

/** Status of a status line; 0 where it is malformed. */
function readStatus(line: string): number {
  return statusLine.test(line) ? Number(line.slice(9, 12)) : 0
}
