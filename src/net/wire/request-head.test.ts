import { expect, test } from 'bun:test'
import { FrontRefusal, parseRequestHead, unfinishedHead, type RequestHead } from './request-head.ts'

function parse(text: string): RequestHead {
  const head = parseRequestHead(text, 100)
  if (head instanceof FrontRefusal) throw new Error(head.message)
  return head
}

test('target, framing, keep-alive, expectation, upgrade', () => {
  const cases: [string, Partial<RequestHead>][] = [
    [
      'GET /v1/models HTTP/1.1\r\nHost: A.example\r\n',
      {
        method: 'GET',
        path: '/v1/models',
        query: '',
        host: 'a.example',
        bodyLength: 0,
        keepAlive: true,
        takesChunked: true,
      },
    ],
    ['GET /a?b=/c?d HTTP/1.1\r\nHost: a:80\r\n', { path: '/a', query: '?b=/c?d' }],
    ['GET http://A/b?c HTTP/1.1\r\nHost: a\r\n', { path: '/b', query: '?c' }],
    ['GET https://a HTTP/1.1\r\nHost: a\r\n', { path: '/' }],
    ['POST / HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 12\r\n', { host: '[::1]:8080', bodyLength: 12 }],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n', { bodyLength: -1 }],
    ['GET / HTTP/1.0\r\nHost: a\r\n', { keepAlive: false, takesChunked: false }],
    ['GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n', { keepAlive: true }],
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: X, Close\r\n', { keepAlive: false }],
    [
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n',
      { expectsContinue: true },
    ],
    [
      'POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n',
      { expectsContinue: false },
    ],
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n', { upgrade: 'websocket' }],
  ]
  for (const [text, head] of cases) expect(parse(text)).toMatchObject(head)
})

test('whatever two parsers could read differently is refused', () => {
  const host = 'Host: a\r\n'
  const cases: [string, string][] = [
    ['GET / HTTP/1.1\r\n', 'malformed_request'],
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n', 'malformed_request'],
    ['GET / HTTP/1.1\r\nHost:\r\n', 'malformed_request'],
    ['GET / HTTP/1.1\r\nHost: a/b\r\n', 'malformed_request'],
    ['GET / HTTP/1.1\r\nHost: a@b\r\n', 'malformed_request'],
    ['GET / HTTP/1.0\r\n', 'malformed_request'],
    [`GET  / HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET /a b HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET / \r\n${host}`, 'malformed_request'],
    [`GET /\r\n${host}`, 'malformed_request'],
    [` GET / HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET\t/ HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET /\xe9 HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET /a#b HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET a HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET * HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET http://b/ HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET http://u@a/ HTTP/1.1\r\n${host}`, 'malformed_request'],
    [`GET / HTTP/1.1x\r\n${host}`, 'malformed_request'],
    [`GET / http/1.1\r\n${host}`, 'malformed_request'],
    [`GET / HTTP/2.0\r\n${host}`, 'http_version_not_supported'],
    [`GET / HTTP/1.2\r\n${host}`, 'http_version_not_supported'],
    [`CONNECT / HTTP/1.1\r\n${host}`, 'method_not_allowed'],
    [`TRACE / HTTP/1.1\r\n${host}`, 'method_not_allowed'],
    [`get / HTTP/1.1\r\n${host}`, 'not_implemented'],
    [`BREW / HTTP/1.1\r\n${host}`, 'not_implemented'],
    [`POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n`, 'malformed_request'],
    [`POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 1\r\n`, 'malformed_request'],
    [`POST / HTTP/1.1\r\n${host}Content-Length: 1, 1\r\n`, 'malformed_request'],
    [`POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n`, 'malformed_request'],
    [
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`,
      'malformed_request',
    ],
    [`POST / HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n`, 'malformed_request'],
    [`POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n`, 'malformed_request'],
    [`POST / HTTP/1.1\r\n${host}Content-Length : 1\r\n`, 'malformed_request'],
    [`GET / HTTP/1.1\r\n${host}Expect: magic\r\n`, 'expectation_failed'],
    [`POST / HTTP/1.1\r\n${host}Upgrade: websocket\r\nContent-Length: 1\r\n`, 'malformed_request'],
    [`GET / HTTP/1.1\r\n${host}Upgrade: a\r\nUpgrade: b\r\n`, 'malformed_request'],
    [`GET / HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(100)}`, 'headers_too_large'],
  ]
  for (const [text, fault] of cases) {
    const head = parseRequestHead(text, 100)
    expect([text, head instanceof FrontRefusal ? head.fault : 'accepted']).toEqual([text, fault])
  }
})

test('a TLS handshake on the plain port is told from other bytes that are no request', () => {
  const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
  expect(unfinishedHead(hello, 0, 1000)).toEqual(
    new FrontRefusal('malformed_request', 'This looks like TLS; the port speaks plain HTTP.'),
  )
  expect(unfinishedHead(Buffer.from([0x16, 9]), 0, 1000)?.message).toBe('This is not HTTP/1.1.')
  expect(unfinishedHead(Buffer.from('GET / HT'), 0, 1000)).toBeNull()
})
