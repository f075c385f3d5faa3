// Status line and Date of an answer. The Date is made once a second, not once an answer.

import { STATUS_CODES } from 'node:http'
import { systemClock, type Clock } from '../../base/clock.ts'

const lines = new Map<number, string>()

/** `HTTP/1.1 200 OK` and its CRLF. */
export function statusLine(status: number): string {
  let line = lines.get(status)
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${status === 499 ? 'Client Closed Request' : (STATUS_CODES[status] ?? '')}\r\n`
    lines.set(status, line)
  }
  return line
}

const lengths = new Map<number, string>()
const lengthsMax = 1000

/** `Content-Length: …` and its CRLF. Kept: stored answers come again. */
export function lengthLine(bytes: number): string {
  let line = lengths.get(bytes)
  if (line === undefined) {
    line = `Content-Length: ${bytes}\r\n`
    if (lengths.size >= lengthsMax) lengths.clear()
    lengths.set(bytes, line)
  }
  return line
}

let second = -1
let date = ''

/** `Date: …` in IMF-fixdate (RFC 9110 section 5.6.7) and its CRLF. */
export function dateLine(clock: Clock = systemClock): string {
  const now = Math.floor(clock.wallMs() / 1000)
  if (now !== second) {
    second = now
    date = `Date: ${new Date(now * 1000).toUTCString()}\r\n`
  }
  return date
}

interface HeadOfReply {
  readonly status: number
  readonly headerLines: string
  readonly ownLines: string
}

/** Head of a refusal that the front writes itself; the connection closes behind its body. */
export function refusalHead(reply: HeadOfReply, bodyBytes: number): string {
  const framing = `Content-Length: ${bodyBytes}\r\nConnection: close\r\n\r\n`
  return `${statusLine(reply.status)}${reply.headerLines}${reply.ownLines}${dateLine()}${framing}`
}

/** Head of a 101. */
export function switchHead(reply: HeadOfReply): string {
  return `${statusLine(reply.status)}${reply.headerLines}${reply.ownLines}Connection: Upgrade\r\n\r\n`
}
