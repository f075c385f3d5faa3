// After a 101: a client and an upstream joined through both sides of the wire.

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Wire } from '../../src/net/wire/message.ts'
import type { ServerRequest } from '../../src/net/wire/server-request.ts'
import { kinds, wireTo } from './kinds.ts'
import { drain, exchange, outcomeOf, request } from './outcome.ts'
import { RawUpstream, until, type RawConnection, type Script } from './raw-upstream.ts'
import { reply, tell, TestServer } from './serve.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

const [ownClient, fetchKind] = kinds
const switching = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
const cleanups: (() => void)[] = []

afterEach(() => {
  for (const clean of cleanups.splice(0)) clean()
})

async function upstreamWith(script: Script, idleMs = 100): Promise<{ upstream: RawUpstream; wire: Wire }> {
  const upstream = await RawUpstream.start(script)
  const wire = wireTo(ownClient!, upstream.origin, { timeouts: { idleMs, firstByteMs: 2000, totalMs: 300 } })
  cleanups.push(
    () => wire.close(),
    () => upstream.stop(),
  )
  return { upstream, wire }
}

const accept: Script = async (connection) => {
  await connection.nextRequest()
  connection.write(switching)
}

const upgrade = request({ target: '/v1/realtime', upgrade: 'websocket' })

/** A client joined to an upstream through the server and the wire. */
async function join(
  script: Script,
  { clientIdleMs = 20_000, upstreamIdleMs = 100 } = {},
): Promise<{ client: RawConnection; peer: RawConnection; seen: string[]; server: TestServer; wire: Wire }> {
  const { upstream, wire } = await upstreamWith(script, upstreamIdleMs)
  const seen: string[] = []
  const server = new TestServer(
    (incoming: ServerRequest) => {
      tell(incoming, {
        gone: () => void seen.push('gone'),
        finished: (complete) => void seen.push(`finished ${complete}`),
      })
      const call = wire.send(upgrade)
      call.reply.then(
        (answer) =>
          incoming.respond(
            reply({
              status: answer.status,
              headerLines: 'Upgrade: websocket\r\n',
              tunnel: answer.tunnel,
              body: answer.tunnel ? null : answer.body,
            }),
          ),
        () => incoming.destroy(),
      )
    },
    { idleMs: clientIdleMs },
  )
  cleanups.push(() => {
    server.stop()
    expect(server.bugs).toEqual([])
  })
  const client = await server.connect(
    'GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  await until('joined', () => client.text.includes('\r\n\r\n'))
  return { client, peer: upstream.connections[0]!, seen, server, wire }
}

const behindHead = (connection: RawConnection): Buffer =>
  connection.received.subarray(connection.received.indexOf('\r\n\r\n') + 4)

test('the upgrade is asked for, and bytes pass both ways', async () => {
  const { upstream, wire } = await upstreamWith(accept)
  const { tunnel, status } = await wire.send(upgrade).reply
  expect(status).toBe(101)
  expect(upstream.connections[0]!.text).toMatch(
    /^GET \/v1\/realtime HTTP\/1\.1\r\n(.*\r\n)*Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/,
  )
  const read = drain(tunnel!.incoming)
  tunnel!.write(Buffer.from('ping'))
  await until('there', () => upstream.connections[0]!.text.endsWith('ping'))
  // Longer than every time-out: a quiet WebSocket is not a slow answer.
  await sleep(450)
  upstream.connections[0]!.write('pong')
  upstream.connections[0]!.end()
  expect(await read).toMatchObject({ cause: null })
  expect((await read).bytes.toString()).toBe('pong')
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
})

test('bytes that come with the 101 are kept for whoever starts', async () => {
  const { wire } = await upstreamWith(async (connection) => {
    await connection.nextRequest()
    connection.write(`${switching}early`)
    await sleep(20)
    connection.write(' late')
    connection.end()
  })
  const { tunnel } = await wire.send(upgrade).reply
  await sleep(60)
  expect((await drain(tunnel!.incoming)).bytes.toString()).toBe('early late')
})

test('a refused upgrade is an ordinary answer', async () => {
  const { wire } = await upstreamWith(async (connection) => {
    await connection.nextRequest()
    connection.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
  })
  expect(await outcomeOf(wire.send(upgrade))).toMatchObject({ status: 403, body: 'no', ending: 'end' })
  expect(wire.counts()).toEqual({ idle: 1, busy: 0 })
})

test('an upstream that cuts is no clean end', async () => {
  const { wire, upstream } = await upstreamWith(accept)
  const { tunnel } = await wire.send(upgrade).reply
  const read = drain(tunnel!.incoming)
  upstream.connections[0]!.reset()
  expect((await read).cause).toMatchObject({ fault: 'reset' })
})

test('end sends what was written first; abort does not wait', async () => {
  const { upstream, wire } = await upstreamWith(accept)
  const first = (await wire.send(upgrade).reply).tunnel!
  first.incoming.start({ chunk: () => {}, end: () => {}, error: () => {} })
  const big = Buffer.alloc(8_000_000, 97)
  upstream.connections[0]!.socket.pause()
  expect(first.write(big)).toBe(false)
  first.end()
  upstream.connections[0]!.socket.resume()
  await until('all of it', () => behindHead(upstream.connections[0]!).length === big.length)
  await until('and the end', () => upstream.connections[0]!.ended || upstream.connections[0]!.closed)
  const second = (await wire.send(upgrade).reply).tunnel!
  second.abort()
  await until('closed', () => upstream.connections[1]!.ended || upstream.connections[1]!.closed)
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
})

test('abort of the call ends the tunnel too', async () => {
  const { upstream, wire } = await upstreamWith(accept)
  const call = wire.send(upgrade)
  await call.reply
  call.abort()
  await until('closed', () => upstream.connections[0]!.ended || upstream.connections[0]!.closed)
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
})

test('over fetch an upgrade is refused by us', async () => {
  const { upstream } = await upstreamWith(accept)
  const outcome = await exchange(wireTo(fetchKind!, upstream.origin), { upgrade: 'websocket' })
  expect(outcome).toMatchObject({ ending: 'connect_failed', answered: false })
  expect(upstream.connections.length).toBe(0)
})

test('joined: 10 MB each way at once, unchanged', async () => {
  const { client, peer } = await join(accept)
  const up = Buffer.alloc(10_000_000, 'up')
  const down = Buffer.alloc(10_000_000, 'down')
  client.write(up)
  peer.write(down)
  await until(
    'all has come',
    () => behindHead(client).length >= down.length && behindHead(peer).length >= up.length,
  )
  expect(behindHead(client).equals(down)).toBe(true)
  expect(behindHead(peer).equals(up)).toBe(true)
})

test('joined: early bytes of both ends arrive', async () => {
  const { client, peer } = await join(async (connection) => {
    await connection.nextRequest()
    connection.write(`${switching}hello`)
  })
  await until('hello', () => behindHead(client).toString() === 'hello')
  client.write('hi')
  await until('hi', () => behindHead(peer).toString() === 'hi')
})

for (const way of ['down', 'up'] as const) {
  test(`joined: a reader that stops pushes back on the other end (${way})`, async () => {
    const { client, peer } = await join(accept, { upstreamIdleMs: 20_000 })
    const [from, to] = way === 'down' ? [peer, client] : [client, peer]
    to.socket.pause()
    const piece = Buffer.alloc(200_000, 97)
    let sent = 0
    while (sent < 200_000_000) {
      sent += piece.length
      if (from.socket.write(piece)) continue
      const drained = await Promise.race([
        new Promise<boolean>((resolve) => from.socket.once('drain', () => resolve(true))),
        sleep(400).then(() => false),
      ])
      if (!drained) break
    }
    expect(sent).toBeLessThan(60_000_000)
    to.socket.resume()
    await until('all has come', () => behindHead(to).length >= sent)
  })
}

test('joined: the upstream ends in order, and so does the exchange', async () => {
  const { client, peer, seen, server, wire } = await join(accept)
  peer.write('bye')
  peer.end()
  await until(
    'the client sees both',
    () => behindHead(client).toString() === 'bye' && (client.ended || client.closed),
  )
  client.socket.end()
  await until('closed', () => server.server.counts().open === 0)
  expect(seen).toEqual(['finished true'])
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
})

test('joined: the client ends in order, and so does the exchange', async () => {
  const { client, peer, seen, server, wire } = await join(accept)
  client.write('bye')
  client.socket.end()
  await until(
    'the upstream sees both',
    () => behindHead(peer).toString() === 'bye' && (peer.ended || peer.closed),
  )
  await until('closed', () => server.server.counts().open === 0)
  expect(seen).toEqual(['finished true'])
  expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
})

test('joined: either end cuts, the other one is told, and nothing is left', async () => {
  for (const which of ['client', 'peer'] as const) {
    const joined = await join(accept)
    joined[which].reset()
    const other = which === 'client' ? joined.peer : joined.client
    await until('told', () => other.ended || other.closed)
    await until('closed', () => joined.server.server.counts().open === 0)
    expect(joined.seen).toEqual(['gone', 'finished false'])
    expect(joined.wire.counts()).toEqual({ idle: 0, busy: 0 })
  }
})

/** Writes until the gateway takes no more. */
async function fill(connection: RawConnection): Promise<void> {
  const piece = Buffer.alloc(200_000, 97)
  for (let sent = 0; sent < 200_000_000; sent += piece.length) {
    if (connection.socket.write(piece)) continue
    const drained = new Promise<boolean>((resolve) => connection.socket.once('drain', () => resolve(true)))
    // Twice: behind a standstill of this process the first wait is over though it was drained.
    const over = sleep(200).then(() => sleep(200))
    if (!(await Promise.race([drained, over.then(() => false)]))) return
  }
  throw new Error('it took everything')
}

const goneFrom = ({ server, wire }: Pick<Awaited<ReturnType<typeof join>>, 'server' | 'wire'>): boolean =>
  server.server.counts().open === 0 && wire.counts().busy === 0

test('joined: a client that cuts a full tunnel frees its upstream at once', async () => {
  const joined = await join(accept, { upstreamIdleMs: 20_000 })
  joined.peer.socket.pause()
  await fill(joined.client)
  const cutAtMs = performance.now()
  joined.client.reset()
  await until('nothing is left', () => goneFrom(joined))
  // Long before any time-out.
  expect(performance.now() - cutAtMs).toBeLessThan(15_000)
  joined.peer.socket.resume()
  await until('the upstream is told', () => joined.peer.closed || joined.peer.ended)
  expect(joined.seen).toEqual(['gone', 'finished false'])
})

test('joined: an upstream that takes nothing is cut, though its client has left unseen', async () => {
  const joined = await join(accept)
  joined.peer.socket.pause()
  joined.client.socket.on('error', () => {})
  void fill(joined.client).then(() => joined.client.end())
  await until('nothing is left', () => goneFrom(joined))
  expect(joined.seen).toEqual(['gone', 'finished false'])
})

test('joined: a client that takes nothing is cut, and so is its upstream', async () => {
  const joined = await join(accept, { clientIdleMs: 100, upstreamIdleMs: 20_000 })
  joined.client.socket.pause()
  void fill(joined.peer).catch(() => {})
  await until('nothing is left', () => goneFrom(joined))
  await until('the upstream is told', () => joined.peer.closed || joined.peer.ended)
  expect(joined.seen).toEqual(['gone', 'finished false'])
})

test('joined: a quiet tunnel outlives every time-out, also after it was full', async () => {
  const joined = await join(accept, { clientIdleMs: 300, upstreamIdleMs: 300 })
  const big = Buffer.alloc(10_000_000, 'big')
  joined.client.write(big)
  joined.peer.write(big)
  await until('all has come', () => behindHead(joined.peer).length === big.length)
  await until('all has come', () => behindHead(joined.client).length === big.length)
  await sleep(900)
  joined.client.write('up')
  joined.peer.write('down')
  await until('up', () => behindHead(joined.peer).length === big.length + 2)
  await until('down', () => behindHead(joined.client).length === big.length + 4)
})

test('end with bytes that nobody takes: cut after a moment', async () => {
  const { upstream, wire } = await upstreamWith(accept, 20_000)
  const { tunnel } = await wire.send(upgrade).reply
  const read = drain(tunnel!.incoming)
  upstream.connections[0]!.socket.pause()
  expect(tunnel!.write(Buffer.alloc(30_000_000))).toBe(false)
  const endedAtMs = performance.now()
  tunnel!.end()
  await until('nothing is left', () => wire.counts().busy === 0)
  expect(performance.now() - endedAtMs).toBeLessThan(15_000)
  expect((await read).cause).toMatchObject({ fault: 'idle_timeout' })
})
