import { expect, test } from 'bun:test'
import { cannotBeHead, parseResponseHead, type ResponseHead } from './response-head.ts'

function parse(text: string): ResponseHead {
  const head = parseResponseHead(text)
  if (typeof head === 'string') throw new Error(head)
  return head
}

test('status, framing and keep-alive', () => {
  const cases: [string, Partial<ResponseHead>][] = [
    ['HTTP/1.1 200 OK\r\n', { status: 200, bodyLength: -1, chunked: false, keepAlive: true }],
    ['HTTP/1.1 200\r\nContent-Length: 5\r\n', { status: 200, bodyLength: 5, chunked: false }],
    ['HTTP/1.1 404 \r\nTransfer-Encoding: Chunked\r\n', { status: 404, bodyLength: -1, chunked: true }],
    ['HTTP/1.1 200 caf\xe9\r\nConnection: x, CLOSE\r\n', { keepAlive: false }],
    ['HTTP/1.0 200 OK\r\n', { keepAlive: false }],
    ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n', { keepAlive: true }],
    ['HTTP/1.1 599 X\r\nconnection: a\r\nConnection: close\r\n', { status: 599, keepAlive: false }],
  ]
  for (const [text, head] of cases) expect(parse(text)).toMatchObject(head)
})

test('odd heads are refused by name', () => {
  const cases: [string, string][] = [
    ['HTTP/1.1 099 OK\r\n', 'malformed status line'],
    ['HTTP/1.1 600 OK\r\n', 'malformed status line'],
    ['HTTP/1.1 20 OK\r\n', 'malformed status line'],
    ['HTTP/1.1 200OK\r\n', 'malformed status line'],
    ['HTTP/1.1  200 OK\r\n', 'malformed status line'],
    ['http/1.1 200 OK\r\n', 'malformed status line'],
    ['HTTP/1.1 200 O\0K\r\n', 'malformed status line'],
    ['\r\nHTTP/1.1 200 OK\r\n', 'malformed status line'],
    ['HTTP/1.1 200 OK\r\na\r\n', 'malformed header line'],
    ['HTTP/1.1 200 OK\r\nContent-Length: x\r\n', 'malformed Content-Length'],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n',
      'both Content-Length and Transfer-Encoding',
    ],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n', 'unsupported transfer coding'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n', 'unsupported transfer coding'],
    ['HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n', 'chunked coding in HTTP/1.0'],
    [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(201)}`, 'too many header fields'],
  ]
  for (const [text, what] of cases)
    expect([text.slice(0, 60), parseResponseHead(text)]).toEqual([text.slice(0, 60), what])
})

test('an unfinished head is hopeless or not', () => {
  const cases: [string, boolean][] = [
    ['', false],
    ['H', false],
    ['HTTP/1.', false],
    ['HTTP/1.1 200 OK\r\nA: b\r\n', false],
    ['HTTP/2 200', true],
    ['SSH-2.0', true],
    ['\x15\x03', true],
    ['HTTP/1.1 200 OK\n', true],
    ['HTTP/1.1 200 OK\r\nA: b\n', true],
  ]
  for (const [text, hopeless] of cases)
    expect([text, cannotBeHead(Buffer.from(text, 'latin1'), 0)]).toEqual([text, hopeless])
})
