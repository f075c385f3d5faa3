// Promise: nobody can make the gate hold more, wait longer or keep more connections than the configuration says. What is
// over a limit is told so where it can still be told, and what it held is given back.

import { describe, expect, test } from 'bun:test'
import { startTiming } from '../running-time.ts'
import {
  ask,
  clientKey,
  eventually,
  jsonBody,
  promiseTests,
  request,
  served,
  startGate,
  upstreamAt,
} from './harness.ts'
import { readReply } from './message.ts'
import { dial, type Peer } from './peer.ts'
import { chunk, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const upstreams = [upstreamAt(upstream.url)]
const limits = { jsonBodyBytes: '64KB', uploadBytes: '256KB', connectionsPerAddress: 1000 }
const gate = await startGate({ upstreams, server: { limits } })
const json = 'Content-Type: application/json'
const form = 'Content-Type: multipart/form-data; boundary=b'

const KB = 1024

describe('the size of a body', () => {
  const kinds = [
    ['JSON', '/v1/chat/completions', json, 64 * KB],
    ['an upload', '/v1/files', form, 256 * KB],
    [
      'bytes to an unknown path',
      '/v1/some/future/endpoint',
      'Content-Type: application/octet-stream',
      256 * KB,
    ],
    ['JSON to an unknown path', '/v1/some/future/endpoint', json, 256 * KB],
  ] as const

  for (const [what, path, type, most] of kinds) {
    test(`${what}: up to the limit it passes, with a length and in chunks`, async () => {
      for (const size of [most - 1, most]) {
        const body = Buffer.alloc(size, 'x')
        expect((await ask(gate.port, request('POST', path, { lines: [type], body }))).status).toBe(200)
        expect(upstream.last.body.length).toBe(size)
        const head = request('POST', path, { lines: [type, 'Transfer-Encoding: chunked'] })
        const pieces = [body.subarray(0, 1), body.subarray(1, 40_000), body.subarray(40_000)].map(chunk)
        expect((await ask(gate.port, Buffer.concat([head, ...pieces, Buffer.from(lastChunk)]))).status).toBe(
          200,
        )
        expect(upstream.last.body.length).toBe(size)
      }
    })

    test(`${what}: one byte more is a 413`, async () => {
      const seen = upstream.requests.length
      const body = Buffer.alloc(most + 1, 'x')
      const whole = await ask(gate.port, request('POST', path, { lines: [type], body }))
      expect({ status: whole.status, connection: whole.header('connection') }).toEqual({
        status: 413,
        connection: 'close',
      })
      expect(whole.json().error).toMatchObject({ code: 'request_too_large', type: 'invalid_request_error' })
      const head = request('POST', path, { lines: [type, 'Transfer-Encoding: chunked'] })
      const chunked = await ask(
        gate.port,
        Buffer.concat([
          head,
          chunk(body.subarray(0, most)),
          chunk(body.subarray(most)),
          Buffer.from(lastChunk),
        ]),
      )
      expect(chunked.status).toBe(413)
      expect(chunked.json().error.code).toBe('request_too_large')
      // Half of an upload may have gone out: never the whole of one.
      expect(upstream.requests.length).toBe(seen)
      await eventually(() => gate.gateway.exchanges === 0, 'the exchanges to end')
    })

    test(`${what}: one that is announced too large is refused before it is sent`, async () => {
      const peer = await dial(gate.port)
      await peer.write(
        request('POST', path, { lines: [type, `Content-Length: ${most + 1}`, 'Expect: 100-continue'] }),
      )
      const answer = await readReply(peer)
      expect(answer.status).toBe(413)
      expect(peer.text).toBe('')
      peer.close()
    })
  }

  test('a client that goes on sending behind a 413 still gets to read it', async () => {
    const peer = await dial(gate.port)
    const body = Buffer.alloc(2 * 1024 * KB, 'x')
    await peer.write(request('POST', '/v1/chat/completions', { lines: [json], body }))
    expect((await readReply(peer)).status).toBe(413)
    peer.close()
  })

  test('a length beyond any number of bytes is refused', async () => {
    for (const length of ['999999999999999', '18446744073709551616']) {
      expect([400, 413]).toContain(
        (await ask(gate.port, request('POST', '/v1/files', { lines: [form, `Content-Length: ${length}`] })))
          .status,
      )
    }
  })

  test('a compressed body where it must be read is a 415', async () => {
    for (const coding of ['gzip', 'br', 'deflate', 'zstd', 'identity, gzip']) {
      const answer = await ask(
        gate.port,
        request('POST', '/v1/chat/completions', {
          lines: [json, `Content-Encoding: ${coding}`],
          body: Bun.gzipSync('{}'),
        }),
      )
      expect(answer.status).toBe(415)
    }
  })
})

describe('time', () => {
  const timeouts = { header: '300ms', idle: '500ms' }
  const quick = startGate({ upstreams, server: { timeouts, limits } })

  test('a head that comes byte by byte ends with a 408', async () => {
    const own = await quick
    const peer = await dial(own.port)
    const bytes = request('GET', '/v1/models')
    for (let at = 0; at < bytes.length && !peer.ended; at++) {
      await peer.write(bytes.subarray(at, at + 1))
      await Bun.sleep(20)
    }
    const answer = await readReply(peer)
    expect({ status: answer.status, connection: answer.header('connection') }).toEqual({
      status: 408,
      connection: 'close',
    })
    expect(answer.json().error.code).toBe('request_timeout')
    await peer.untilEnded()
    peer.close()
    expect(await own.logged((line) => line['status'] === 408)).toMatchObject({ failure: 'request_timeout' })
  })

  test('a head that stops half way too', async () => {
    const peer = await dial((await quick).port)
    await peer.write(request('GET', '/v1/models').subarray(0, 30))
    expect((await readReply(peer)).status).toBe(408)
    peer.close()
  })

  test.each([
    ['a JSON body', '/v1/chat/completions', json],
    ['an upload', '/v1/files', form],
  ])('%s that stops half way too, and its one log line says so', async (_what, path, type) => {
    const own = await quick
    const before = own.lines.length
    for (const framing of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
      const peer = await dial(own.port)
      await peer.write(request('POST', path, { lines: [type, framing] }))
      await peer.write(framing.startsWith('C') ? 'x'.repeat(100) : chunk('x'.repeat(100)))
      const answer = await readReply(peer)
      expect({ framing, status: answer.status }).toEqual({ framing, status: 408 })
      await peer.untilEnded()
      peer.close()
    }
    await eventually(() => own.gateway.exchanges === 0, 'the exchanges to end')
    expect(own.lines.slice(before).map((line) => [line['path'], line['status'], line['failure']])).toEqual([
      [path, 408, 'request_timeout'],
      [path, 408, 'request_timeout'],
    ])
  })

  test('a slow body that keeps coming is let through', async () => {
    const peer = await dial((await quick).port)
    const body = JSON.stringify({ model: 'gpt-4o', messages: [] })
    await peer.write(
      request('POST', '/v1/chat/completions', { lines: [json, `Content-Length: ${body.length}`] }),
    )
    for (const part of body.match(/.{1,6}/g)!) {
      await Bun.sleep(150)
      await peer.write(part)
    }
    expect((await readReply(peer)).status).toBe(200)
    peer.close()
  })

  test('an idle connection is closed without a word', async () => {
    const own = await quick
    const fresh = await dial(own.port)
    const used = await dial(own.port)
    await used.write(request('GET', '/v1/models'))
    await readReply(used)
    await Promise.all([fresh.untilEnded(), used.untilEnded()])
    expect([fresh.text, used.text]).toEqual(['', ''])
    fresh.close()
    used.close()
  })

  test('a long answer is not held against its client', async () => {
    const own = await quick
    upstream.script = async (_seen, peer) => {
      await Bun.sleep(1000)
      await peer.write(reply(200, '{"late":true}'))
    }
    expect((await ask(own.port, request('GET', '/v1/models'))).json()).toEqual({ late: true })
    upstream.script = fine
  })
})

describe('connections from one address', () => {
  test('are counted; one too many is a 503 at once, and one that closes makes room', async () => {
    const own = await startGate({ upstreams, server: { limits: { ...limits, connectionsPerAddress: 5 } } })
    const peers: Peer[] = []
    for (let count = 0; count < 5; count++) peers.push(await dial(own.port))
    for (const peer of peers) {
      await peer.write(request('GET', '/v1/models'))
      expect((await readReply(peer)).status).toBe(200)
    }
    const extra = await dial(own.port)
    const answer = await readReply(extra)
    expect({ status: answer.status, connection: answer.header('connection') }).toEqual({
      status: 503,
      connection: 'close',
    })
    expect(answer.json().error.code).toBe('overloaded')
    extra.close()
    peers.pop()!.close()
    await eventually(
      async () => (await ask(own.port, request('GET', '/v1/models')).catch(() => null))?.status === 200,
      'room for one',
    )
    await peers[0]!.write(request('GET', '/v1/models'))
    expect((await readReply(peers[0]!)).status).toBe(200)
    for (const peer of peers) peer.close()
  })

  test('also count where they are reset before they are looked at', async () => {
    const own = await startGate({ upstreams, server: { limits: { ...limits, connectionsPerAddress: 5 } } })
    for (let count = 0; count < 200; count++) (await dial(own.port)).reset()
    await eventually(() => own.gateway.addresses.proxy[0]!.counts().open === 0, 'the connections to be gone')
    expect((await ask(own.port, request('GET', '/v1/models'))).status).toBe(200)
  })
})

test('100 clients that read nothing cost little memory, and the others are served', async () => {
  const far = ScriptedUpstream.start(async (seen, peer) => {
    if (seen.target === '/v1/models') return peer.write(reply(200, '{"ok":true}'))
    await peer.write(
      'HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    const piece = chunk(Buffer.alloc(64 * KB, 'x'))
    // Far more than what kernels hold on the way.
    for (let count = 0; count < 1600 && !peer.closed; count++) await peer.write(piece)
  })
  const own = await served({ tree: { upstreams: [upstreamAt(far.url)] } })
  expect((await ask(own.port, request('GET', '/v1/models'))).status).toBe(200)
  const before = own.rssBytes()
  const peers = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const peer = await dial(own.port)
      peer.pause()
      await peer.write(request('GET', '/v1/files/file-1/content'))
      return peer
    }),
  )
  const sent = () => far.peers.reduce((sum, peer) => sum + peer.sentBytes, 0)
  const stuckAt = await eventually(
    async () => {
      const was = sent()
      await Bun.sleep(500)
      return was > 100 * KB * peers.length && sent() === was ? was : null
    },
    'all streams to be stuck',
    30_000,
  )
  expect(stuckAt).toBeLessThan(peers.length * 24 * 1024 * KB)
  // What is left of one read, 512 KB at most, and what the collector has not given back yet.
  expect(own.rssBytes() - before, `stuck at ${stuckAt}`).toBeLessThan(peers.length * 1024 * KB)
  expect((await ask(own.port, request('GET', '/v1/models'))).status).toBe(200)
  for (const peer of peers) peer.reset()
  await eventually(() => far.open <= 2, 'the upstream to be let go')
  far.stop()
})

describe('slowhttptest', () => {
  const installed = Bun.which('slowhttptest') !== null
  test.skipIf(!installed).each([
    ['headers', ['-H']],
    ['body', ['-B', '-s', '8192']],
    ['reading', ['-X', '-w', '10', '-y', '20', '-n', '1', '-z', '32', '-k', '3']],
  ] as const)('does not keep others out: slow %s (needs slowhttptest)', async (_what, args) => {
    const own = await served({ tree: { upstreams, server: { timeouts: { header: '1s', idle: '1s' } } } })
    const attack = Bun.spawn(
      [
        'slowhttptest',
        ...args,
        '-c',
        '200',
        '-r',
        '200',
        '-i',
        '1',
        '-l',
        '5',
        '-p',
        '2',
        '-u',
        `http://127.0.0.1:${own.port}/v1/files`,
      ],
      { stdout: 'pipe', stderr: 'ignore' },
    )
    const output = new Response(attack.stdout).text()
    const statuses = new Set<number>()
    while (attack.exitCode === null) {
      const askedAtMs = performance.now()
      const sinceAskedMs = startTiming()
      const status = await ask(
        own.port,
        request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o' })),
      ).then(
        (answer) => answer.status,
        () => 0,
      )
      // Where this process stood still behind opening a connection, that is rightly closed.
      const stoodMs = performance.now() - askedAtMs - sinceAskedMs()
      if (stoodMs < 500) statuses.add(status)
      await Bun.sleep(50)
    }
    expect([...statuses]).toEqual([200])
    expect(await output).toMatch(/service available:\S*\s+\S*YES/)
    await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${own.adminPort}/readyz`)
      return ((await answer.json()) as { connections: number }).connections === 0
    }, 'every connection to be gone')
  })
})

test('the credential of no request is in its log line', () => {
  expect(JSON.stringify(gate.lines)).not.toContain(clientKey)
})
