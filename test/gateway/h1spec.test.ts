// Promise: the front keeps to HTTP/1.1 as the public h1spec suite tests it, all 33 cases. The bytes are that suite's
// (uNetworking/h1spec, read November 2026), in our own order and words; its server under test echoes every body, so the
// requests go to a path whose upstream does. Each case also runs cut into single bytes: what a request means must not
// depend on how the network cut it.

import { describe, expect, test } from 'bun:test'
import { promiseTests, startGate, upstreamAt } from './harness.ts'
import { readReply } from './message.ts'
import { dial } from './peer.ts'
import { reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start((request, peer) => peer.write(reply(200, request.body)))
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], access: { anonymous: 'allow' } })

const host = 'Host: example.com\r\n'

/** The request is not whole: nothing may be answered yet. */
const unfinished: [what: string, bytes: string][] = [
  ['part of a method', 'G'],
  ['a method and its space', 'GET '],
  ['part of a target', 'GET /hello'],
  ['a target and its space', 'GET /hello '],
  ['part of a version', 'GET /hello HTTP'],
  ['a request line without its end', 'GET /hello HTTP/1.1'],
  ['a request line and a CR', 'GET /hello HTTP/1.1\r'],
  ['a request line', 'GET /hello HTTP/1.1\r\n'],
  ['part of a field name', 'GET /hello HTTP/1.1\r\nHos'],
  ['a field name and its colon', 'GET /hello HTTP/1.1\r\nHost:'],
  ['a field name, colon and space', 'GET /hello HTTP/1.1\r\nHost: '],
  ['a field without its end', 'GET /hello HTTP/1.1\r\nHost: localhost'],
  ['a field and a CR', 'GET /hello HTTP/1.1\r\nHost: localhost\r'],
  ['a field', 'GET /hello HTTP/1.1\r\nHost: localhost\r\n'],
  ['a head but for its last LF', 'GET /hello HTTP/1.1\r\nHost: localhost\r\n\r'],
]

const answered: [what: string, bytes: string, allowed: (status: number) => boolean, body: string | null][] = [
  ['no version', 'GET / \r\n\r\n', (status) => status >= 400, null],
  ['Expect: 100-continue', `GET / HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n`, isFine, null],
  ['a plain GET', `GET / HTTP/1.1\r\n${host}\r\n`, isFine, null],
  ['odd case, a tab, an empty field', 'GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n', isFine, null],
  ['a field name that is no token', `GET / HTTP/1.1\r\n${host}X-Invalid[]: test\r\n\r\n`, isRefused, null],
  ['no Host', 'GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n', isRefused, null],
  ['two Hosts', `GET / HTTP/1.1\r\n${host}Host: example.org\r\n\r\n`, isRefused, null],
  [
    'a length below any number',
    `GET / HTTP/1.1\r\n${host}Content-Length: -123456789123456789123456789\r\n\r\n`,
    isRefused,
    null,
  ],
  ['a negative length', `GET / HTTP/1.1\r\n${host}Content-Length: -1234\r\n\r\n`, isRefused, null],
  ['a length of letters', `GET / HTTP/1.1\r\n${host}Content-Length: abc\r\n\r\n`, isRefused, null],
  ['an empty value', `GET / HTTP/1.1\r\n${host}X-Empty-Header: \r\n\r\n`, isFine, null],
  [
    'a control byte in a value',
    `GET / HTTP/1.1\r\n${host}X-Bad-Control-Char: test\x07\r\n\r\n`,
    isRefused,
    null,
  ],
  ['HTTP/9.9', `GET / HTTP/9.9\r\n${host}\r\n`, (status) => status >= 400, null],
  [
    'words before the request line',
    `Extra lineGET / HTTP/1.1\r\n${host}\r\n`,
    (status) => status >= 400,
    null,
  ],
  ['a CR where a line should end', `GET / HTTP/1.1\r\n${host}\rSome-Header: Test\r\n\r\n`, isRefused, null],
  ['a body with its length', `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`, isFine, 'hello'],
  [
    'a chunked body',
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n`,
    isFine,
    'HellO world1',
  ],
  [
    'a length and chunks, in odd case',
    `POST / HTTP/1.1\r\n${host}content-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n`,
    isRefused,
    null,
  ],
]

function isFine(status: number): boolean {
  return status >= 200 && status < 300
}

function isRefused(status: number): boolean {
  return status >= 400 && status < 500
}

/** The suite asks for `/`, which is not proxied. */
function toEcho(bytes: string): string {
  return bytes.replace(/ \/ /, ' /v1/echo ')
}

test('the table is complete', () => {
  expect(unfinished.length + answered.length).toBe(33)
})

test('waits for the rest of what is not whole', async () => {
  const peers = await Promise.all(unfinished.map(() => dial(gate.port)))
  await Promise.all(peers.map((peer, index) => peer.write(unfinished[index]![1])))
  // The suite itself takes half a second of silence for waiting.
  await Bun.sleep(500)
  for (const [index, peer] of peers.entries()) {
    const [what, bytes] = unfinished[index]!
    expect({ what, received: peer.text, ended: peer.ended }).toEqual({ what, received: '', ended: false })
    // It was waiting, and had not merely hung up.
    await peer.write('GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n'.slice(bytes.length))
    expect((await readReply(peer)).status).toBe(404)
    peer.close()
  }
})

describe('answers', () => {
  test.each(answered)('%s', async (_what, bytes, allowed, body) => {
    const peer = await dial(gate.port)
    await peer.write(toEcho(bytes))
    const answer = await readReply(peer)
    expect(allowed(answer.status), `${answer.status} ${answer.body}`).toBe(true)
    if (body !== null) expect(answer.body.toString()).toBe(body)
    peer.close()
  })

  test.each(answered)('%s, byte by byte', async (_what, bytes, allowed, body) => {
    const peer = await dial(gate.port)
    peer.socket.setNoDelay(true)
    for (const byte of Buffer.from(toEcho(bytes), 'latin1')) {
      await peer.write(Uint8Array.of(byte))
      await Bun.sleep(0)
    }
    const answer = await readReply(peer)
    expect(allowed(answer.status), `${answer.status} ${answer.body}`).toBe(true)
    if (body !== null) expect(answer.body.toString()).toBe(body)
    peer.close()
  })

  test('its own page at /', async () => {
    const peer = await dial(gate.port)
    await peer.write(`GET / HTTP/1.1\r\n${host}\r\n`)
    expect((await readReply(peer)).status).toBe(200)
    peer.close()
  })
})
