import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import fc from 'fast-check'
import { RequestParser } from './parse.ts'
import type { RequestHead } from './parse.ts'
import { startSandbox } from './sandbox.ts'
import type { Sandbox } from './sandbox.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox({ keys: ['sk-right'], recordsMax: 20 })
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.reset())

function raw(text: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = ''
    const socket = connect(sandbox.port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (piece: Buffer) => (seen += piece.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve(seen))
  })
}

const bodyOf = (seen: string) => seen.slice(seen.indexOf('\r\n\r\n') + 4)

test('echo shows target, headers and body as they came', async () => {
  const seen = await raw(
    'PATCH /v1/echo/a/../b%2Fc?x=1&x=2 HTTP/1.1\r\nHost: Here\r\nX-CaSe: One\r\nx-case: two\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n',
  )
  expect(JSON.parse(bodyOf(seen))).toMatchObject({
    method: 'PATCH',
    target: '/v1/echo/a/../b%2Fc?x=1&x=2',
    headers: [
      ['Host', 'Here'],
      ['X-CaSe', 'One'],
      ['x-case', 'two'],
      ['Connection', 'close'],
      ['Transfer-Encoding', 'chunked'],
    ],
    body: { length: 5, sha256: createHash('sha256').update('abcde').digest('hex'), text: 'abcde' },
  })
})

test('echo gives the very bytes back', async () => {
  const bytes = new Uint8Array(300_000).map((_, i) => (i * 7919) & 255)
  const response = await fetch(`${sandbox.url}/echo/raw`, {
    method: 'POST',
    body: bytes,
    headers: { 'content-type': 'x/y' },
  })
  expect(response.headers.get('content-type')).toBe('x/y')
  expect(Buffer.from(await response.arrayBuffer()).equals(Buffer.from(bytes))).toBe(true)
})

test('requests on one connection are answered in turn, also when they come at once', async () => {
  const one = (n: number, close: string) => `GET /v1/echo/${n} HTTP/1.1\r\nHost: x\r\n${close}\r\n`
  const seen = await raw(one(1, '') + one(2, '') + one(3, 'Connection: close\r\n'))
  expect([...seen.matchAll(/"target": "\/v1\/echo\/(\d)"/g)].map((match) => match[1])).toEqual([
    '1',
    '2',
    '3',
  ])
})

test('Expect: 100-continue, HTTP/1.0, HEAD', async () => {
  const expecting = await raw(
    'POST /v1/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\na',
  )
  expect(expecting).toStartWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK')
  expect(await raw('GET /v1/echo HTTP/1.0\r\n\r\n')).toContain('connection: close')
  const head = await raw('HEAD /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  expect(head).toMatch(/content-length: \d+/)
  expect(bodyOf(head)).toBe('')
})

const malformed: [name: string, text: string][] = [
  [
    'length and chunks',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n'],
  ['a length with a sign', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n'],
  ['another coding', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n'],
  ['a folded line', 'GET / HTTP/1.1\r\nHost: x\r\n more\r\n\r\n'],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
  ['a bare LF', 'GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n'],
  ['another version', 'GET / HTTP/2.0\r\nHost: x\r\n\r\n'],
  [
    'a bad chunk size',
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n',
  ],
  [
    'no CRLF after a chunk',
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n',
  ],
]
test.each(malformed)('refused as malformed: %s', async (_name, text) => {
  expect(await raw(text)).toStartWith('HTTP/1.1 400 Bad Request')
})

test('a request reads the same however its bytes are cut', () => {
  const text =
    'POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab\r\n\r\n3\r\ncde\r\n0\r\nT: 1\r\n\r\n' +
    'PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyzGET /c HTTP/1.1\r\nHost: x\r\n\r\n'
  const bytes = Buffer.from(text)
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const seen: string[] = []
      let body = ''
      const parser: RequestParser = new RequestParser({
        head: (head: RequestHead) => seen.push(`${head.method} ${head.target}`),
        body: (piece) => (body += Buffer.from(piece).toString()),
        end: () => {
          seen.push(body)
          body = ''
          queueMicrotask(() => parser.next())
        },
        bad: (reason) => seen.push(reason),
      })
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      for (let i = 1; i < at.length; i++) {
        parser.push(bytes.subarray(at[i - 1], at[i]))
        parser.next()
      }
      for (let i = 0; i < 3; i++) parser.next()
      expect(seen).toEqual(['POST /a', 'ab\r\ncde', 'PUT /b', 'xyz', 'GET /c', ''])
    }),
    { numRuns: 300 },
  )
})

test('keys: none, wrong, right; unknown URLs', async () => {
  const get = (path: string, key?: string) =>
    fetch(`${sandbox.url}${path}`, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })
  const [none, wrong, right] = [
    await get('/models'),
    await get('/models', 'sk-wrong-key-1234'),
    await get('/models', 'sk-right'),
  ]
  expect([none.status, wrong.status, right.status]).toEqual([401, 401, 200])
  expect(((await none.json()) as any).error.message).toContain("You didn't provide an API key")
  const { error } = (await wrong.json()) as any
  expect(error).toMatchObject({
    code: 'invalid_api_key',
    message: expect.stringContaining('sk-**********1234'),
  })
  const unknown = await get('/nothing/here?x=1', 'sk-right')
  expect(unknown.status).toBe(404)
  expect(((await unknown.json()) as any).error.message).toContain(
    'Unknown request URL: GET /v1/nothing/here?x=1',
  )
  const names = [
    'x-request-id',
    'openai-version',
    'openai-organization',
    'openai-processing-ms',
    'x-ratelimit-remaining-tokens',
  ]
  expect(names.filter((name) => unknown.headers.get(name) === null)).toEqual([])
})

test('requests and books are kept, the oldest dropped', async () => {
  for (let i = 0; i < 25; i++) await fetch(`${sandbox.url}/echo/${i}`)
  expect(sandbox.requests).toHaveLength(20)
  expect(sandbox.books()).toHaveLength(20)
  expect(sandbox.requests.at(-1)).toMatchObject({ path: '/v1/echo/24', id: sandbox.books().at(-1)!.id })
})

test('two sandboxes of one seed give the same identifiers', async () => {
  const other = await startSandbox({ seed: 1 })
  const same = await startSandbox({ seed: 1 })
  const different = await startSandbox({ seed: 2 })
  const id = async (url: string) => {
    const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] })
    const response = await fetch(`${url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer k' },
      body,
    })
    return ((await response.json()) as { id: string }).id
  }
  const [a, b, c] = [await id(other.url), await id(same.url), await id(different.url)]
  expect(a).toBe(b)
  expect(a).not.toBe(c)
  await Promise.all([other.close(), same.close(), different.close()])
})

test('a client that leaves in mid-stream is booked as aborted, with what it had', async () => {
  sandbox.setLatency({ chunkDelayMs: 10 })
  const controller = new AbortController()
  const response = await fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    signal: controller.signal,
    headers: { authorization: 'Bearer sk-right' },
    body: JSON.stringify({
      model: 'sandbox-tokens-5000',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    }),
  })
  await response.body!.getReader().read()
  controller.abort()
  const deadline = Date.now() + 5000
  while (sandbox.books().at(-1)!.ended === 'open' && Date.now() < deadline) await Bun.sleep(5)
  const row = sandbox.books().at(-1)!
  expect(row).toMatchObject({ ended: 'aborted', usageSent: false, usage: { output: 5000 } })
  expect(row.outputSent).toBeLessThan(4000)
  expect(row.endedAtMs).toBeGreaterThanOrEqual(row.startedAtMs)
})

test('a reader that does not read holds the stream back', async () => {
  const body = JSON.stringify({
    model: 'sandbox-tokens-200000',
    stream: true,
    messages: [{ role: 'user', content: 'x' }],
  })
  const socket = connect(sandbox.port, '127.0.0.1')
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-right\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  socket.pause()
  let before = -1
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    await Bun.sleep(100)
    const sent = sandbox.books().at(-1)?.framesSent ?? 0
    if (sent > 0 && sent === before) break
    before = sent
  }
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(200_000)
  socket.destroy()
})

test('closing cuts what is open and frees the port', async () => {
  const own = await startSandbox()
  const waiting = fetch(`${own.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer k' },
    body: JSON.stringify({ model: 'fault-silence', messages: [] }),
  }).then(
    () => 'answered',
    () => 'cut',
  )
  while (own.books().length === 0) await Bun.sleep(5)
  await own.close()
  expect(await waiting).toBe('cut')
  expect(own.books()[0]!.ended).toBe('closed')
  const again = await startSandbox({ port: own.port })
  const refused = await startSandbox({ port: own.port }).then(
    () => null,
    (cause: unknown) => cause,
  )
  expect(refused).toMatchObject({ code: 'EADDRINUSE' })
  await again.close()
})
