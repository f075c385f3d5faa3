// Promise: a stream goes through as it comes, as fast as its reader takes it, and ends for both sides when either ends;
// an answer that broke off never looks complete, and whose fault it was is said rightly.

import { describe, expect, test } from 'bun:test'
import { startTiming } from '../running-time.ts'
import {
  ask,
  eventually,
  type Gate,
  jsonBody,
  promiseTests,
  request,
  startGate,
  upstreamAt,
} from './harness.ts'
import { chunkedSoFar, readHead, readReply } from './message.ts'
import { dial, type Peer } from './peer.ts'
import {
  chunk,
  eventsHead,
  fine,
  lastChunk,
  reply,
  ScriptedUpstream,
  type Script,
} from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)] })
const chat = request(
  'POST',
  '/v1/chat/completions',
  jsonBody({ model: 'gpt-4o', stream: true, messages: [] }),
)

const event = (number: number) => `data: {"choices":[{"index":0,"delta":{"content":"${number}"}}]}\n\n`

/** Sends the request with its own mark in the log. */
async function begin(bytes: Uint8Array = chat, at: Gate = gate): Promise<Peer> {
  const peer = await dial(at.port)
  await peer.write(bytes)
  return peer
}

/** Body bytes of a chunked answer so far. */
function bodySoFar(peer: Peer): string {
  const head = readHead(peer.received)
  return head === null ? '' : chunkedSoFar(peer.received.subarray(head.length)).toString()
}

/** Runs one exchange with a script, and gives the log line that is its own. */
async function withScript<T>(
  script: Script,
  run: () => Promise<T>,
): Promise<{ result: T; line: Record<string, any> }> {
  const before = gate.lines.length
  upstream.script = script
  const result = await run()
  return { result, line: await eventually(() => gate.lines[before], 'the exchange to be logged') }
}

describe('events pass as they come', () => {
  test('the first reaches the client before the second is sent', async () => {
    const turns = Array.from({ length: 20 }, () => Promise.withResolvers<void>())
    upstream.script = async (_request, peer) => {
      await peer.write(eventsHead)
      for (let number = 0; number < 20; number++) {
        await turns[number]!.promise
        await peer.write(chunk(event(number)))
      }
      await peer.write(chunk('data: [DONE]\n\n') + lastChunk)
    }
    const peer = await begin()
    await peer.untilText('\r\n\r\n')
    let expected = ''
    for (let number = 0; number < 20; number++) {
      expect(bodySoFar(peer)).toBe(expected)
      expected += event(number)
      turns[number]!.resolve()
      await peer.until(() => bodySoFar(peer).startsWith(expected), `event ${number}`)
    }
    const answer = await readReply(peer)
    expect(answer.complete).toBe(true)
    expect(answer.body.toString()).toBe(`${expected}data: [DONE]\n\n`)
    expect(answer.header('content-type')).toBe('text/event-stream; charset=utf-8')
    peer.close()
  })

  test('the head reaches the client before any event', async () => {
    let go: () => void = () => {}
    upstream.script = async (_request, peer) => {
      await peer.write(eventsHead)
      await new Promise<void>((resolve) => (go = resolve))
      await peer.write(Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
    }
    const peer = await begin()
    expect(await peer.untilText('\r\n\r\n')).toStartWith('HTTP/1.1 200 ')
    go()
    expect((await readReply(peer)).body.toString()).toBe('data: [DONE]\n\n')
    peer.close()
  })

  test('bytes that are no events pass at once too', async () => {
    let go: () => void = () => {}
    upstream.script = async (_request, peer) => {
      await peer.write('HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n')
      await peer.write(chunk('abc'))
      await new Promise<void>((resolve) => (go = resolve))
      await peer.write(chunk('def') + lastChunk)
    }
    const peer = await begin(request('POST', '/v1/audio/speech', jsonBody({ model: 'tts-1' })))
    await peer.until(() => bodySoFar(peer) === 'abc', 'the first bytes')
    go()
    expect((await readReply(peer)).body.toString()).toBe('abcdef')
    peer.close()
  })
})

test('a reader that does not read pushes back on the upstream, and then gets every byte', async () => {
  const frame = `data: ${'x'.repeat(64 * 1024)}\n\n`
  const frames = 1024
  let from: Peer | null = null
  upstream.script = async (_request, peer) => {
    from = peer
    await peer.write(eventsHead)
    for (let index = 0; index < frames; index++) await peer.write(chunk(frame))
    await peer.write(lastChunk)
  }
  const peer = await dial(gate.port)
  peer.pause()
  await peer.write(chat)
  const sender = await eventually(() => from, 'the upstream to be asked')
  // Stands still: nothing more is taken for a while.
  const stuckAt = await eventually(async () => {
    const before = sender.sentBytes
    await Bun.sleep(300)
    return before > 0 && sender.sentBytes === before ? before : null
  }, 'the upstream to be pushed back')
  // What kernels hold on two loopback connections; the whole stream is 64 MB.
  expect(stuckAt).toBeLessThan(24 * 1024 * 1024)
  peer.discard = true
  peer.resume()
  await peer.until(() => peer.receivedBytes > frames * frame.length, 'the whole stream', 60_000)
  peer.close()
})

test.each([
  ['with a length', (bytes: number) => `Content-Length: ${bytes}`],
  ['until the connection closes', () => 'Connection: close'],
])(
  'an upstream that closes behind its answer (%s) does not take the end of it away from a slow reader',
  async (_how, framing) => {
    const bytes = 12 * 1024 * 1024
    for (let round = 0; round < 5; round++) {
      const sent = Promise.withResolvers<void>()
      upstream.script = async (_request, peer) => {
        await peer.write(`HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n${framing(bytes)}\r\n\r\n`)
        await peer.write(Buffer.alloc(bytes, 'x'))
        peer.close()
        sent.resolve()
      }
      const peer = await dial(gate.port)
      peer.pause()
      await peer.write(request('GET', '/v1/files/file-1/content'))
      await Bun.sleep(100)
      peer.resume()
      await Bun.sleep(round * 3)
      peer.pause()
      await Promise.race([sent.promise, Bun.sleep(200)])
      await Bun.sleep(100)
      peer.resume()
      const answer = await readReply(peer)
      expect({ round, bytes: answer.body.length, complete: answer.complete }).toEqual({
        round,
        bytes,
        complete: true,
      })
      peer.close()
    }
  },
)

describe('an upload', () => {
  const piece = Buffer.alloc(1024 * 1024, 'u')
  const uploadOf = (bytes: number) =>
    request('POST', '/v1/files', {
      lines: ['Content-Type: multipart/form-data; boundary=b', `Content-Length: ${bytes}`],
    })

  test('that its upstream does not read pushes back on the client, and ends with a 504', async () => {
    const deaf = ScriptedUpstream.start(
      async (_request, peer) => {
        peer.pause()
        await peer.until(() => peer.closed, 'the end', 60_000)
      },
      { atHead: true },
    )
    const timeouts = { idle: '1s' }
    const own = await startGate({ upstreams: [upstreamAt(deaf.url, { timeouts })] })
    const peer = await dial(own.port)
    await peer.write(uploadOf(64 * piece.length))
    const all = (async () => {
      for (let index = 0; index < 64 && !peer.closed; index++) await peer.write(piece)
    })()
    const answer = await readReply(peer)
    expect({ status: answer.status, code: answer.json().error.code }).toEqual({
      status: 504,
      code: 'upstream_timeout',
    })
    expect(peer.sentBytes).toBeLessThan(32 * piece.length)
    peer.reset()
    await all
    deaf.stop()
  })

  test.each([
    ['short: the rest is dropped, and the connection goes on', 100],
    ['long: the connection ends', 100_000],
  ])(
    'that is answered before its end passes the answer, and its rest is never a request (%s)',
    async (_how, times) => {
      const hasty = ScriptedUpstream.start(
        (seen, peer) => {
          // What still comes of the body is not looked at: this upstream has answered.
          peer.discard = seen.method === 'POST'
          if (peer.discard) peer.received = Buffer.alloc(0)
          return peer.write(reply(400, '{"error":{"message":"no"}}'))
        },
        { atHead: true },
      )
      const own = await startGate({ upstreams: [upstreamAt(hasty.url)] })
      const peer = await dial(own.port)
      const hidden = request('GET', '/v1/hidden')
      await peer.write(uploadOf(hidden.length * times))
      await peer.write(hidden)
      expect((await readReply(peer)).status).toBe(400)
      const rest = Buffer.concat(Array.from({ length: 99 }, () => hidden))
      await peer.write(rest)
      if (times === 100) {
        await peer.write(request('GET', '/v1/models'))
        expect((await readReply(peer)).status).toBe(400)
        expect(hasty.requests.map((each) => each.target)).toEqual(['/v1/files', '/v1/models'])
      } else {
        await peer.untilEnded()
        expect(hasty.requests.map((each) => each.target)).toEqual(['/v1/files'])
      }
      expect(peer.text).toBe('')
      peer.close()
      await eventually(
        () => hasty.peers[0]!.closed || hasty.peers[0]!.ended,
        'the connection with half a request to end',
      )
      hasty.stop()
    },
  )
})

describe('a client that leaves', () => {
  const silent: Script = () => {}
  const endless: Script = async (_request, peer) => {
    await peer.write(eventsHead)
    for (let number = 0; !peer.closed; number++) {
      await peer.write(chunk(event(number)))
      await Bun.sleep(5)
    }
  }
  const stalled: Script = async (_request, peer) => {
    await peer.write(eventsHead)
    await peer.write(chunk(event(0)))
  }
  const upload = Buffer.concat([
    request('POST', '/v1/files', {
      lines: ['Content-Type: multipart/form-data; boundary=b', 'Content-Length: 1000000'],
    }),
    Buffer.alloc(1000, 'x'),
  ])
  const halfJson = Buffer.from(
    chat.toString('latin1').replace(/Content-Length: \d+/, 'Content-Length: 5000'),
    'latin1',
  )

  for (const [how, leave] of [
    ['in order', (peer: Peer) => peer.close()],
    ['by a reset', (peer: Peer) => peer.reset()],
  ] as const) {
    test.each<[when: string, script: Script, sign: string]>([
      ['before an answer has begun', silent, ''],
      ['in the middle of a stream', endless, event(3)],
      ['while the stream is silent', stalled, event(0)],
    ])(
      `${how}, %s, ends the upstream's work within a second and is logged as 499`,
      async (_when, script, sign) => {
        const { line } = await withScript(script, async () => {
          const seen = upstream.requests.length
          const peer = await begin()
          await eventually(() => upstream.requests.length > seen, 'the upstream to be asked')
          if (sign !== '') await peer.until(() => peer.received.includes(sign), 'some events')
          const at = upstream.peers.at(-1)!
          const busy = upstream.peers.filter((each) => !each.closed)
          leave(peer)
          const sinceLeftMs = startTiming()
          await eventually(() => busy.some((each) => each.closed || each.ended), 'the upstream to be let go')
          expect(sinceLeftMs()).toBeLessThan(1000)
          return at
        })
        expect(line).toMatchObject({
          status: 499,
          failure: 'client_gone',
          clientGone: true,
          upstream: 'main',
        })
        expect(line).not.toHaveProperty('detail')
        expect(gate.gateway.exchanges).toBe(0)
      },
    )
  }

  test('in the middle of an upload takes the half upload away from the upstream', async () => {
    const raw = ScriptedUpstream.start(() => {}, { atHead: true })
    const own = await startGate({ upstreams: [upstreamAt(raw.url)] })
    const peer = await dial(own.port)
    await peer.write(upload)
    await eventually(
      () => raw.peers[0] !== undefined && raw.peers[0].received.length >= 1000,
      'the upload to begin',
    )
    peer.close()
    await raw.peers[0]!.untilClosed()
    expect(await own.logged(() => true)).toMatchObject({ status: 499, clientGone: true })
    raw.stop()
  })

  test('in the middle of a JSON body never reaches the upstream', async () => {
    const seen = upstream.requests.length
    const { line } = await withScript(fine, async () => {
      const peer = await begin(halfJson)
      await Bun.sleep(20)
      peer.close()
    })
    expect(line).toMatchObject({ status: 499, failure: 'client_gone' })
    expect(upstream.requests.length).toBe(seen)
  })
})

describe('an upstream that breaks off', () => {
  type Break = readonly [how: string, run: (peer: Peer) => void | Promise<void>]
  const breaks: Break[] = [
    ['closes', (peer) => peer.close()],
    ['resets', (peer) => peer.reset()],
    ['sends a chunk that is none', (peer) => peer.write('zz\r\nxx\r\n')],
    ['closes amid a chunk', async (peer) => (await peer.write('ff\r\ndata: {"half'), peer.close())],
    ['closes amid a frame', async (peer) => (await peer.write(chunk('data: {"half')), peer.close())],
    ['closes amid the last chunk', async (peer) => (await peer.write('0\r\n'), peer.close())],
  ]

  test.each(breaks)('amid a stream (%s): an error event follows, and no [DONE]', async (_how, run) => {
    const told = Promise.withResolvers<void>()
    const { result, line } = await withScript(
      async (_request, peer) => {
        await peer.write(eventsHead)
        await peer.write(chunk(event(0)))
        // A reset takes away what was not read yet.
        await told.promise
        await run(peer)
      },
      async () => {
        const peer = await begin()
        await peer.untilText(event(0))
        told.resolve()
        const answer = await readReply(peer)
        peer.close()
        return answer
      },
    )
    expect({ status: result.status, complete: result.complete }).toEqual({ status: 200, complete: true })
    const text = result.body.toString()
    expect(text).toStartWith(`${event(0)}event: error\ndata: {"error":`)
    expect(text).toEndWith('}}\n\n')
    expect(text).not.toContain('[DONE]')
    expect(text).not.toContain('half')
    const { error } = JSON.parse(text.slice(text.lastIndexOf('data: ') + 6)) as {
      error: Record<string, unknown>
    }
    expect(error).toMatchObject({ code: 'upstream_unavailable', type: 'server_error', param: null })
    expect(line).toMatchObject({
      status: 200,
      failure: 'upstream_unavailable',
      clientGone: false,
      stream: true,
    })
    expect(line['detail']).toBeString()
  })

  test.each(breaks)('amid a small JSON answer (%s): 502', async (_how, run) => {
    const { result, line } = await withScript(
      async (_request, peer) => {
        await peer.write(
          'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
        )
        await peer.write(chunk('{"id":"half"'))
        await Bun.sleep(5)
        await run(peer)
      },
      async () => ask(gate.port, chat),
    )
    expect(result.status).toBe(502)
    expect(result.json().error.code).toBe('upstream_unavailable')
    expect(result.body.toString()).not.toContain('half')
    expect(line).toMatchObject({ status: 502, failure: 'upstream_unavailable', clientGone: false })
  })

  test('amid a small JSON answer with a length: 502', async () => {
    const { result } = await withScript(
      async (_request, peer) => {
        await peer.write(
          'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"id":',
        )
        peer.close()
      },
      async () => ask(gate.port, chat),
    )
    expect(result.status).toBe(502)
  })

  test.each([
    ['a large JSON answer', 'application/json', 3 * 1024 * 1024],
    ['a binary answer', 'audio/mpeg', 1000],
  ])(
    'amid %s: the connection is cut, and it is not called the client leaving',
    async (_what, type, bytes) => {
      for (const framing of [`Content-Length: ${bytes * 2}`, 'Transfer-Encoding: chunked']) {
        const part = Buffer.alloc(bytes, 'x')
        const { result, line } = await withScript(
          async (_request, peer) => {
            await peer.write(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`)
            await peer.write(framing.startsWith('Content') ? part : chunk(part))
            await Bun.sleep(5)
            peer.close()
          },
          async () => ask(gate.port, chat),
        )
        expect({ framing, status: result.status, complete: result.complete }).toEqual({
          framing,
          status: 200,
          complete: false,
        })
        expect(line).toMatchObject({ failure: 'upstream_unavailable', clientGone: false })
      }
    },
  )

  test.each([
    ['closes at once', (peer: Peer) => peer.close()],
    ['resets at once', (peer: Peer) => peer.reset()],
    ['sends no HTTP', (peer: Peer) => peer.write('SSH-2.0-OpenSSH\r\n\r\n')],
    [
      'sends half of a head',
      async (peer: Peer) => (await peer.write('HTTP/1.1 200 OK\r\nContent-'), peer.close()),
    ],
    ['sends a head without end', (peer: Peer) => peer.write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}`)],
    [
      'sends two lengths',
      (peer: Peer) => peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}'),
    ],
    [
      'sends a length and chunks',
      (peer: Peer) =>
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ],
    [
      'switches protocols unasked',
      (peer: Peer) =>
        peer.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    ],
  ])('and %s: 502', async (_how, run) => {
    const { result, line } = await withScript(
      (_request, peer) => run(peer),
      async () => ask(gate.port, chat),
    )
    expect(result.status).toBe(502)
    expect(result.json().error.code).toBe('upstream_unavailable')
    expect(line).toMatchObject({
      status: 502,
      failure: 'upstream_unavailable',
      clientGone: false,
      attempts: 1,
    })
  })

  test('that has gone altogether: 502, which may be tried again', async () => {
    const gone = ScriptedUpstream.start(fine)
    gone.stop()
    const own = await startGate({ upstreams: [upstreamAt(gone.url)] })
    const answer = await ask(own.port, chat)
    expect(answer.status).toBe(502)
    expect(answer.header('x-should-retry')).toBe('true')
  })

  test('more bytes than announced end with the announced length, and their connection is not used again', async () => {
    const { result } = await withScript(
      (_request, peer) => peer.write(`${reply(200, '{"a":1}').toString()}HTTP/1.1 200 OK\r\n`),
      async () => ask(gate.port, chat),
    )
    expect(result.body.toString()).toBe('{"a":1}')
    upstream.script = fine
    expect((await ask(gate.port, chat)).body.toString()).toBe('{"ok":true}')
  })
})

describe('time-outs', () => {
  const timeouts = { connect: '300ms', firstByte: '300ms', idle: '300ms', total: '900ms' }

  async function timedOut(script: Script, bytes: Uint8Array = chat) {
    const own = await timeGate
    slow.script = script
    const before = own.lines.length
    const answer = await ask(own.port, bytes)
    return { answer, line: await eventually(() => own.lines[before], 'a log line') }
  }

  const slow = ScriptedUpstream.start(fine)
  const timeGate = startGate({ upstreams: [upstreamAt(slow.url, { timeouts })] })
  const drip =
    (head: string, piece: string): Script =>
    async (_request, peer) => {
      await peer.write(head)
      while (!peer.closed) {
        await peer.write(chunk(piece))
        await Bun.sleep(50)
      }
    }
  const jsonHead = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'

  test('to connect, TLS included: 504, which may be tried again', async () => {
    // Takes the connection and never answers the handshake.
    const mute = ScriptedUpstream.start(() => {})
    const own = await startGate({
      upstreams: [upstreamAt(mute.url.replace('http:', 'https:'), { timeouts })],
    })
    const answer = await ask(own.port, chat)
    expect({ status: answer.status, retry: answer.header('x-should-retry') }).toEqual({
      status: 504,
      retry: 'true',
    })
    expect(answer.json().error).toMatchObject({ code: 'upstream_timeout', type: 'server_error', param: null })
    expect((await own.logged(() => true))['detail']).toStartWith('connect_timeout')
    await eventually(() => mute.open === 0, 'the connection to be closed')
  })

  test.each<[what: string, script: Script, detail: string]>([
    ['to the first byte', () => {}, 'first_byte_timeout'],
    [
      'to the first byte, half of a head being none',
      (_request, peer) => peer.write('HTTP/1.1 200 OK\r\n'),
      'first_byte_timeout',
    ],
    [
      'within a JSON answer',
      async (_request, peer) => (await peer.write(jsonHead), await peer.write(chunk('{'))),
      'idle_timeout',
    ],
    ['in total', drip(jsonHead, ' '), 'total_timeout'],
  ])('%s: 504', async (_what, script, detail) => {
    const { answer, line } = await timedOut(script)
    expect({ status: answer.status, retry: answer.header('x-should-retry') }).toEqual({
      status: 504,
      retry: 'false',
    })
    expect(answer.json().error).toMatchObject({ code: 'upstream_timeout', type: 'server_error', param: null })
    expect(line).toMatchObject({ status: 504, failure: 'upstream_timeout', clientGone: false })
    expect(line['detail']).toStartWith(detail)
    await eventually(() => slow.open === 0, 'the connection to be closed')
  })

  test.each<[what: string, script: Script]>([
    [
      'within a stream',
      async (_request, peer) => (await peer.write(eventsHead), await peer.write(chunk(event(0)))),
    ],
    ['in total, amid a stream', drip(eventsHead, event(0))],
  ])('%s: an error event', async (_what, script) => {
    const { answer, line } = await timedOut(script)
    expect({ status: answer.status, complete: answer.complete }).toEqual({ status: 200, complete: true })
    expect(answer.body.toString()).toStartWith(event(0))
    expect(answer.body.toString()).toContain('event: error\ndata: {"error":{')
    expect(answer.body.toString()).toContain('"code":"upstream_timeout"')
    expect(answer.body.toString()).not.toContain('[DONE]')
    expect(line).toMatchObject({ status: 200, failure: 'upstream_timeout', clientGone: false })
  })

  test('of the front do not strike a stream that is quiet after its reader was slow', async () => {
    const own = await startGate({
      upstreams: [upstreamAt(slow.url)],
      server: { timeouts: { idle: '400ms' } },
    })
    slow.script = async (_request, peer) => {
      await peer.write(eventsHead)
      await peer.write(chunk(`data: ${'x'.repeat(16 * 1024 * 1024)}\n\n`))
      await Bun.sleep(1500)
      await peer.write(Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
    }
    const peer = await dial(own.port)
    peer.pause()
    await peer.write(chat)
    await Bun.sleep(200)
    peer.resume()
    const answer = await readReply(peer)
    expect(answer.complete).toBe(true)
    expect(answer.body.subarray(-14).toString()).toBe('data: [DONE]\n\n')
    peer.close()
  })

  test('of the front cut a reader that takes nothing at all, and let the upstream go', async () => {
    const own = await startGate({
      upstreams: [upstreamAt(slow.url)],
      server: { timeouts: { idle: '400ms' } },
    })
    let far: Peer | null = null
    slow.script = async (_request, peer) => {
      far = peer
      await peer.write(eventsHead)
      while (!peer.closed) await peer.write(chunk(`data: ${'x'.repeat(64 * 1024)}\n\n`))
    }
    const peer = await dial(own.port)
    peer.pause()
    await peer.write(chat)
    await eventually(() => far !== null, 'the upstream to be asked')
    await far!.untilClosed()
    expect(await own.logged(() => true)).toMatchObject({ status: 499, failure: 'client_gone' })
    peer.reset()
  })

  test('do not strike a stream whose reader is slow', async () => {
    const patient = await startGate({
      upstreams: [upstreamAt(slow.url, { timeouts: { ...timeouts, total: '1m' } })],
    })
    const frame = `data: ${'x'.repeat(64 * 1024)}\n\n`
    slow.script = async (_request, peer) => {
      await peer.write(eventsHead)
      for (let index = 0; index < 400; index++) await peer.write(chunk(frame))
      await peer.write(Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
    }
    const peer = await dial(patient.port)
    peer.pause()
    await peer.write(chat)
    await Bun.sleep(1000)
    peer.resume()
    const answer = await readReply(peer)
    expect(answer.complete).toBe(true)
    expect(answer.body.length).toBe(400 * frame.length + 'data: [DONE]\n\n'.length)
    peer.close()
  })
})
