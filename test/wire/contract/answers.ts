// What a well-formed answer becomes, however it is framed and cut.

import { expect, test } from 'bun:test'
import { WholeBody } from '../../../src/net/wire/body.ts'
import { wireTo, type Kind } from '../kinds.ts'
import { exchange } from '../outcome.ts'
import { always, RawUpstream } from '../raw-upstream.ts'

export interface Answer {
  readonly name: string
  readonly method?: string
  readonly raw: string
  /** The upstream ends the connection behind the answer. */
  readonly close?: boolean
  readonly status: number
  readonly body: string
  /** The socket may carry a next request. */
  readonly reused: boolean
}

const json = '{"object":"list","data":[]}'
const withLength = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`

export const answers: readonly Answer[] = [
  { name: 'Content-Length', raw: withLength, status: 200, body: json, reused: true },
  {
    name: 'chunked',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n6\r\nworld!\r\n0\r\n\r\n',
    status: 200,
    body: 'hello world!',
    reused: true,
  },
  {
    name: 'chunked in capitals, upper-case and zero-padded sizes',
    raw: 'HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n000A\r\n0123456789\r\n0\r\n\r\n',
    status: 200,
    body: '0123456789',
    reused: true,
  },
  {
    name: 'chunk extensions are dropped',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n2;c="d;e"\r\ncd\r\n0;last\r\n\r\n',
    status: 200,
    body: 'abcd',
    reused: true,
  },
  {
    name: 'trailers are dropped',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n',
    status: 200,
    body: 'ab',
    reused: true,
  },
  {
    name: 'until close',
    raw: 'HTTP/1.1 200 OK\r\n\r\nto the end',
    close: true,
    status: 200,
    body: 'to the end',
    reused: false,
  },
  {
    name: 'HTTP/1.0',
    raw: 'HTTP/1.0 200 OK\r\n\r\nold',
    close: true,
    status: 200,
    body: 'old',
    reused: false,
  },
  {
    name: 'HTTP/1.0 with a length',
    raw: 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold',
    status: 200,
    body: 'old',
    reused: false,
  },
  {
    name: 'no reason phrase',
    raw: 'HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok',
    status: 200,
    body: 'ok',
    reused: true,
  },
  { name: 'empty', raw: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', status: 200, body: '', reused: true },
  { name: '204', raw: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204, body: '', reused: true },
  {
    name: '304 with a length',
    raw: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    status: 304,
    body: '',
    reused: true,
  },
  {
    name: 'HEAD',
    method: 'HEAD',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n',
    status: 200,
    body: '',
    reused: true,
  },
  {
    name: 'Connection: close',
    raw: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
    status: 200,
    body: 'ok',
    reused: false,
  },
  {
    name: '100 and 103 before the answer',
    raw: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    status: 200,
    body: 'ok',
    reused: true,
  },
  {
    name: 'an error with a body',
    raw: 'HTTP/1.1 429 Slow Down\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno',
    status: 429,
    body: 'no',
    reused: true,
  },
  {
    name: 'a redirect is not followed',
    raw: 'HTTP/1.1 307 X\r\nLocation: /other\r\nContent-Length: 2\r\n\r\nto',
    status: 307,
    body: 'to',
    reused: true,
  },
]

/** `fetch` cannot tell the end of a body without length from a break, so that kind refuses it. */
export function isRefused(kind: Kind, answer: Answer): boolean {
  return !kind.strict && answer.close === true
}

export function answerTests(kind: Kind): void {
  for (const answer of answers) {
    test(`${kind.name}: ${answer.name}`, async () => {
      const upstream = await RawUpstream.start(always(answer.raw, answer.close))
      const wire = wireTo(kind, upstream.origin)
      try {
        for (let round = 0; round < 3; round += 1) {
          const outcome = await exchange(wire, { method: answer.method ?? 'GET' })
          if (isRefused(kind, answer)) expect(outcome.ending).toBe('malformed')
          else expect(outcome).toMatchObject({ status: answer.status, body: answer.body, ending: 'end' })
        }
        expect(wire.counts().busy).toBe(0)
        // Which sockets `fetch` keeps is its own affair; that each answer is right was seen above.
        if (kind.strict) expect(upstream.connections.length).toBe(answer.reused ? 1 : 3)
      } finally {
        wire.close()
        upstream.stop()
      }
    })
  }

  test(`${kind.name}: header values keep their bytes`, async () => {
    const upstream = await RawUpstream.start(
      always('HTTP/1.1 200 OK\r\nX-Name:  caf\xe9 \x80 \r\nContent-Length: 0\r\n\r\n'),
    )
    const wire = wireTo(kind, upstream.origin)
    try {
      const call = wire.send({
        method: 'GET',
        target: '/',
        headerLines: 'X-Mine: caf\xe9\r\n',
        body: null,
        upgrade: null,
      })
      expect((await call.reply).headers.get('x-name')).toBe('caf\xe9 \x80')
      expect(upstream.connections[0]!.text).toMatch(/\r\nX-Mine: caf\xe9\r\n/i)
    } finally {
      wire.close()
      upstream.stop()
    }
  })

  test(`${kind.name}: a compressed answer passes as it is`, async () => {
    const zipped = Bun.gzipSync(Buffer.from('hello'))
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${zipped.length}\r\n\r\n`
    const upstream = await RawUpstream.start(always(Buffer.concat([Buffer.from(head), zipped])))
    const wire = wireTo(kind, upstream.origin)
    try {
      expect((await exchange(wire)).body).toBe(Buffer.from(zipped).toString('latin1'))
      expect(upstream.connections[0]!.text.toLowerCase()).not.toContain('accept-encoding')
    } finally {
      wire.close()
      upstream.stop()
    }
  })

  test(`${kind.name}: the request goes out as asked, with nothing about us`, async () => {
    const upstream = await RawUpstream.start(always('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    const wire = wireTo(kind, upstream.origin)
    try {
      await exchange(wire, {
        method: 'POST',
        target: '/v1/chat?a=b%20c&d',
        headerLines: 'Authorization: Bearer k\r\nX-A: 1\r\n',
        body: new WholeBody(Buffer.from('{"a":1}')),
      })
      const { text } = upstream.connections[0]!
      expect(text).toStartWith('POST /v1/chat?a=b%20c&d HTTP/1.1\r\n')
      expect(text).toEndWith('\r\n\r\n{"a":1}')
      for (const line of [
        'Authorization: Bearer k',
        'X-A: 1',
        'Content-Length: 7',
        `Host: ${upstream.origin.host}`,
      ]) {
        expect(text.toLowerCase().split(`\r\n${line.toLowerCase()}\r\n`).length).toBe(2)
      }
      expect(text).not.toMatch(/bun|headgate|transfer-encoding/i)
    } finally {
      wire.close()
      upstream.stop()
    }
  })
}
