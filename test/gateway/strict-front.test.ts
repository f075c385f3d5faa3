// Promise: whatever two servers could read differently is refused, before anything of it reaches an upstream, and
// nothing that follows a refused request on its connection is ever read as a request. Raw sockets: no client library
// would send these bytes. Behind every refused request stands a good one, which must stay without an answer.

import { describe, expect, test } from 'bun:test'
import { ask, clientKey, eventually, promiseTests, request, startGate, upstreamAt } from './harness.ts'
import { readReply } from './message.ts'
import { dial } from './peer.ts'
import { fine, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const limits = { headers: 100, headerBytes: '32KB' }
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], server: { limits } })

const auth = `Authorization: Bearer ${clientKey}\r\n`
const get = 'GET /v1/models HTTP/1.1\r\n'
const post = 'POST /v1/chat/completions HTTP/1.1\r\n'
const host = 'Host: gate.test\r\n'
const good = `${get}Host: gate.test\r\nX-Behind: yes\r\n${auth}\r\n`
const json = 'Content-Type: application/json\r\n'

type Row = readonly [what: string, bytes: string, status: number]

const hosts: Row[] = [
  ['no Host', `${get}${auth}\r\n`, 400],
  ['two Hosts', `${get}${host}Host: other.test\r\n${auth}\r\n`, 400],
  ['the same Host twice', `${get}${host}${host}${auth}\r\n`, 400],
  ['an empty Host', `${get}Host:\r\n${auth}\r\n`, 400],
  ['a Host with a path', `${get}Host: gate.test/v1\r\n${auth}\r\n`, 400],
  ['a Host with a path and a fragment', `${get}Host: a/#\r\n${auth}\r\n`, 400],
  ['a Host with a query', `${get}Host: gate.test?x\r\n${auth}\r\n`, 400],
  ['a Host with a space', `${get}Host: gate test\r\n${auth}\r\n`, 400],
  ['a Host with a comma', `${get}Host: gate.test, other.test\r\n${auth}\r\n`, 400],
  ['a Host with a backslash', `${get}Host: gate\\test\r\n${auth}\r\n`, 400],
  ['a Host with user info', `${get}Host: user@gate.test\r\n${auth}\r\n`, 400],
  ['a Host with user info and a password', `${get}Host: user:pw@gate.test\r\n${auth}\r\n`, 400],
  ['a Host with a port of letters', `${get}Host: gate.test:http\r\n${auth}\r\n`, 400],
  ['a Host with an empty port', `${get}Host: gate.test:\r\n${auth}\r\n`, 400],
  ['a Host with two ports', `${get}Host: gate.test:80:81\r\n${auth}\r\n`, 400],
  ['a Host with a port of six digits', `${get}Host: gate.test:123456\r\n${auth}\r\n`, 400],
  ['a Host with a scheme', `${get}Host: http://gate.test\r\n${auth}\r\n`, 400],
  ['a Host that is not ASCII', `${get}Host: gät\xe9.test\r\n${auth}\r\n`, 400],
  ['a Host with an escape', `${get}Host: gate%2etest\r\n${auth}\r\n`, 400],
  ['a Host with a bracket only', `${get}Host: [::1\r\n${auth}\r\n`, 400],
  ['a Host with a zone', `${get}Host: [fe80::1%25eth0]\r\n${auth}\r\n`, 400],
  ['a Host of 300 characters', `${get}Host: ${'a'.repeat(300)}\r\n${auth}\r\n`, 400],
  ['a Host that starts with a dot', `${get}Host: .test\r\n${auth}\r\n`, 400],
]

const targets: Row[] = [
  ['absolute-form with another host', `GET http://other.test/v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  [
    'absolute-form with another port',
    `GET http://gate.test:81/v1/models HTTP/1.1\r\n${host}${auth}\r\n`,
    400,
  ],
  ['absolute-form with user info', `GET http://u@gate.test/v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['absolute-form without Host', `GET http://gate.test/v1/models HTTP/1.1\r\n${auth}\r\n`, 400],
  ['absolute-form of another scheme', `GET ftp://gate.test/v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['absolute-form with a backslash', `GET http:\\\\gate.test\\v1 HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['authority-form', `GET gate.test:443 HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['asterisk-form with GET', `GET * HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['asterisk-form with OPTIONS', `OPTIONS * HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target without its slash', `GET v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target with a fragment', `GET /v1/models#a HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target with a fragment in its query', `GET /v1/models?a#b HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target with a space', `GET /v1/mod els HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target with a tab', `GET /v1/mod\tels HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target with a NUL', `GET /v1/models\0 HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a target that is not ASCII', `GET /v1/mod\xe8ls HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a query that is not ASCII', `GET /v1/models?a=\xe8 HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['two spaces before the target', `GET  /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['two spaces before the version', `GET /v1/models  HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a space behind the version', `GET /v1/models HTTP/1.1 \r\n${host}${auth}\r\n`, 400],
  ['a tab in the request line', `GET\t/v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a space before the method', ` GET /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['no target', `GET HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['a network-path target', `GET //other.test/v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
]

const versions: Row[] = [
  ['HTTP/0.9', 'GET /v1/models\r\n\r\n', 400],
  ['HTTP/1.0 without Host', `GET /v1/models HTTP/1.0\r\n${auth}\r\n`, 400],
  [
    'HTTP/1.0 with chunks',
    `POST /v1/chat/completions HTTP/1.0\r\n${host}${auth}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    400,
  ],
  ['HTTP/1.2', `GET /v1/models HTTP/1.2\r\n${host}${auth}\r\n`, 505],
  ['HTTP/2.0', `GET /v1/models HTTP/2.0\r\n${host}${auth}\r\n`, 505],
  ['HTTP/9.9', `GET /v1/models HTTP/9.9\r\n${host}${auth}\r\n`, 505],
  ['http/1.1', `GET /v1/models http/1.1\r\n${host}${auth}\r\n`, 400],
  ['HTTP/1.10', `GET /v1/models HTTP/1.10\r\n${host}${auth}\r\n`, 400],
  ['HTTP/01.1', `GET /v1/models HTTP/01.1\r\n${host}${auth}\r\n`, 400],
  ['HTTP/1,1', `GET /v1/models HTTP/1,1\r\n${host}${auth}\r\n`, 400],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
]

const body = '{"model":"gpt-4o"}'
const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const framing: Row[] = [
  [
    'a length and chunks',
    `${post}${host}${auth}${json}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    400,
  ],
  [
    'chunks and a length',
    `${post}${host}${auth}${json}Transfer-Encoding: chunked\r\nContent-Length: ${chunks.length}\r\n\r\n${chunks}`,
    400,
  ],
  [
    'two lengths that agree',
    `${post}${host}${auth}Content-Length: 18\r\nContent-Length: 18\r\n\r\n${body}`,
    400,
  ],
  [
    'two lengths that differ',
    `${post}${host}${auth}Content-Length: 18\r\nContent-Length: 0\r\n\r\n${body}`,
    400,
  ],
  ...[
    '18, 18',
    '+18',
    '-18',
    '0x12',
    '18.0',
    '1 8',
    '18;',
    '1e1',
    '',
    '"18"',
    '１８',
    '99999999999999999999',
  ].map((length): Row => [
    `a length of ${JSON.stringify(length)}`,
    `${post}${host}${auth}Content-Length: ${length}\r\n\r\n${body}`,
    400,
  ]),
  ...[
    'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'identity', 'chunked, identity', 'identity, chunked', 'xchunked', 'chunked ;a=b',
    '"chunked"', 'chunked,', ',chunked', '\x0bchunked', 'chun\xe7ed', '',
  ].map((coding): Row => [`a transfer coding of ${JSON.stringify(coding)}`, `${post}${host}${auth}Transfer-Encoding: ${coding}\r\n\r\n${chunks}`, 400]), // prettier-ignore
  [
    'chunked twice',
    `${post}${host}${auth}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    400,
  ],
  [
    'chunked and identity in two lines',
    `${post}${host}${auth}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunks}`,
    400,
  ],
  [
    'a coding behind a space before its colon',
    `${post}${host}${auth}Transfer-Encoding : chunked\r\n\r\n${chunks}`,
    400,
  ],
  [
    'a coding behind a folded line',
    `${post}${host}${auth}Transfer-Encoding:\r\n chunked\r\n\r\n${chunks}`,
    400,
  ],
  ['a length behind a bare CR', `${post}${host}${auth}X: y\rContent-Length: 18\r\n\r\n${body}`, 400],
]

const chunkOddities: Row[] = [
  ['a size with a sign', '+12'],
  ['a size with a minus', '-12'],
  ['a size with 0x', '0x12'],
  ['a size with a space before', ' 12'],
  ['a size with a space behind', '12 '],
  ['a size with a tab behind', '12\t'],
  ['a size that is no number', 'zz'],
  ['an empty size', ''],
  ['a size of 13 digits', '0000000000012'],
  ['a size beyond any memory', 'ffffffffffffffffff'],
  ['a size with an underscore', '1_2'],
  ['an extension with a control byte', '12;a=\x01'],
  ['an extension with a bare CR', '12;a\rb'],
].map(([what, size]): Row => [what!, chunkedPost(`${size}\r\n${body}\r\n0\r\n\r\n`), 400])
chunkOddities.push(
  ['a size line ended by LF', chunkedPost(`12\n${body}\r\n0\r\n\r\n`), 400],
  ['an extension ended by LF', chunkedPost(`12;a\n${body}\r\n0\r\n\r\n`), 400],
  ['a chunk longer than its size', chunkedPost(`2\r\n${body}\r\n0\r\n\r\n`), 400],
  ['a chunk shorter than its size', chunkedPost(`13\r\n${body}\r\n0\r\n\r\n`), 400],
  ['a chunk ended by LF', chunkedPost(`12\r\n${body}\n0\r\n\r\n`), 400],
  ['a chunk ended by CR', chunkedPost(`12\r\n${body}\r0\r\n\r\n`), 400],
  ['a last chunk ended by LF', chunkedPost(`12\r\n${body}\r\n0\n\n`), 400],
  ['an extension of 5 KB', chunkedPost(`12;${'a'.repeat(5000)}\r\n${body}\r\n0\r\n\r\n`), 400],
  ['a trailer of 20 KB', chunkedPost(`12\r\n${body}\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`), 400],
  ['a trailer with a control byte', chunkedPost(`12\r\n${body}\r\n0\r\nX: \x01\r\n\r\n`), 400],
)

function chunkedPost(bytes: string): string {
  return `${post}${host}${auth}${json}Transfer-Encoding: chunked\r\n\r\n${bytes}`
}

const lines: Row[] = [
  ['a request line ended by LF', `GET /v1/models HTTP/1.1\n${host}${auth}\r\n`, 400],
  ['all lines ended by LF', `GET /v1/models HTTP/1.1\nHost: gate.test\n\n`, 400],
  ['one line ended by LF', `${get}Host: gate.test\n${auth}\r\n`, 400],
  ['one line ended by CR', `${get}Host: gate.test\r${auth}\r\n`, 400],
  ['one line ended by CR CR LF', `${get}Host: gate.test\r\r\n${auth}\r\n`, 400],
  ['a folded line', `${get}${host}${auth}X-A: 1\r\n 2\r\n\r\n`, 400],
  ['a line folded by a tab', `${get}${host}${auth}X-A: 1\r\n\t2\r\n\r\n`, 400],
  ['a first line that is folded', `${get} ${host}${auth}\r\n`, 400],
  ['a space before a colon', `${get}Host : gate.test\r\n${auth}\r\n`, 400],
  ['a line without a colon', `${get}${host}${auth}X-A\r\n\r\n`, 400],
  ['an empty name', `${get}${host}${auth}: 1\r\n\r\n`, 400],
  ...['\0', '\x01', '\x08', '\x0b', '\x0c', '\x1b', '\x7f'].flatMap((byte): Row[] => [
    [`the byte ${byte.charCodeAt(0)} in a value`, `${get}${host}${auth}X-A: a${byte}b\r\n\r\n`, 400],
    [`the byte ${byte.charCodeAt(0)} in a name`, `${get}${host}${auth}X-${byte}A: a\r\n\r\n`, 400],
  ]),
  ...['(', ')', '<', '>', '@', ',', ';', '\\', '"', '/', '[', ']', '?', '=', '{', '}', ' ', '\xe9'].map(
    (byte): Row => [`a name with ${JSON.stringify(byte)}`, `${get}${host}${auth}X-${byte}A: a\r\n\r\n`, 400],
  ),
]

const sizes: Row[] = [
  ['101 fields', `${get}${host}${auth}${'X-A: 1\r\n'.repeat(99)}\r\n`, 431],
  ['a value of 33 KB', `${get}${host}${auth}X-A: ${'a'.repeat(33 * 1024)}\r\n\r\n`, 431],
  ['fields of 33 KB together', `${get}${host}${auth}${`X-A: ${'a'.repeat(700)}\r\n`.repeat(48)}\r\n`, 431],
  ['a target of 33 KB', `GET /v1/${'a'.repeat(33 * 1024)} HTTP/1.1\r\n${host}${auth}\r\n`, 431],
  ['a name of 33 KB', `${get}${host}${auth}${'a'.repeat(33 * 1024)}: 1\r\n\r\n`, 431],
]

const methods: Row[] = [
  ['CONNECT', `CONNECT gate.test:443 HTTP/1.1\r\n${host}${auth}\r\n`, 405],
  ['CONNECT with a path', `CONNECT /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 405],
  ['TRACE', `TRACE /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 405],
  ['an unknown method', `BREW /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 501],
  ['a method of WebDAV', `PROPFIND /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 501],
  ['a method in lower case', `get /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 501],
  ['a method that is no token', `G@T /v1/models HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  ['an unknown expectation', `${get}${host}${auth}Expect: 200-ok\r\n\r\n`, 417],
  ['a doubled expectation', `${get}${host}${auth}Expect: 100-continue, 100-continue\r\n\r\n`, 417],
  [
    'an Upgrade to h2c',
    `${get}${host}${auth}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    400,
  ],
  [
    'an Upgrade where none is named',
    `${get}${host}${auth}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    400,
  ],
  [
    'an Upgrade on POST',
    `${post}${host}${auth}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}`,
    400,
  ],
  [
    'two Upgrades',
    `GET /v1/realtime HTTP/1.1\r\n${host}${auth}Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n\r\n`,
    400,
  ],
  [
    'an Upgrade with a body',
    `GET /v1/realtime HTTP/1.1\r\n${host}${auth}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}`,
    400,
  ],
  [
    'an Upgrade to another protocol',
    `GET /v1/realtime HTTP/1.1\r\n${host}${auth}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
    400,
  ],
]

/** Record header, ClientHello with three cipher suites, extensions that are nothing but zeros. */
const hello = `16030100a5010000a10303${'5a'.repeat(32)}00000613011302130301000072${'00'.repeat(114)}`
const otherProtocols: Row[] = [
  ['a TLS ClientHello', Buffer.from(hello, 'hex').toString('latin1'), 400],
  ['an SSH banner', 'SSH-2.0-OpenSSH_9.9\r\n\r\n', 400],
  ['the PROXY protocol', `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${good}`, 400],
  ['the PROXY protocol, version 2', '\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c' + '\x01'.repeat(12), 400],
  ['SMTP', 'EHLO gate.test\r\n\r\n', 400],
  ['a NUL', '\0\0\0\0', 400],
  ['JSON', '{"model":"gpt-4o"}\r\n\r\n', 400],
]

/** Sends refused bytes with a good request behind them; the refusal must be all that is answered. */
async function mustRefuse(port: number, [what, bytes, status]: Row): Promise<void> {
  const seen = upstream.requests.length
  const peer = await dial(port)
  void peer.write(bytes + good)
  const answer = await readReply(peer, bytes.startsWith('HEAD') ? 'HEAD' : 'GET')
  expect({ what, status: answer.status }).toEqual({ what, status })
  expect(answer.header('connection')).toBe('close')
  const { error } = answer.json()
  expect(typeof error.message).toBe('string')
  expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code'])
  await peer.untilEnded()
  expect({ what, behind: peer.text }).toEqual({ what, behind: '' })
  peer.close()
  expect(upstream.requests.slice(seen).map((each) => each.raw.toString('latin1'))).toEqual([])
}

const groups = { hosts, targets, versions, framing, chunkOddities, lines, sizes, methods, otherProtocols }
for (const [group, rows] of Object.entries(groups)) {
  describe(`refuses (${group})`, () => {
    test.each(rows.map((row) => ({ what: row[0], row })))('$what', ({ row }) => mustRefuse(gate.port, row))
  })
}

test('each refusal is in the access log, and no connection is left behind', async () => {
  await eventually(() => gate.gateway.addresses.proxy[0]!.counts().open === 0, 'all connections to close')
  expect(gate.lines.filter((line) => line['status'] < 400)).toEqual([])
  const count = Object.values(groups).flat().length
  expect(gate.lines.length).toBe(count)
})

describe('answers what only looks odd', () => {
  test.each<[what: string, bytes: string]>([
    ['a Host with a port', `${get}Host: gate.test:8080\r\n${auth}\r\n`],
    ['a Host in upper case', `${get}HOST: GATE.TEST\r\n${auth}\r\n`],
    ['an IPv4 Host', `${get}Host: 127.0.0.1:8080\r\n${auth}\r\n`],
    ['an IPv6 Host', `${get}Host: [::1]:8080\r\n${auth}\r\n`],
    ['a Host with an underscore', `${get}Host: my_gate\r\n${auth}\r\n`],
    ['absolute-form that agrees', `GET http://gate.test/v1/models HTTP/1.1\r\n${host}${auth}\r\n`],
    [
      'absolute-form that agrees but for case',
      `GET HTTP://Gate.Test/v1/models HTTP/1.1\r\n${host}${auth}\r\n`,
    ],
    ['HTTP/1.0', `GET /v1/models HTTP/1.0\r\n${host}${auth}\r\n`],
    ['an empty line before the request line', `\r\n${get}${host}${auth}\r\n`],
    ['100 fields', `${get}${host}${auth}${'X-A: 1\r\n'.repeat(98)}\r\n`],
    ['fields of 31 KB', `${get}${host}${auth}X-A: ${'a'.repeat(31 * 1024)}\r\n\r\n`],
    ['no space behind a colon', `${get}Host:gate.test\r\n${auth}\r\n`],
    ['tabs around a value', `${get}Host:\tgate.test\t\r\n${auth}\r\n`],
    ['a query with odd characters', `GET /v1/models?a=%2f..//&b=%00;[]'"|\` HTTP/1.1\r\n${host}${auth}\r\n`],
    ['Content-Length: 0 with GET', `${get}${host}${auth}Content-Length: 0\r\n\r\n`],
    [
      'Transfer-Encoding in odd case',
      `${post}${host}${auth}${json}TRANSFER-encoding: Chunked\r\n\r\n${chunks}`,
    ],
    ['chunk sizes in odd form', chunkedPost(`A\r\n{"model":"\r\n008\r\ngpt-4o"}\r\n000\r\n\r\n`)],
    [
      'a body that comes with Expect',
      `${post}${host}${auth}${json}Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n{}`,
    ],
  ])('%s', async (_what, bytes) => {
    const seen = upstream.requests.length
    const answer = await ask(gate.port, bytes)
    expect(answer.status, answer.body.toString()).toBe(200)
    expect(upstream.requests.length).toBe(seen + 1)
    expect(upstream.last.header('host')).toBe(`127.0.0.1:${upstream.port}`)
    expect(upstream.last.target.startsWith('/v1/')).toBe(true)
  })

  test('chunk extensions and trailers, which do not reach the upstream', async () => {
    const half = `9;a="b\r\n`.replace('"b', '"b"') + body.slice(0, 9) + '\r\n'
    const rest = `9;x\r\n${body.slice(9)}\r\n0;last\r\nX-Trailer: strange\r\nAuthorization: strange\r\n\r\n`
    const answer = await ask(gate.port, chunkedPost(half + rest))
    expect(answer.status, answer.body.toString()).toBe(200)
    expect(upstream.last.body.toString()).toBe(body)
    expect(upstream.last.raw.toString('latin1')).not.toContain('strange')
    expect(upstream.last.raw.toString('latin1')).not.toContain('last')
  })

  test('requests sent without waiting, one after the other and in order', async () => {
    const peer = await dial(gate.port)
    const paths = Array.from({ length: 20 }, (_, index) => `/v1/models/m${index}`)
    upstream.script = (seen, to) => to.write(reply(200, JSON.stringify({ target: seen.target })))
    await peer.write(Buffer.concat(paths.map((path) => request('GET', path))))
    for (const path of paths) expect((await readReply(peer)).json()).toEqual({ target: path })
    upstream.script = fine
    peer.close()
  })

  test('a good request, then nothing behind the first bad one', async () => {
    const peer = await dial(gate.port)
    const seen = upstream.requests.length
    await peer.write(`${good}${get}Host: a/#\r\n${auth}\r\n${good}${good}`)
    expect((await readReply(peer)).status).toBe(200)
    expect((await readReply(peer)).status).toBe(400)
    await peer.untilEnded()
    expect(peer.text).toBe('')
    expect(upstream.requests.length).toBe(seen + 1)
    peer.close()
  })
})

describe('bytes of a body', () => {
  test('are never read as a request, not even when the request is refused', async () => {
    const seen = upstream.requests.length
    const hidden = good
    for (const bytes of [
      `POST /v1/files HTTP/1.1\r\n${host}Content-Type: application/octet-stream\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
      `POST /nowhere HTTP/1.1\r\n${host}${auth}Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
      `POST /v1/files HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
      `GET /v1/models HTTP/1.1\r\n${host}Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
      `POST /nowhere HTTP/1.1\r\n${host}${auth}Expect: 100-continue\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    ]) {
      const peer = await dial(gate.port)
      await peer.write(bytes)
      const answer = await readReply(peer)
      expect([401, 404]).toContain(answer.status)
      await Promise.race([peer.untilEnded(), Bun.sleep(50)])
      expect(peer.text).toBe('')
      peer.close()
    }
    expect(upstream.requests.length).toBe(seen)
  })

  test('come only when asked for, where the client waits to be asked', async () => {
    const peer = await dial(gate.port)
    await peer.write(
      `${post}${host}${auth}${json}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    await peer.untilText('HTTP/1.1 100 Continue\r\n\r\n')
    await peer.write(body)
    expect((await readReply(peer)).status).toBe(200)
    peer.close()
    const stranger = await dial(gate.port)
    await stranger.write(
      `${post}${host}${json}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    const answer = await readReply(stranger)
    expect(answer.status).toBe(401)
    expect(answer.header('connection')).toBe('close')
    stranger.close()
  })
})

describe('server.publicHosts', () => {
  test('names the only hosts that are served', async () => {
    const narrow = await startGate({
      upstreams: [upstreamAt(upstream.url)],
      server: { publicHosts: ['api.example.com', '[::1]'] },
    })
    const status = async (name: string) =>
      (await ask(narrow.port, `${get}Host: ${name}\r\n${auth}\r\n`)).status
    for (const name of ['api.example.com', 'API.Example.com:8443', '[::1]:80'])
      expect([name, await status(name)]).toEqual([name, 200])
    const seen = upstream.requests.length
    for (const name of [
      'example.com',
      'api.example.com.',
      'xapi.example.com',
      'api.example.com.evil.test',
      '127.0.0.1',
      'localhost',
    ]) {
      expect([name, await status(name)]).toEqual([name, 421])
    }
    expect(upstream.requests.length).toBe(seen)
  })
})
