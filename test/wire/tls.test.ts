// TLS towards upstreams, directly and through an egress proxy: a certificate that is not right in every way means that
// not one byte of the request, which holds a key, is sent.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { WholeBody } from '../../src/net/wire/body.ts'
import { canTunnel } from '../../src/net/wire/egress.ts'
import type { Wire } from '../../src/net/wire/message.ts'
import { makeCertificates, opensslMissing, type Certificates } from './certificates.ts'
import { kinds, wireTo, type Kind, type Settings } from './kinds.ts'
import { drain, exchange, outcomeOf, request } from './outcome.ts'
import { always, RawUpstream, until, type Script } from './raw-upstream.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const [ownClient] = kinds
let certificates: Certificates

beforeAll(() => {
  if (!opensslMissing) certificates = makeCertificates()
})

/** A small egress proxy: CONNECT only. */
class EgressProxy {
  readonly asked: string[] = []
  readonly seen: Buffer[] = []
  readonly sockets: Socket[] = []

  private constructor(
    private readonly server: Server,
    /** What it answers instead of opening the tunnel. */
    private readonly answer: string | null,
  ) {}

  static async start(answer: string | null = null): Promise<EgressProxy> {
    const server = createServer((socket) => proxy.#serve(socket))
    const proxy = new EgressProxy(server, answer)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://us%20er:p%3Ass@127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  get open(): number {
    return this.sockets.filter((each) => !each.destroyed).length
  }

  stop(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  #serve(socket: Socket): void {
    this.sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', (head) => {
      this.asked.push(head.toString())
      if (this.answer !== null) return void socket.write(this.answer)
      const [, host, port] = /^CONNECT ([^:]+):(\d+) /.exec(head.toString())!
      const upstream = connect(Number(port), host === 'localhost' ? '127.0.0.1' : host!, () => {
        // In two pieces: the answer to CONNECT may be cut like any other.
        socket.write('HTTP/1.1 200 Connection est')
        setTimeout(() => socket.write('ablished\r\n\r\n'), 5)
      })
      socket.on('data', (bytes: Buffer) => void this.seen.push(bytes))
      socket.pipe(upstream)
      upstream.pipe(socket)
      upstream.on('error', () => socket.destroy())
      upstream.on('close', () => socket.destroy())
      socket.on('close', () => upstream.destroy())
    })
  }
}

interface Way {
  readonly name: string
  readonly kind: Kind
  readonly proxy: () => string | null
}

let egress: EgressProxy
beforeAll(async () => void (egress = await EgressProxy.start()))
afterAll(() => egress.stop())

const ways: readonly Way[] = [
  ...kinds.map((kind) => ({ name: kind.name, kind, proxy: () => null })),
  { name: 'own client through an egress proxy', kind: ownClient!, proxy: () => egress.url },
  { name: 'fetch through an egress proxy', kind: kinds[1]!, proxy: () => egress.url },
]

for (const way of ways) {
  describe.skipIf(opensslMissing)(`TLS, ${way.name} (needs openssl)`, () => {
    const start = async (which: keyof Omit<Certificates, 'ca'>, script: Script = always(ok)) => {
      const upstream = await RawUpstream.start(script, certificates[which])
      const settings: Settings = { caPem: certificates.ca, proxy: way.proxy() }
      return { upstream, byName: new URL(`https://localhost:${upstream.origin.port}`), settings }
    }

    for (const which of ['expired', 'otherName', 'selfSigned', 'otherCa'] as const) {
      test(`refused: ${which}`, async () => {
        const { upstream, byName, settings } = await start(which)
        for (const origin of [byName, upstream.origin]) {
          const wire = wireTo(way.kind, origin, settings)
          const outcome = await exchange(wire, {
            method: 'POST',
            headerLines: 'Authorization: Bearer secret\r\n',
            body: new WholeBody(Buffer.from('secret')),
          })
          expect(outcome).toMatchObject({ ending: 'tls_failed', answered: false })
          expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
        }
        await sleep(30)
        expect(upstream.connections.map((each) => each.text).join('')).toBe('')
        upstream.stop()
      })
    }

    test('refused: a private CA that nobody named', async () => {
      const { upstream, byName, settings } = await start('good')
      const wire = wireTo(way.kind, byName, { ...settings, caPem: null })
      expect((await exchange(wire)).ending).toBe('tls_failed')
      upstream.stop()
    })

    test('a private CA works, by name and by address', async () => {
      const { upstream, byName, settings } = await start('good')
      for (const origin of [byName, upstream.origin]) {
        const wire = wireTo(way.kind, origin, settings)
        for (let round = 0; round < 3; round += 1)
          expect(await exchange(wire)).toMatchObject({ body: 'ok', ending: 'end' })
        wire.close()
      }
      upstream.stop()
    })

    test('2 MB each way', async () => {
      const big = Buffer.alloc(2_000_000, 97)
      const script: Script = async (connection) => {
        await until('all of it', () => connection.received.length > big.length)
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`)
        connection.write(big)
      }
      const { upstream, byName, settings } = await start('good', script)
      const wire = wireTo(way.kind, byName, settings)
      const outcome = await exchange(wire, { method: 'POST', body: new WholeBody(big) })
      expect([outcome.ending, outcome.body.length, outcome.body === big.toString('latin1')]).toEqual([
        'end',
        big.length,
        true,
      ])
      wire.close()
      upstream.stop()
    })
  })
}

describe.skipIf(opensslMissing)('TLS of the own client (needs openssl)', () => {
  test('an answer that ends with the connection cannot be told from a cut one, so it is one', async () => {
    const script = always('HTTP/1.1 200 OK\r\n\r\nhalf of it', true)
    const upstream = await RawUpstream.start(script, certificates.good)
    const wire = wireTo(ownClient!, upstream.origin, { caPem: certificates.ca })
    const outcome = await exchange(wire)
    expect(outcome).toMatchObject({ status: 200, body: 'half of it', ending: 'truncated', answered: true })
    wire.close()
    upstream.stop()
  })

  test('a session is offered again', async () => {
    const reused: boolean[] = []
    const upstream = await RawUpstream.start((connection) => {
      reused.push((connection.socket as TLSSocket).isSessionReused())
      return always(ok)(connection)
    }, certificates.good)
    const wire = wireTo(ownClient!, upstream.origin, {
      caPem: certificates.ca,
      keepAlive: { idleMs: 0, maxIdle: 0 },
    })
    for (let round = 0; round < 4; round += 1) expect((await exchange(wire)).body).toBe('ok')
    expect(reused[0]).toBe(false)
    expect(reused.slice(1)).toContain(true)
    wire.close()
    upstream.stop()
  })

  test('a handshake that never ends is a connect time-out, and leaves no socket behind', async () => {
    const upstream = await RawUpstream.start(() => {})
    const wire = wireTo(ownClient!, new URL(`https://127.0.0.1:${upstream.origin.port}`), {
      timeouts: { connectMs: 80 },
    })
    expect(await exchange(wire)).toMatchObject({ ending: 'connect_timeout', answered: false })
    await until('the upstream sees the end', () =>
      upstream.connections.every((each) => each.closed || each.ended),
    )
    upstream.stop()
  })

  test('abort amid a handshake leaves no socket behind', async () => {
    const upstream = await RawUpstream.start(() => {})
    const wire = wireTo(ownClient!, new URL(`https://127.0.0.1:${upstream.origin.port}`))
    const call = wire.send(request())
    await until(
      'connected',
      () => upstream.connections.length === 1 && upstream.connections[0]!.received.length > 0,
    )
    call.abort()
    expect((await outcomeOf(call)).ending).toBe('aborted')
    await until('the upstream sees the end', () =>
      upstream.connections.every((each) => each.closed || each.ended),
    )
    expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
    upstream.stop()
  })

  test('an upstream that speaks no TLS', async () => {
    const upstream = await RawUpstream.start((connection) =>
      connection.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    )
    const wire = wireTo(ownClient!, new URL(`https://127.0.0.1:${upstream.origin.port}`))
    const { ending, answered } = await exchange(wire)
    expect(['tls_failed', 'connect_failed']).toContain(ending)
    expect(answered).toBe(false)
    upstream.stop()
  })
})

describe.skipIf(opensslMissing)('egress proxy (needs openssl)', () => {
  const through = (proxy: string, origin: URL, settings: Settings = {}): Wire =>
    wireTo(ownClient!, origin, { caPem: certificates.ca, proxy, ...settings })

  test('what the proxy sees is a host name, and its own credentials', async () => {
    const proxy = await EgressProxy.start()
    const upstream = await RawUpstream.start(always(ok), certificates.good)
    const wire = through(proxy.url, new URL(`https://localhost:${upstream.origin.port}`))
    await exchange(wire, { headerLines: 'Authorization: Bearer secret\r\n' })
    await exchange(wire)
    expect(proxy.asked).toEqual([
      `CONNECT localhost:${upstream.origin.port} HTTP/1.1\r\nHost: localhost:${upstream.origin.port}\r\n` +
        `Proxy-Authorization: Basic ${Buffer.from('us er:p:ss').toString('base64')}\r\n\r\n`,
    ])
    expect(Buffer.concat(proxy.seen).toString('latin1')).not.toMatch(/secret|GET/)
    expect(upstream.connections[0]!.text).not.toContain('Proxy-')
    wire.close()
    await until('closed', () => proxy.open === 0)
    upstream.stop()
    proxy.stop()
  })

  const refusals: [string, string][] = [
    ['407', 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'],
    ['502', 'HTTP/1.1 502 Bad Gateway\r\n\r\n'],
    ['what is no HTTP', 'SSH-2.0\r\n\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\n${'X: a\r\n'.repeat(5000)}`],
    ['bytes behind its answer', 'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'],
  ]
  for (const [name, answer] of refusals) {
    test(`a proxy that answers ${name}`, async () => {
      const proxy = await EgressProxy.start(answer)
      const wire = through(proxy.url, new URL('https://localhost:1'))
      expect(await exchange(wire)).toMatchObject({ ending: 'connect_failed', answered: false })
      expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
      await until('closed', () => proxy.open === 0)
      proxy.stop()
    })
  }

  test('a proxy that says nothing is a connect time-out', async () => {
    const proxy = await EgressProxy.start('')
    const wire = through(proxy.url, new URL('https://localhost:1'), { timeouts: { connectMs: 80 } })
    expect(await exchange(wire)).toMatchObject({ ending: 'connect_timeout', answered: false })
    await until('closed', () => proxy.open === 0)
    proxy.stop()
  })

  test('a proxy that is not there', async () => {
    const proxy = await EgressProxy.start()
    const { url } = proxy
    proxy.stop()
    expect(await exchange(through(url, new URL('https://localhost:1')))).toMatchObject({
      ending: 'connect_failed',
    })
  })

  test('a paused body pushes back through the proxy, and abort frees both', async () => {
    const upstream = await RawUpstream.start(async (connection) => {
      await connection.nextRequest()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n')
      const piece = Buffer.alloc(64 * 1024, 97)
      while (!connection.closed) {
        sent += piece.length
        if (connection.socket.write(piece)) continue
        await Promise.race([new Promise((resolve) => connection.socket.once('drain', resolve)), sleep(5000)])
      }
    }, certificates.good)
    let sent = 0
    const wire = through(egress.url, new URL(`https://localhost:${upstream.origin.port}`))
    const call = wire.send(request())
    const reply = await call.reply
    const read = drain(reply.body)
    reply.body.pause()
    let before = -1
    while (before !== sent) {
      before = sent
      await sleep(200)
    }
    expect(sent).toBeLessThan(60_000_000)
    call.abort()
    expect((await read).cause?.fault).toBe('aborted')
    await until('the upstream sees the end', () =>
      upstream.connections.every((each) => each.closed || each.ended),
    )
    upstream.stop()
  })

  test('who can go through what', () => {
    expect(canTunnel(new URL('https://api.example.com'), 'http://proxy:3128')).toBe(true)
    expect(canTunnel(new URL('http://api.example.com'), 'http://proxy:3128')).toBe(false)
    expect(canTunnel(new URL('https://api.example.com'), 'https://proxy:3128')).toBe(false)
    expect(canTunnel(new URL('https://api.example.com'), 'nonsense')).toBe(false)
  })
})
