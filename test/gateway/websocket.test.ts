// Promise: WebSockets pass both ways, byte for byte, on the two routes that have them and nowhere else; only a good
// credential opens one; when either end leaves, the other is told, with its close code where it gave one.

import { describe, expect, test } from 'bun:test'
import { startTiming } from '../running-time.ts'
import {
  ask,
  clientKey,
  eventually,
  promiseTests,
  request,
  startGate,
  upstreamAt,
  upstreamKey,
} from './harness.ts'
import { readHead, readReply } from './message.ts'
import { dial, type Peer } from './peer.ts'
import { reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

const switching =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'
const agree: Script = (_request, peer) => peer.write(`${switching}\r\n`)
const upstream = ScriptedUpstream.start(takeOver(agree), { atHead: true })
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)] })

/** After the handshake the bytes belong to the test, not to the next request. */
function takeOver(script: Script): Script {
  return async (seen, peer) => {
    await script(seen, peer)
    await peer.until(() => peer.closed, 'the tunnel to end', 600_000)
  }
}

const handshake = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

function upgrade(path: string, lines: readonly string[] = [], key: string | null = clientKey): Buffer {
  return request('GET', path, { lines: [...handshake, ...lines], key })
}

/** A frame as a client sends it (RFC 6455 section 5.2), masked. */
function frame(
  opcode: number,
  payload: string | Uint8Array,
  more: { fin?: boolean; masked?: boolean } = {},
): Buffer {
  const { fin = true, masked = true } = more
  const bytes = Buffer.from(payload)
  const length =
    bytes.length < 126
      ? [bytes.length]
      : bytes.length < 65536
        ? [126, bytes.length >> 8, bytes.length & 255]
        : [127, 0, 0, 0, 0, ...u32(bytes.length)]
  const mask = masked ? [0x11, 0x22, 0x33, 0x44] : []
  const body = masked ? bytes.map((byte, index) => byte ^ mask[index & 3]!) : bytes
  return Buffer.concat([
    Buffer.from([(fin ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | length[0]!, ...length.slice(1), ...mask]),
    body,
  ])
}

function u32(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

/** Every kind of frame, a close frame last. */
function conversation(masked: boolean): Buffer[] {
  return [
    frame(1, 'hello', { masked }),
    frame(1, '{"type":"session.update","session":{"instructions":"é\u2028"}}', { masked }),
    frame(2, Buffer.from([0, 255, 13, 10, 13, 10, 1]), { masked }),
    frame(9, 'ping', { masked }),
    frame(10, 'pong', { masked }),
    frame(1, 'frag', { masked, fin: false }),
    frame(9, '', { masked }),
    frame(0, 'men', { masked, fin: false }),
    frame(0, 'ted', { masked }),
    frame(1, '', { masked }),
    frame(2, Buffer.alloc(70_000, 7), { masked }),
    frame(2, Buffer.alloc(1024 * 1024, 'm'), { masked }),
    frame(8, Buffer.from([0x0f, 0xa1, ...Buffer.from('bye')]), { masked }),
  ]
}

/** Both ends of an open tunnel. */
async function open(path = '/v1/realtime?model=gpt-realtime', lines: readonly string[] = [], at = gate) {
  const count = upstream.requests.length
  const client = await dial(at.port)
  await client.write(upgrade(path, lines))
  const head = await client.until(() => readHead(client.received), 'the handshake')
  expect(head.firstLine).toStartWith('HTTP/1.1 101 ')
  client.take(head.length)
  const far = upstream.peers.at(-1)!
  return { client, far, head, seen: upstream.requests[count]! }
}

describe.each(['/v1/realtime?model=gpt-realtime', '/v1/responses'])('%s', (path) => {
  test('passes every kind of frame up, byte for byte', async () => {
    const { client, far } = await open(path)
    const bytes = Buffer.concat(conversation(true))
    void client.write(bytes)
    await far.until(() => far.received.length >= bytes.length, 'the frames')
    expect(far.received.equals(bytes)).toBe(true)
    client.close()
    await far.untilEnded()
  })

  test('passes every kind of frame down, byte for byte', async () => {
    const { client, far } = await open(path)
    const bytes = Buffer.concat(conversation(false))
    void far.write(bytes)
    await client.until(() => client.received.length >= bytes.length, 'the frames')
    expect(client.received.equals(bytes)).toBe(true)
    far.close()
    await client.untilEnded()
  })

  test('passes both ways at once, cut anywhere', async () => {
    const { client, far } = await open(path)
    const up = Buffer.concat(conversation(true).slice(0, 10))
    const down = Buffer.concat(conversation(false).slice(0, 10))
    for (let at = 0; at < Math.max(up.length, down.length); at += 3) {
      await Promise.all([client.write(up.subarray(at, at + 3)), far.write(down.subarray(at, at + 3))])
      if (at % 30 === 0) await Bun.sleep(0)
    }
    await far.until(() => far.received.length === up.length, 'all that went up')
    await client.until(() => client.received.length === down.length, 'all that came down')
    expect([far.received.equals(up), client.received.equals(down)]).toEqual([true, true])
    client.close()
    await far.untilEnded()
  })

  test('shows the upstream our key and none of the client', async () => {
    const lines = [
      'OpenAI-Beta: realtime=v1',
      'Cookie: a=b',
      'X-Forwarded-For: 10.1.1.1',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Origin: https://app.test',
    ]
    const { client, seen } = await open(path, lines)
    expect({ method: seen.method, target: seen.target }).toEqual({ method: 'GET', target: path })
    expect(seen.headers('authorization')).toEqual([`Bearer ${upstreamKey}`])
    expect(seen.headers('upgrade').map((each) => each.toLowerCase())).toEqual(['websocket'])
    expect(seen.headers('connection').map((each) => each.toLowerCase())).toEqual(['upgrade'])
    expect(seen.headers('host')).toEqual([`127.0.0.1:${upstream.port}`])
    for (const line of [...handshake.slice(2), 'OpenAI-Beta: realtime=v1', 'Origin: https://app.test']) {
      expect(seen.lines).toContain(line)
    }
    // Compressed frames could not be metered, so compression is not offered on.
    expect(seen.header('sec-websocket-extensions')).toBeNull()
    const raw = seen.raw.toString('latin1')
    for (const secret of [clientKey, 'a=b', '10.1.1.1', 'gate.test']) expect(raw).not.toContain(secret)
    client.close()
  })

  test('is refused without a good key, and the upstream hears nothing of it', async () => {
    const seen = upstream.requests.length
    for (const bytes of [
      upgrade(path, [], null),
      upgrade(path, [], 'hg_test_wrong'),
      upgrade(path, ['Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.hg_test_wrong'], null),
      upgrade(path, [`Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${clientKey}`]),
      upgrade(
        path,
        [
          `Sec-WebSocket-Protocol: openai-insecure-api-key.${clientKey}, openai-insecure-api-key.${clientKey}`,
        ],
        null,
      ),
      upgrade(path, ['Sec-WebSocket-Protocol: openai-insecure-api-key.'], null),
      upgrade(path, [`x-api-key: ${clientKey}`]),
    ]) {
      const answer = await ask(gate.port, bytes)
      expect(answer.status).toBe(401)
      expect(answer.json().error.code).toBe('invalid_api_key')
    }
    expect(upstream.requests.length).toBe(seen)
  })
})

describe('subprotocols', () => {
  test('the one that carries the key is the credential, and goes no further', async () => {
    upstream.script = takeOver((_seen, peer) =>
      peer.write(`${switching}Sec-WebSocket-Protocol: realtime\r\n\r\n`),
    )
    const client = await dial(gate.port)
    const count = upstream.requests.length
    await client.write(
      upgrade(
        '/v1/realtime',
        [`Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.${clientKey}, openai-beta.realtime-v1`],
        null,
      ),
    )
    const head = await client.until(() => readHead(client.received), 'the handshake')
    expect(head.firstLine).toStartWith('HTTP/1.1 101 ')
    expect(head.lines.filter((line) => /^sec-websocket-protocol:/i.test(line))).toEqual([
      'Sec-WebSocket-Protocol: realtime',
    ])
    const seen = upstream.requests[count]!
    expect(seen.header('sec-websocket-protocol')).toBe('realtime, openai-beta.realtime-v1')
    expect(seen.raw.toString('latin1')).not.toContain(clientKey)
    expect(seen.raw.toString('latin1')).not.toContain('insecure')
    client.close()
    upstream.script = takeOver(agree)
  })

  test('over several lines, and with none left', async () => {
    const client = await dial(gate.port)
    const count = upstream.requests.length
    await client.write(
      upgrade('/v1/realtime', [`Sec-WebSocket-Protocol: openai-insecure-api-key.${clientKey}`], null),
    )
    await client.until(() => readHead(client.received), 'the handshake')
    expect(upstream.requests[count]!.header('sec-websocket-protocol')).toBeNull()
    client.close()
  })

  test('are no credential where no WebSocket is asked for', async () => {
    const answer = await ask(
      gate.port,
      request('GET', '/v1/models', {
        lines: [`Sec-WebSocket-Protocol: openai-insecure-api-key.${clientKey}`],
        key: null,
      }),
    )
    expect(answer.status).toBe(401)
  })
})

describe('the handshake', () => {
  test("is the upstream's, with our own fields beside it", async () => {
    const { client, head } = await open()
    const names = head.lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
    expect(names.filter((name) => name === 'upgrade' || name === 'connection').sort()).toEqual([
      'connection',
      'upgrade',
    ])
    expect(head.lines).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    expect(names).toContain('x-headgate-id')
    expect(names).not.toContain('content-length')
    expect(names).not.toContain('transfer-encoding')
    client.close()
  })

  test('lets no byte through before the upstream has agreed', async () => {
    const turn = Promise.withResolvers<void>()
    upstream.script = takeOver(async (_seen, peer) => {
      await turn.promise
      await peer.write(Buffer.concat([Buffer.from(`${switching}\r\n`), frame(1, 'first', { masked: false })]))
    })
    const client = await dial(gate.port)
    const count = upstream.requests.length
    const early = frame(1, 'early')
    await client.write(Buffer.concat([upgrade('/v1/realtime'), early]))
    await eventually(() => upstream.requests.length > count, 'the upstream to be asked')
    const far = upstream.peers.at(-1)!
    await Bun.sleep(50)
    expect(far.received.length).toBe(0)
    turn.resolve()
    await far.until(() => far.received.equals(early), 'the early frame')
    await client.until(() => client.received.includes('first'), 'the frame behind the handshake')
    client.close()
    upstream.script = takeOver(agree)
  })

  test.each([
    [403, 403],
    [404, 404],
    [426, 426],
    [500, 500],
    [200, 200],
    [401, 502],
    [302, 502],
  ])('that the upstream answers with %d is a plain %d, and the connection goes on', async (theirs, ours) => {
    upstream.script = (_seen, peer) => peer.write(reply(theirs, '{"error":{"message":"no"}}'))
    const client = await dial(gate.port)
    await client.write(upgrade('/v1/realtime'))
    const answer = await readReply(client)
    expect(answer.status).toBe(ours)
    expect(answer.header('upgrade')).toBeNull()
    if (answer.header('connection') !== 'close') {
      upstream.script = (_seen, peer) => peer.write(reply(200, '{"ok":true}'))
      await client.write(request('GET', '/v1/models'))
      expect((await readReply(client)).json()).toEqual({ ok: true })
    }
    client.close()
    upstream.script = takeOver(agree)
  })

  test('to an upstream that is not there is a 502', async () => {
    const gone = ScriptedUpstream.start(agree)
    gone.stop()
    const own = await startGate({ upstreams: [upstreamAt(gone.url)] })
    expect((await ask(own.port, upgrade('/v1/realtime'))).status).toBe(502)
  })

  test.each([
    '/v1/chat/completions',
    '/v1/models',
    '/v1/embeddings',
    '/v1/realtime/sessions',
    '/v1/unknown',
    '/v1',
  ])('is refused at %s', async (path) => {
    const seen = upstream.requests.length
    const answer = await ask(gate.port, upgrade(path))
    expect([400, 404]).toContain(answer.status)
    expect(upstream.requests.length).toBe(seen)
  })
})

describe('when one end leaves, the other is let go within a second', () => {
  const ends = [
    ['closes', (peer: Peer) => peer.close()],
    ['resets', (peer: Peer) => peer.reset()],
    ['finishes sending', (peer: Peer) => peer.end()],
  ] as const

  async function left(
    side: 'client' | 'upstream',
    leave: (peer: Peer) => void,
  ): Promise<Record<string, any>> {
    const before = gate.lines.length
    const { client, far } = await open()
    const [from, to] = side === 'client' ? [client, far] : [far, client]
    const sinceLeftMs = startTiming()
    leave(from)
    await to.untilEnded()
    expect(sinceLeftMs()).toBeLessThan(1000)
    to.close()
    from.close()
    await eventually(() => gate.gateway.exchanges === 0, 'the exchange to end')
    const line = await eventually(() => gate.lines[before], 'the exchange to be logged')
    expect(line).toMatchObject({ endpoint: 'realtime', method: 'GET', key: 'client', upstream: 'main' })
    return line
  }

  test.each(ends)('the client %s', async (how, leave) => {
    const line = await left('client', leave)
    if (how === 'resets')
      expect(line).toMatchObject({ status: 499, failure: 'client_gone', clientGone: true })
    else
      expect({ status: line['status'], failure: line['failure'] }).toEqual({
        status: 101,
        failure: undefined,
      })
  })

  test.each(ends)('the upstream %s', async (how, leave) => {
    const line = await left('upstream', leave)
    const failure = how === 'resets' ? 'upstream_unavailable' : undefined
    expect(line).toMatchObject({ status: 101, clientGone: false })
    expect(line['failure']).toBe(failure)
  })

  test('a last frame before the end is not lost', async () => {
    const big = frame(2, Buffer.alloc(8 * 1024 * 1024, 'z'))
    const one = await open()
    void one.client
      .write(Buffer.concat([big, frame(8, Buffer.from([3, 232]))]))
      .then(() => one.client.close())
    await one.far.untilEnded()
    expect(one.far.received.length).toBe(big.length + 8)
    one.far.close()
    const other = await open()
    void other.far.write(big).then(() => other.far.close())
    await other.client.untilEnded()
    expect(other.client.received.length).toBe(big.length)
    other.client.close()
  })
})

describe('a reader that does not read pushes back', () => {
  for (const direction of ['up', 'down'] as const) {
    test(`on the way ${direction}`, async () => {
      const { client, far } = await open()
      const [from, to] = direction === 'up' ? [client, far] : [far, client]
      to.pause()
      const piece = Buffer.alloc(1024 * 1024, 'p')
      const all = (async () => {
        for (let index = 0; index < 64; index++) await from.write(piece)
      })()
      const stuckAt = await eventually(async () => {
        const before = from.sentBytes
        await Bun.sleep(300)
        return from.sentBytes === before ? before : null
      }, 'the sender to be pushed back')
      expect(stuckAt).toBeLessThan(24 * 1024 * 1024)
      const before = to.receivedBytes
      to.discard = true
      to.resume()
      await all
      await to.until(() => to.receivedBytes - before >= 64 * piece.length, 'all of it')
      client.close()
      await far.untilEnded()
      far.close()
    })
  }
})

test('a quiet socket stays open beyond every time-out, also after its reader was slow', async () => {
  const timeouts = { connect: '200ms', firstByte: '200ms', idle: '200ms', total: '200ms' }
  const own = await startGate({
    upstreams: [upstreamAt(upstream.url, { timeouts })],
    server: { timeouts: { idle: '200ms', header: '200ms' } },
  })
  const { client, far } = await open('/v1/realtime', [], own)
  client.pause()
  const piece = Buffer.alloc(16 * 1024 * 1024, 'p')
  void far.write(piece)
  await Bun.sleep(100)
  client.discard = true
  client.resume()
  await client.until(() => client.receivedBytes >= piece.length, 'the burst')
  await Bun.sleep(800)
  client.discard = false
  await far.write(frame(1, 'still here', { masked: false }))
  await client.untilText('still here')
  await client.write(frame(1, 'me too'))
  await far.until(() => far.received.length > 0, 'the way up')
  client.close()
  await far.untilEnded()
  far.close()
})

test('draining waits for open sockets', async () => {
  const own = await startGate({ upstreams: [upstreamAt(upstream.url)] })
  const { client, far } = await open('/v1/realtime', [], own)
  let drained = false
  const draining = own.gateway.drain().then(() => (drained = true))
  await Bun.sleep(1500)
  expect(drained).toBe(false)
  await far.write(frame(1, 'late', { masked: false }))
  await client.untilText('late')
  client.close()
  await far.untilEnded()
  far.close()
  await draining
})

describe('through the sandbox, with a standard client', () => {
  const codes = async (close: (socket: WebSocket) => void, key = clientKey) => {
    const own = await sandboxed
    const socket = new WebSocket(`ws://127.0.0.1:${own.port}/v1/realtime?model=gpt-realtime`, [
      'realtime',
      `openai-insecure-api-key.${key}`,
    ])
    const closed = new Promise<CloseEvent>((resolve) => (socket.onclose = resolve as never))
    const messages: any[] = []
    socket.onmessage = (message) => void messages.push(JSON.parse(String(message.data)))
    await new Promise((resolve) => ((socket.onopen = resolve), (socket.onerror = resolve)))
    close(socket)
    const { code, reason } = await closed
    return { code, reason, protocol: socket.protocol, messages }
  }
  const sandboxed = startGate({ upstreams: [{ name: 'fake', provider: 'sandbox' }] })

  test('a client that closes with a code', async () => {
    expect(await codes((socket) => socket.close(4001, 'done'))).toMatchObject({
      code: 4001,
      protocol: 'realtime',
    })
  })

  test('a client that closes without one', async () => {
    expect([1000, 1005]).toContain((await codes((socket) => socket.close())).code)
  })

  test('events both ways', async () => {
    const own = await sandboxed
    const socket = new WebSocket(`ws://127.0.0.1:${own.port}/v1/realtime?model=gpt-realtime`, {
      headers: { Authorization: `Bearer ${clientKey}` },
    })
    const messages: any[] = []
    socket.onmessage = (message) => void messages.push(JSON.parse(String(message.data)))
    await new Promise((resolve) => (socket.onopen = resolve))
    await eventually(() => messages.some((each) => each.type === 'session.created'), 'session.created')
    socket.send(
      JSON.stringify({ type: 'session.update', session: { type: 'realtime', instructions: 'be brief' } }),
    )
    await eventually(() => messages.some((each) => each.type === 'session.updated'), 'session.updated')
    socket.close()
  })
})
