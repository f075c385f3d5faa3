// Messages for fuzzing: well-formed ones, mutated ones, and a reader made of the wire's own parsers.

import fc from 'fast-check'
import { ChunkedDecoder } from '../../src/net/wire/chunked.ts'
import type { HeaderBlock } from '../../src/net/wire/headers.ts'
import { FrontRefusal, parseRequestHead } from '../../src/net/wire/request-head.ts'
import { parseResponseHead } from '../../src/net/wire/response-head.ts'

export type MessageKind = 'request' | 'response'

/** What our parsers make of one message. */
export interface Reading {
  readonly fields: string[]
  readonly headers: HeaderBlock
  readonly method: string | null
  readonly target: string | null
  readonly status: number | null
  readonly keepAlive: boolean
  readonly body: Buffer
  /** 'until close' for an answer without framing. */
  readonly state: 'complete' | 'incomplete' | 'until close'
  /** Bytes behind the message. */
  readonly left: number
}

/** Reads one message with our own parsers; null where they refuse it, or its head is not there. */
export function readMessage(kind: MessageKind, bytes: Buffer): Reading | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = bytes.toString('latin1', 0, end + 2)
  const rest = bytes.subarray(end + 4)
  if (kind === 'request') {
    const read = parseRequestHead(head, 100)
    if (read instanceof FrontRefusal) return null
    const facts = {
      method: read.method,
      target: read.path + read.query,
      status: null,
      keepAlive: read.keepAlive,
    }
    return readBody(
      { ...facts, headers: read.headers, length: read.bodyLength, chunked: read.bodyLength < 0 },
      rest,
    )
  }
  const read = parseResponseHead(head)
  if (typeof read === 'string') return null
  const bodiless = read.status < 200 || read.status === 204 || read.status === 304
  const facts = {
    method: null,
    target: null,
    status: read.status,
    keepAlive: read.keepAlive,
    headers: read.headers,
  }
  return readBody(
    { ...facts, length: bodiless ? 0 : read.bodyLength, chunked: !bodiless && read.chunked },
    rest,
  )
}

type Facts = Pick<Reading, 'method' | 'target' | 'status' | 'keepAlive' | 'headers'> & {
  length: number
  chunked: boolean
}

function readBody(facts: Facts, rest: Buffer): Reading | null {
  const fields: string[] = []
  for (let index = 0; index < facts.headers.size; index += 1)
    fields.push(facts.headers.line(index).split(':')[0]!, facts.headers.value(index))
  if (facts.chunked) {
    const parts: Uint8Array[] = []
    const decoder = new ChunkedDecoder()
    const next = decoder.decode(rest, 0, (part) => void parts.push(part))
    if (next < 0) return null
    return {
      ...facts,
      fields,
      body: Buffer.concat(parts),
      state: decoder.done ? 'complete' : 'incomplete',
      left: rest.length - next,
    }
  }
  if (facts.length < 0) return { ...facts, fields, body: rest, state: 'until close', left: 0 }
  const state = rest.length >= facts.length ? 'complete' : 'incomplete'
  return {
    ...facts,
    fields,
    body: rest.subarray(0, facts.length),
    state,
    left: Math.max(0, rest.length - facts.length),
  }
}

const tokenText = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/)
const valueText = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/)
const field = fc
  .tuple(
    fc.oneof(
      tokenText,
      fc.constantFrom('Connection', 'Keep-Alive', 'X-Request-Id', 'content-type', 'ACCEPT'),
    ),
    fc.oneof(valueText, fc.constantFrom('close', 'keep-alive', 'Close, x', ' a ', '\ta\t')),
    fc.constantFrom('', ' ', '  ', '\t'),
  )
  // What decides over framing is chosen below.
  .filter(
    ([name]) => !/^(?:content-length|transfer-encoding|host|expect|upgrade|proxy-connection)$/i.test(name),
  )
  .map(([name, value, blank]) => `${name}:${blank}${value}\r\n`)

const bodyBytes = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'))

const chunkedText = fc
  .tuple(
    fc.array(
      fc.tuple(bodyBytes, fc.constantFrom('', ';a', ';a=b', ';a="b;c"'), fc.constantFrom('', '0', '00')),
      { maxLength: 5 },
    ),
    fc.constantFrom('', 'X-T: 1\r\n', 'A:b\r\nC:d\r\n'),
  )
  .map(([parts, trailers]) => {
    const chunks = parts.filter(([bytes]) => bytes !== '')
    const framed = chunks.map(
      ([bytes, extension, zeros]) => `${zeros}${bytes.length.toString(16)}${extension}\r\n${bytes}\r\n`,
    )
    return `${framed.join('')}0\r\n${trailers}\r\n`
  })

const framed = fc.oneof(
  fc.constant({ line: '', body: '' }),
  bodyBytes.map((body) => ({ line: `Content-Length: ${body.length}\r\n`, body })),
  chunkedText.map((body) => ({ line: 'Transfer-Encoding: chunked\r\n', body })),
)

const target = fc.stringMatching(/^\/[!-"$->@-~]{0,20}(?:\?[!-"$-~]{0,10})?$/)

const requestText = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'),
    target,
    fc.array(field, { maxLength: 6 }),
    framed,
  )
  .map(
    ([method, path, fields, { line, body }]) =>
      `${method} ${path} HTTP/1.1\r\nHost: a\r\n${fields.join('')}${line}\r\n${body}`,
  )

const responseText = fc
  .tuple(
    fc.constantFrom('1.1', '1.0'),
    fc.integer({ min: 200, max: 599 }),
    valueText,
    fc.array(field, { maxLength: 6 }),
    framed,
  )
  .filter(([version, , , , { line }]) => version === '1.1' || !line.startsWith('Transfer'))
  .map(
    ([version, status, reason, fields, { line, body }]) =>
      `HTTP/${version} ${status} ${reason}\r\n${fields.join('')}${line}\r\n${body}`,
  )

/** A well-formed message. */
export function wellFormed(kind: MessageKind): fc.Arbitrary<Buffer> {
  return (kind === 'request' ? requestText : responseText).map((message) => Buffer.from(message, 'latin1'))
}

const telling = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '+',
  '-',
  'chunked',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  '\r\n\r\n',
  '\x7f',
  '\xff',
]

/** A well-formed message with a few bytes dropped, doubled, changed or put in. */
export function mutated(kind: MessageKind): fc.Arbitrary<Buffer> {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.integer({ min: 0, max: 3 }),
    insert: fc.oneof(
      fc.constant(''),
      fc.constantFrom(...telling),
      fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    ),
  })
  return fc
    .tuple(wellFormed(kind), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([message, changes]) => {
      let text = message.toString('latin1')
      for (const { at, drop, insert } of changes) {
        const place = Math.floor(at * text.length)
        text = text.slice(0, place) + insert + text.slice(place + drop)
      }
      return Buffer.from(text, 'latin1')
    })
}
