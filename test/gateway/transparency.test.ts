// Promise: bytes that nobody asked to change are passed on unchanged, both ways; what belongs to one hop, to one account
// or to one credential goes no further than that. An application cannot tell that there is a gate, but for the fields
// that the gate adds.

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  access,
  ask,
  clientKey,
  eventually,
  promiseTests,
  request,
  served,
  startGate,
  upstreamAt,
  upstreamKey,
} from './harness.ts'
import { field, readHead, readReply } from './message.ts'
import { dial, type Peer } from './peer.ts'
import { chunk, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const account = { organization: 'org-of-the-operator', project: 'proj_of_the_operator' }
const gate = await startGate({ upstreams: [upstreamAt(upstream.url, account)] })

/** Field lines that the upstream must see besides the client's: its own host, its key, its account, framing. */
const ours = /^(?:host|authorization|openai-organization|openai-project|content-length|transfer-encoding):/i
/** Field lines that a client sees besides the upstream's. */
const added =
  /^(?:x-headgate-(?:id|upstream|attempts)|x-cache-status|x-request-id|date|content-length|transfer-encoding|connection):/i

async function sent(bytes: Uint8Array, method = 'GET') {
  const count = upstream.requests.length
  const answer = await ask(gate.port, bytes, method)
  return { answer, seen: upstream.requests[count]! }
}

describe('a request reaches the upstream as it was sent', () => {
  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'with the method %s',
    async (method) => {
      upstream.script = (seen, peer) =>
        peer.write(
          seen.method === 'HEAD' ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : reply(200, 'hello'),
        )
      const { answer, seen } = await sent(request(method, '/v1/some/future/endpoint?x=1'), method)
      expect({ method: seen.method, target: seen.target }).toEqual({
        method,
        target: '/v1/some/future/endpoint?x=1',
      })
      expect({ status: answer.status, length: answer.header('content-length') }).toEqual({
        status: 200,
        length: '5',
      })
      expect(answer.body.toString()).toBe(method === 'HEAD' ? '' : 'hello')
      upstream.script = fine
    },
  )

  test.each([
    '/v1/files?limit=2&order=desc&after=file-abc',
    '/v1/models?',
    '/v1/models?a=1&a=2&&=&b',
    '/v1/models?q=%E2%82%AC%20+%2b%00&r=..//..',
    `/v1/models?${'x'.repeat(20_000)}`,
    '/v1/models/ft:gpt-4o-mini:my-org::abc123',
    '/v1/models/org%2Fmodel',
    '/v1/evals/eval_1/runs/run_2/output_items/item_3',
    "/v1/some-new-api/with_odd.names~and$signs/!'()*,=:@&+",
  ])('with the target %s', async (target) => {
    expect((await sent(request('GET', target))).seen.target).toBe(target)
  })

  test("with the base URL's path in place of /v1", async () => {
    const elsewhere = await startGate({
      upstreams: [upstreamAt(upstream.url.replace('/v1', '/openai/v1beta/'))],
    })
    await ask(elsewhere.port, request('GET', '/v1/models?x=/v1/'))
    expect(upstream.last.target).toBe('/openai/v1beta/models?x=/v1/')
  })

  test('with its header lines in their order, case and bytes', async () => {
    const lines = [
      'User-Agent: OpenAI/Python 1.99.9',
      'x-stainless-lang: python',
      'X-Stainless-LANG: again',
      'Accept: application/json',
      'accept:text/event-stream',
      'X-Odd:\t  two  spaces  ',
      'X-Empty:',
      'X-Latin: caf\xe9 \xff\x80',
      'OpenAI-Beta: assistants=v2',
      'Idempotency-Key: 0f1e',
      'If-None-Match: "abc"',
      'Range: bytes=0-9',
      'Content-Language: de',
    ]
    const { seen } = await sent(request('GET', '/v1/files/file-1/content', { lines }))
    expect(seen.lines.filter((line) => !ours.test(line))).toEqual(lines)
  })

  const tokens = fc.string({
    unit: fc.constantFrom(..."!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"),
    minLength: 1,
    maxLength: 20,
  })
  const visible = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).filter((char) =>
    /[\x21-\x7e\x80-\xff]/.test(char),
  )
  const values = fc.string({ unit: fc.constantFrom(' ', '\t', ...visible), maxLength: 60 })
  const lines = fc.array(
    fc
      .tuple(
        tokens.map((name) => `X-${name}`),
        values,
      )
      .map(([name, value]) => `${name}:${value}`),
    { maxLength: 30 },
  )
  const plain = (all: readonly string[]) =>
    all.filter(
      (line) =>
        !/^x-(?:headgate-|forwarded-|api-key:|real-ip:|no-cache:|request-id:|cache-status:)/i.test(line),
    )

  test('with any header lines', async () => {
    await fc.assert(
      fc.asyncProperty(lines, async (all) => {
        const { answer, seen } = await sent(request('GET', '/v1/models', { lines: plain(all) }))
        expect(answer.status).toBe(200)
        expect(seen.lines.filter((line) => !ours.test(line))).toEqual(plain(all))
      }),
      { numRuns: 300 },
    )
  })

  test("and any answer's header lines reach the client", async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 200, max: 299 }), async (all, status) => {
        const some = plain(all)
        upstream.script = (_seen, peer) =>
          peer.write(
            Buffer.from(
              `HTTP/1.1 ${status} Any\r\n${some.map((line) => `${line}\r\n`).join('')}Content-Length: 0\r\n\r\n`,
              'latin1',
            ),
          )
        const { answer } = await sent(request('GET', '/v1/models'))
        expect(answer.status).toBe(status)
        expect(answer.lines.filter((line) => !added.test(line))).toEqual(some)
      }),
      { numRuns: 300 },
    )
    upstream.script = fine
  })

  const everyByte = Buffer.from(Array.from({ length: 1024 }, (_, index) => index & 255))
  const boundary = '----b0undary'
  const form = Buffer.concat([
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a b\u00e9.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`,
    ),
    everyByte,
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--${boundary}--\r\n`,
    ),
  ])

  test.each<[what: string, path: string, type: string, body: Uint8Array]>([
    ['a form', '/v1/files', `multipart/form-data; boundary=${boundary}`, form],
    ['a transcription', '/v1/audio/transcriptions', `multipart/form-data; boundary=${boundary}`, form],
    ['bytes to an unknown path', '/v1/some/future/endpoint', 'application/octet-stream', everyByte],
    ['SDP', '/v1/realtime/calls', 'application/sdp', Buffer.from('v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n')],
    [
      'JSON with odd spaces, numbers and names',
      '/v1/chat/completions',
      'application/json',
      Buffer.from(
        ' {\n"model" :"gpt-4o", "a":1.0e+02,"a":12345678901234567890, "\\u0062":"\\ud800", "__proto__":{} }\r\n',
      ),
    ],
    [
      'JSON with a byte order mark',
      '/v1/chat/completions',
      'application/json',
      Buffer.from('\ufeff{"model":"gpt-4o"}'),
    ],
    ['JSON that is none', '/v1/chat/completions', 'application/json', Buffer.from('{"model":')],
    ['bytes where JSON is expected', '/v1/embeddings', 'application/json', everyByte],
    [
      'JSON of 2 MB',
      '/v1/embeddings',
      'application/json',
      Buffer.from(JSON.stringify({ model: 'm', input: 'x'.repeat(2_000_000) })),
    ],
    ['an empty body', '/v1/chat/completions', 'application/json', Buffer.alloc(0)],
    ['a body with DELETE', '/v1/vector_stores/vs_1', 'application/json', Buffer.from('{}')],
  ])('with its body: %s', async (_what, path, type, body) => {
    const lines = [`Content-Type: ${type}`]
    const method = path.includes('vs_1') ? 'DELETE' : 'POST'
    const whole = await sent(request(method, path, { lines, body }))
    expect(whole.answer.status, whole.answer.body.toString()).toBe(200)
    expect(whole.seen.body.equals(Buffer.from(body))).toBe(true)
    expect(whole.seen.headers('content-length')).toEqual([String(body.length)])
    expect(whole.seen.header('transfer-encoding')).toBeNull()
    expect(whole.seen.headers('content-type')).toEqual([type])
    const chunks =
      body.length === 0
        ? lastChunk
        : Buffer.concat(
            [chunk(body.subarray(0, 7)), chunk(body.subarray(7)), Buffer.from(lastChunk)].filter(
              (piece) => !piece.toString('latin1').startsWith('0\r\n\r\n\r'),
            ),
          )
    const head = request(method, path, { lines: [...lines, 'Transfer-Encoding: chunked'] })
    const pieces = await sent(Buffer.concat([head, Buffer.from(chunks)]))
    expect(pieces.answer.status, pieces.answer.body.toString()).toBe(200)
    expect(pieces.seen.body.equals(Buffer.from(body))).toBe(true)
    // One framing, and it is true.
    expect(
      [pieces.seen.header('transfer-encoding'), pieces.seen.header('content-length')].filter(
        (each) => each !== null,
      ).length,
    ).toBe(1)
  })
})

describe('an answer reaches the client as it was sent', () => {
  test('with what the upstream says of itself', async () => {
    const lines = [
      'Date: Sun, 06 Nov 1994 08:49:37 GMT',
      'Content-Type: application/json',
      'x-request-id: req_abc',
      'OpenAI-Processing-Ms: 123',
      'openai-version: 2020-10-01',
      'x-ratelimit-limit-requests: 10000',
      'x-ratelimit-remaining-tokens: 149999',
      'X-RateLimit-Reset-Requests: 6ms',
      'retry-after: 20',
      'retry-after-ms: 20000',
      'ETag: "x"',
      'Cache-Control: no-store',
      'Vary: Origin',
      'Server: cloudflare',
      'CF-RAY: 8f-FRA',
      'Content-Encoding: identity',
      'X-Latin: \xe9',
    ]
    upstream.script = (_seen, peer) =>
      peer.write(
        reply(
          429,
          '{"error":{"message":"Rate limit","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
          lines,
        ),
      )
    const { answer } = await sent(request('GET', '/v1/models'))
    expect(answer.status).toBe(429)
    expect(answer.lines.filter((line) => lines.includes(line))).toEqual(lines)
    expect(answer.lines.filter((line) => /^date:/i.test(line)).length).toBe(1)
    expect(answer.header('x-request-id')).toBe('req_abc')
    expect(answer.json().error.code).toBe('rate_limit_exceeded')
    expect(answer.header('x-headgate-upstream')).toBe('main')
    upstream.script = fine
  })

  test('with a request id of ours where it has none', async () => {
    const { answer } = await sent(request('GET', '/v1/models'))
    expect(answer.header('x-request-id')).toBe(answer.header('x-headgate-id'))
  })

  const everyByte = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7) & 255))
  const typed = (head: string, body: Uint8Array) =>
    Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\n`), body])

  test.each<[what: string, bytes: Uint8Array, length: string | null]>([
    ['a length', typed('Content-Type: audio/mpeg\r\nContent-Length: 4096\r\n', everyByte), '4096'],
    [
      'chunks',
      typed(
        'Content-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n',
        Buffer.concat([
          chunk(everyByte.subarray(0, 1000)),
          chunk(everyByte.subarray(1000)),
          Buffer.from(lastChunk),
        ]),
      ),
      null,
    ],
    ['the end of the connection', typed('Content-Type: audio/mpeg\r\n', everyByte), null],
    [
      'HTTP/1.0',
      Buffer.from(
        typed('Content-Type: audio/mpeg\r\n', everyByte).toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'),
        'latin1',
      ),
      null,
    ],
    [
      'a 103 before it',
      Buffer.concat([
        Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'),
        typed('Content-Length: 4096\r\n', everyByte),
      ]),
      '4096',
    ],
    [
      'a trailer',
      typed(
        'Transfer-Encoding: chunked\r\n',
        Buffer.concat([chunk(everyByte), Buffer.from('0\r\nX-Trailer: strange\r\n\r\n')]),
      ),
      null,
    ],
  ])('with its body, framed by %s', async (_what, bytes, length) => {
    upstream.script = async (_seen, peer) => {
      await peer.write(bytes)
      if (!/Content-Length|chunked/.test(Buffer.from(bytes).toString('latin1', 0, 200))) peer.close()
    }
    const { answer } = await sent(request('POST', '/v1/audio/speech', { body: '{}' }))
    expect({ complete: answer.complete, same: answer.body.equals(everyByte) }).toEqual({
      complete: true,
      same: true,
    })
    expect(answer.header('content-length')).toBe(length)
    expect(answer.header('x-trailer')).toBeNull()
    upstream.script = fine
  })

  test.each([204, 205, 304])('with status %d and no body', async (status) => {
    upstream.script = (_seen, peer) =>
      peer.write(
        `HTTP/1.1 ${status} None\r\nETag: "x"\r\n${status === 205 ? 'Content-Length: 0\r\n' : ''}\r\n`,
      )
    const peer = await dial(gate.port)
    await peer.write(request('GET', '/v1/models'))
    const answer = await readReply(peer)
    expect({ status: answer.status, etag: answer.header('etag') }).toEqual({ status, etag: '"x"' })
    expect(answer.header('transfer-encoding')).toBeNull()
    // Nothing of a body is left on the connection.
    upstream.script = fine
    await peer.write(request('GET', '/v1/models'))
    expect((await readReply(peer)).status).toBe(200)
    peer.close()
  })

  test.each([200, 404])('to HEAD, with the length that GET would have (%d)', async (status) => {
    upstream.script = (_seen, peer) =>
      peer.write(`HTTP/1.1 ${status} OK\r\nContent-Type: application/json\r\nContent-Length: 12345\r\n\r\n`)
    const { answer } = await sent(request('HEAD', '/v1/files/file-1/content'), 'HEAD')
    expect({ status: answer.status, length: answer.header('content-length') }).toEqual({
      status,
      length: '12345',
    })
    upstream.script = fine
  })

  test('to HTTP/1.0 without chunks', async () => {
    upstream.script = (_seen, peer) =>
      peer.write(
        Buffer.concat([
          Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
          chunk('abc'),
          Buffer.from(lastChunk),
        ]),
      )
    const { answer } = await sent(
      Buffer.from(request('GET', '/v1/models').toString().replace('HTTP/1.1', 'HTTP/1.0')),
    )
    expect({ body: answer.body.toString(), coding: answer.header('transfer-encoding') }).toEqual({
      body: 'abc',
      coding: null,
    })
    expect(answer.header('connection')).toBe('close')
    upstream.script = fine
  })
})

describe('what goes no further', () => {
  test.each([
    'Cookie: session=strange', 'Cookie2: strange', 'Proxy-Authorization: Basic strange', 'Proxy-Connection: strange', 'Keep-Alive: timeout=5, strange=1',
    'TE: trailers, strange', 'Trailer: strange', 'Forwarded: for=strange', 'X-Forwarded-For: strange', 'X-Forwarded-Host: strange', 'X-Forwarded-Proto: strange',
    'X-Forwarded-Anything: strange', 'Via: 1.1 strange', 'X-Real-IP: strange', 'Accept-Encoding: gzip, strange', 'x-headgate-cache-ttl: strange', 'X-Headgate-User: strange',
    'X-HTTP-Method-Override: strange', 'X-Http-Method: strange', 'X-Method-Override: strange', 'X-Original-URL: /strange', 'X-Rewrite-Url: /strange', 'x_original_url: /strange',
    'X-HEADGATE-METADATA: {"a":"strange"}', 'OpenAI-Organization: strange', 'openai-project: strange', 'x-no-cache: strange', 'HTTP2-Settings: strange', 'X-Goog-Api-Key: strange',
  ])('of the client: %s', async (line) => {
    const { seen } = await sent(request('GET', '/v1/models', { lines: ['X-Before: 1', line, 'X-After: 2'] }))
    expect(seen.raw.toString('latin1').toLowerCase()).not.toContain('strange')
    expect(seen.lines).toContain('X-Before: 1')
    expect(seen.lines).toContain('X-After: 2')
  }) // prettier-ignore

  test('of the client: its host, its credential in any form, and what Connection names', async () => {
    const forms = [
      { key: clientKey, lines: [] },
      { key: null, lines: [`x-api-key: ${clientKey}`] },
      { key: null, lines: [`API-Key: ${clientKey}`] },
    ]
    for (const { key, lines } of forms) {
      const { seen } = await sent(
        request('GET', '/v1/models', {
          key,
          lines: [
            ...lines,
            'Connection: keep-alive, X-Hop',
            'connection: X-Other',
            'X-Hop: strange',
            'X-Other: strange',
            'X-Kept: 1',
          ],
        }),
      )
      const raw = seen.raw.toString('latin1')
      for (const text of [clientKey, 'gate.test', 'strange', 'X-Hop', 'X-Other'])
        expect(raw).not.toContain(text)
      expect(seen.lines).toContain('X-Kept: 1')
      expect(seen.headers('authorization')).toEqual([`Bearer ${upstreamKey}`])
      expect(seen.headers('host')).toEqual([`127.0.0.1:${upstream.port}`])
      expect(seen.headers('openai-organization')).toEqual(['org-of-the-operator'])
      expect(seen.headers('openai-project')).toEqual(['proj_of_the_operator'])
    }
  })

  test.each(['host', 'authorization', 'content-length', 'content-type', 'x-kept'])(
    'of the client: not what is needed, though Connection names it (%s)',
    async (name) => {
      const bytes = request('POST', '/v1/chat/completions', {
        lines: [`Connection: ${name}`, 'X-Kept: 1', 'Content-Type: application/json'],
        body: '{}',
      })
      const { answer, seen } = await sent(bytes)
      if (answer.status === 400) return expect(seen).toBeUndefined()
      expect(seen.headers('host')).toEqual([`127.0.0.1:${upstream.port}`])
      expect(seen.headers('authorization')).toEqual([`Bearer ${upstreamKey}`])
      expect(seen.headers('content-length')).toEqual(['2'])
      expect(seen.body.toString()).toBe('{}')
    },
  )

  test.each([
    'Set-Cookie: __cf_bm=strange; HttpOnly', 'Set-Cookie2: strange', 'openai-organization: strange', 'OpenAI-Project: strange', 'Proxy-Authenticate: strange', 'Keep-Alive: strange',
    'Proxy-Connection: strange', 'Trailer: strange', 'TE: strange', 'Alt-Svc: h3=":443"; strange', 'Strict-Transport-Security: max-age=1; strange', 'x-headgate-id: strange',
    'x-headgate-upstream: strange', 'X-Headgate-Attempts: strange', 'X-Cache-Status: strange', 'Location: https://strange.test/', 'WWW-Authenticate: strange', 'NEL: strange',
    'Report-To: strange', 'X-Headgate-Anything: strange', `X-Debug: ${upstreamKey} strange`, `X-Debug: Bearer ${upstreamKey} strange`, `X-${upstreamKey}: strange`,
  ])('of the upstream: %s', async (line) => {
    upstream.script = (_seen, peer) => peer.write(reply(200, '{}', ['X-Before: 1', line, 'X-After: 2']))
    const { answer } = await sent(request('GET', '/v1/models'))
    expect(answer.lines.join('\n').toLowerCase()).not.toContain('strange')
    expect(answer.lines.join('\n')).not.toContain(upstreamKey)
    expect(answer.lines).toContain('X-Before: 1')
    expect(answer.lines).toContain('X-After: 2')
    upstream.script = fine
  }) // prettier-ignore

  test('of the upstream: what its Connection names, and whether it closes', async () => {
    upstream.script = async (_seen, peer) => {
      await peer.write(reply(200, '{}', ['Connection: close, X-Hop', 'X-Hop: strange', 'X-Kept: 1']))
      peer.close()
    }
    const peer = await dial(gate.port)
    for (let round = 0; round < 2; round++) {
      await peer.write(request('GET', '/v1/models'))
      const answer = await readReply(peer)
      expect(answer.lines.join('\n')).not.toContain('strange')
      expect(answer.lines).toContain('X-Kept: 1')
      expect(answer.header('connection')).toBeNull()
    }
    peer.close()
    upstream.script = fine
  })
})

describe('400 MB in flat memory', () => {
  const bytes = 400 * 1024 * 1024
  const piece = Buffer.alloc(256 * 1024, 'u')
  const growthMax = 120 * 1024 * 1024

  /** Highest memory of the process while something runs. */
  async function growth(rss: () => number, run: () => Promise<void>): Promise<number> {
    const before = rss()
    let most = before
    const timer = setInterval(() => (most = Math.max(most, rss())), 20)
    await run()
    clearInterval(timer)
    return Math.max(most, rss()) - before
  }

  async function pour(peer: Peer, framing: 'length' | 'chunks'): Promise<void> {
    const unit = framing === 'length' ? piece : chunk(piece)
    for (let done = 0; done < bytes; done += piece.length) await peer.write(unit)
    if (framing === 'chunks') await peer.write(lastChunk)
  }

  test.each(['length', 'chunks'] as const)('up, with %s', async (framing) => {
    const far = ScriptedUpstream.start(
      async (seen, peer) => {
        peer.discard = true
        const start = peer.receivedBytes - peer.received.length
        peer.received = Buffer.alloc(0)
        const enough = bytes + (framing === 'length' ? 0 : 1)
        await peer.until(() => peer.receivedBytes - start >= enough, 'the upload', 60_000)
        peer.discard = false
        await peer.write(reply(200, JSON.stringify({ length: seen.header('content-length') })))
        peer.close()
      },
      { atHead: true },
    )
    const own = await served({ tree: { upstreams: [upstreamAt(far.url)], access } })
    await ask(own.port, request('GET', '/v1'))
    const peer = await dial(own.port)
    let answer: any
    const grown = await growth(own.rssBytes, async () => {
      const lines = [
        'Content-Type: multipart/form-data; boundary=b',
        framing === 'length' ? `Content-Length: ${bytes}` : 'Transfer-Encoding: chunked',
      ]
      await peer.write(request('POST', '/v1/files', { lines }))
      await pour(peer, framing)
      answer = (await readReply(peer)).json()
    })
    expect(answer).toEqual({ length: framing === 'length' ? String(bytes) : null })
    expect(grown).toBeLessThan(growthMax)
    peer.close()
    far.stop()
  })

  test.each(['length', 'chunks'] as const)('down, with %s', async (framing) => {
    const far = ScriptedUpstream.start(async (_seen, peer) => {
      await peer.write(
        `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n${framing === 'length' ? `Content-Length: ${bytes}` : 'Transfer-Encoding: chunked'}\r\n\r\n`,
      )
      await pour(peer, framing)
    })
    const own = await served({ tree: { upstreams: [upstreamAt(far.url)], access } })
    await ask(own.port, request('GET', '/v1'))
    const peer = await dial(own.port)
    const grown = await growth(own.rssBytes, async () => {
      await peer.write(request('GET', '/v1/files/file-1/content'))
      const head = await peer.until(() => readHead(peer.received), 'the head')
      expect(field(head.lines, 'content-length')).toBe(framing === 'length' ? String(bytes) : null)
      peer.discard = true
      peer.received = Buffer.alloc(0)
      await peer.until(() => peer.receivedBytes >= bytes + head.length, 'the download', 60_000)
    })
    expect(grown).toBeLessThan(growthMax)
    peer.close()
    await eventually(() => far.open === 0 || own.lines().length === 2, 'the exchange to end')
    far.stop()
  })
})
