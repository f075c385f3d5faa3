// Upstreams that speak wrongly. Our own client calls each of these malformed and never uses the socket again; `fetch`
// forgives some, and then must read them the one way in which they can be meant.

import { expect, test } from 'bun:test'
import { wireTo, type Kind } from '../kinds.ts'
import { exchange } from '../outcome.ts'
import { always, RawUpstream } from '../raw-upstream.ts'

export interface Hostile {
  readonly name: string
  readonly raw: string
  /** What `fetch` may make of it instead of an error. */
  readonly forgiven?: string
}

const ok = 'HTTP/1.1 200 OK\r\n'
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`

export const hostile: readonly Hostile[] = [
  { name: 'two lengths that differ', raw: `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc` },
  {
    name: 'two lengths that agree',
    raw: `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab`,
    forgiven: 'ab',
  },
  {
    name: 'length and chunked',
    raw: `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
  },
  {
    name: 'chunked and length',
    raw: `${ok}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
  },
  { name: 'a length of +2', raw: `${ok}Content-Length: +2\r\n\r\nab` },
  { name: 'a length of -2', raw: `${ok}Content-Length: -2\r\n\r\nab` },
  { name: 'a length of 2,2', raw: `${ok}Content-Length: 2,2\r\n\r\nab` },
  { name: 'a length of 0x2', raw: `${ok}Content-Length: 0x2\r\n\r\nab` },
  { name: 'a length of 2 2', raw: `${ok}Content-Length: 2 2\r\n\r\nab` },
  { name: 'an empty length', raw: `${ok}Content-Length:\r\n\r\nab` },
  { name: 'a length beyond all integers', raw: `${ok}Content-Length: 99999999999999999999999\r\n\r\nab` },
  { name: 'gzip, chunked', raw: `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n` },
  { name: 'identity', raw: `${ok}Transfer-Encoding: identity\r\n\r\nab` },
  {
    name: 'chunked twice',
    raw: `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
  },
  { name: 'xchunked', raw: `${ok}Transfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n` },
  {
    name: 'chunked in HTTP/1.0',
    raw: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
    forgiven: 'ab',
  },
  { name: 'bare LF', raw: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nab', forgiven: 'ab' },
  { name: 'one bare LF', raw: 'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nab', forgiven: 'ab' },
  { name: 'bare CR in a value', raw: `${ok}X: a\rb\r\nContent-Length: 2\r\n\r\nab` },
  { name: 'NUL in a value', raw: `${ok}X: a\0b\r\nContent-Length: 2\r\n\r\nab` },
  { name: 'obs-fold', raw: `${ok}X: a\r\n b\r\nContent-Length: 2\r\n\r\nab` },
  { name: 'a space before the colon', raw: `${ok}Content-Length : 2\r\n\r\nab` },
  { name: 'a line without colon', raw: `${ok}nonsense\r\nContent-Length: 2\r\n\r\nab` },
  { name: 'an empty name', raw: `${ok}: a\r\nContent-Length: 2\r\n\r\nab` },
  { name: 'a name that is no token', raw: `${ok}A(b): a\r\nContent-Length: 2\r\n\r\nab`, forgiven: 'ab' },
  { name: 'HTTP/2.0', raw: 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab' },
  { name: 'HTTP/1.2', raw: 'HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nab', forgiven: 'ab' },
  { name: 'no version', raw: '200 OK\r\nContent-Length: 2\r\n\r\nab' },
  { name: 'status 99', raw: 'HTTP/1.1 99 X\r\nContent-Length: 2\r\n\r\nab' },
  { name: 'status 600', raw: 'HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nab', forgiven: 'ab' },
  { name: 'status 2000', raw: 'HTTP/1.1 2000 X\r\nContent-Length: 2\r\n\r\nab' },
  { name: 'status of letters', raw: 'HTTP/1.1 OK 200\r\nContent-Length: 2\r\n\r\nab' },
  { name: 'two spaces', raw: 'HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nab', forgiven: 'ab' },
  {
    name: '101 that nobody asked for',
    raw: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  },
  { name: 'another protocol', raw: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' },
  { name: 'a TLS record', raw: '\x15\x03\x01\x00\x02\x02\x46\r\n\r\n' },
  { name: 'a chunk size that is no number', raw: `${chunked}zz\r\nab\r\n0\r\n\r\n` },
  { name: 'a negative chunk size', raw: `${chunked}-2\r\nab\r\n0\r\n\r\n` },
  { name: 'a chunk size with a sign', raw: `${chunked}+2\r\nab\r\n0\r\n\r\n` },
  { name: 'a chunk size in 0x notation', raw: `${chunked}0x2\r\nab\r\n0\r\n\r\n` },
  { name: 'an empty chunk size', raw: `${chunked}\r\nab\r\n0\r\n\r\n` },
  { name: 'a giant chunk size', raw: `${chunked}fffffffffffffffff\r\nab\r\n0\r\n\r\n` },
  { name: 'a space before the chunk size', raw: `${chunked} 2\r\nab\r\n0\r\n\r\n` },
  { name: 'a space behind the chunk size', raw: `${chunked}2 \r\nab\r\n0\r\n\r\n`, forgiven: 'ab' },
  { name: 'a chunk size ended by LF', raw: `${chunked}2\nab\r\n0\r\n\r\n`, forgiven: 'ab' },
  { name: 'chunk data longer than its size', raw: `${chunked}2\r\nabc\r\n0\r\n\r\n` },
  { name: 'chunk data without CRLF', raw: `${chunked}2\r\nab0\r\n\r\n` },
  {
    name: 'a control byte in a chunk extension',
    raw: `${chunked}2;a\x01\r\nab\r\n0\r\n\r\n`,
    forgiven: 'ab',
  },
  {
    name: 'an endless chunk extension',
    raw: `${chunked}2;${'a'.repeat(100_000)}\r\nab\r\n0\r\n\r\n`,
    forgiven: 'ab',
  },
  {
    name: 'endless trailers',
    raw: `${chunked}2\r\nab\r\n0\r\n${'X: a\r\n'.repeat(20_000)}\r\n`,
    forgiven: 'ab',
  },
  {
    name: 'a head of 1 MB',
    raw: `${ok}X: ${'a'.repeat(1_000_000)}\r\nContent-Length: 2\r\n\r\nab`,
    forgiven: 'ab',
  },
  { name: 'a head without end', raw: `${ok}${'X: a\r\n'.repeat(20_000)}` },
  {
    name: '5,000 header fields',
    raw: `${ok}${'X: a\r\n'.repeat(5000)}Content-Length: 2\r\n\r\nab`,
    forgiven: 'ab',
  },
  {
    name: '201 header fields',
    raw: `${ok}${'X: a\r\n'.repeat(200)}Content-Length: 2\r\n\r\nab`,
    forgiven: 'ab',
  },
  { name: 'interim answers without end', raw: 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100), forgiven: '' },
]

export function hostileTests(kind: Kind): void {
  for (const { name, raw, forgiven } of hostile) {
    test(`${kind.name}: ${name}`, async () => {
      const upstream = await RawUpstream.start(always(raw, !kind.strict))
      const wire = wireTo(kind, upstream.origin)
      try {
        for (let round = 0; round < 2; round += 1) {
          const outcome = await exchange(wire)
          if (kind.strict) {
            expect(outcome).toMatchObject({ ending: 'malformed', answered: true })
            // Nothing of it may be taken for a clean answer, nor may a byte behind the fault come through.
            expect(outcome.body.length).toBeLessThanOrEqual(2)
          } else if (outcome.ending === 'end')
            expect([name, outcome.body]).toEqual([name, forgiven ?? 'an error'])
        }
        expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
        if (kind.strict) expect(upstream.connections.length).toBe(2)
      } finally {
        wire.close()
        upstream.stop()
      }
    })
  }

  test(`${kind.name}: bytes behind an answer are never the next one's`, async () => {
    const behind = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
    for (const raw of [
      `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${behind}`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${behind}`,
      `HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok${behind}`,
      `HTTP/1.1 304 Not Modified\r\n\r\n${behind}`,
    ]) {
      const upstream = await RawUpstream.start(always(raw))
      const wire = wireTo(kind, upstream.origin)
      const bodies = []
      for (let round = 0; round < 3; round += 1) bodies.push((await exchange(wire)).body)
      expect(bodies.join()).not.toContain('evil')
      if (kind.strict) expect(upstream.connections.length).toBe(3)
      wire.close()
      upstream.stop()
    }
  })
}
