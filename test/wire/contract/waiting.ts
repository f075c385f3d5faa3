// Time-outs are told apart, a slow reader pushes back on the upstream, and giving up frees the upstream's socket.

import { expect, test } from 'bun:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startTiming } from '../../running-time.ts'
import { wireTo, type Kind, type Settings } from '../kinds.ts'
import { drain, exchange, outcomeOf, request, TestBody } from '../outcome.ts'
import { always, RawUpstream, until, type RawConnection, type Script } from '../raw-upstream.ts'

const head = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'
const silent: Script = () => {}

async function withWire(
  kind: Kind,
  setup: { script: Script; settings?: Settings },
  run: (wire: ReturnType<typeof wireTo>, upstream: RawUpstream) => Promise<void>,
): Promise<void> {
  const upstream = await RawUpstream.start(setup.script)
  const wire = wireTo(kind, upstream.origin, setup.settings)
  try {
    await run(wire, upstream)
    await until('nothing busy', () => wire.counts().busy === 0)
  } finally {
    wire.close()
    upstream.stop()
  }
}

function answering(bytes: string): Script {
  return async (connection) => {
    if ((await connection.nextRequest()) !== null) connection.write(bytes)
  }
}

export function timeoutTests(kind: Kind): void {
  const cases: {
    name: string
    script: Script
    timeouts: Settings['timeouts']
    ending: string
    answered: boolean
  }[] = [
    {
      name: 'no byte',
      script: silent,
      timeouts: { firstByteMs: 80 },
      ending: 'first_byte_timeout',
      answered: false,
    },
    {
      name: 'a head that stops',
      script: answering('HTTP/1.1 200 OK\r\n'),
      timeouts: { firstByteMs: 80 },
      ending: 'first_byte_timeout',
      answered: true,
    },
    {
      name: 'a body that never starts',
      script: answering(head),
      timeouts: { idleMs: 80 },
      ending: 'idle_timeout',
      answered: true,
    },
    {
      name: 'a body that stops',
      script: answering(`${head}12345`),
      timeouts: { idleMs: 80 },
      ending: 'idle_timeout',
      answered: true,
    },
    {
      name: 'no byte, in all',
      script: silent,
      timeouts: { totalMs: 80 },
      ending: 'total_timeout',
      answered: false,
    },
    {
      name: 'a body that drips for ever',
      script: async (connection) => {
        await connection.nextRequest()
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        while (!connection.closed) {
          connection.write('1\r\nx\r\n')
          await sleep(20)
        }
      },
      timeouts: { totalMs: 200, idleMs: 150 },
      ending: 'total_timeout',
      answered: true,
    },
    {
      name: 'interim answers for ever are no first byte',
      script: async (connection) => {
        await connection.nextRequest()
        for (let count = 0; count < 10 && !connection.closed; count += 1) {
          connection.write('HTTP/1.1 102 Processing\r\n\r\n')
          await sleep(20)
        }
      },
      timeouts: { firstByteMs: 120 },
      ending: 'first_byte_timeout',
      answered: true,
    },
  ]
  for (const { name, script, timeouts, ending, answered } of cases) {
    test(`${ending}: ${name}`, () =>
      withWire(kind, { script, settings: { timeouts: timeouts! } }, async (wire, upstream) => {
        const outcome = await exchange(wire)
        expect(outcome.ending).toBe(ending)
        // `fetch` does not tell of bytes before the head is complete.
        if (kind.strict || !answered || outcome.status > 0) expect(outcome.answered).toBe(answered)
        await until(
          'the upstream sees the end',
          () => upstream.open === 0 || upstream.connections.every((each) => each.ended),
        )
      }))
  }

  test('a body that comes slowly, but comes, is no time-out', () =>
    withWire(
      kind,
      {
        script: async (connection) => {
          await connection.nextRequest()
          connection.write(head)
          for (let count = 0; count < 10; count += 1) {
            await sleep(30)
            connection.write('x')
          }
        },
        settings: { timeouts: { idleMs: 200, firstByteMs: 200 } },
      },
      async (wire) => expect(await exchange(wire)).toMatchObject({ body: 'xxxxxxxxxx', ending: 'end' }),
    ))

  test('a paused body is no idle upstream', () =>
    withWire(
      kind,
      { script: answering(`${head}1234567890`), settings: { timeouts: { idleMs: 80 } } },
      async (wire) => {
        const reply = await wire.send(request()).reply
        reply.body.pause()
        await sleep(250)
        const read = drain(reply.body)
        reply.body.resume()
        expect((await read).bytes.toString()).toBe('1234567890')
      },
    ))

  test('a process that stood still blames no upstream whose bytes had come by then', () =>
    withWire(
      kind,
      { script: answering(`${head}12345`), settings: { timeouts: { idleMs: 150 } } },
      async (wire, upstream) => {
        const reply = await wire.send(request()).reply
        const read = drain(reply.body)
        upstream.connections[0]!.write('67890')
        Bun.sleepSync(500)
        expect(await read).toMatchObject({ bytes: Buffer.from('1234567890'), cause: null })
      },
    ))

  test('a client that uploads slowly is no slow upstream', () =>
    withWire(
      kind,
      {
        script: async (connection) => {
          await until('the last chunk', () => connection.text.endsWith('0\r\n\r\n'))
          connection.write(`${head}1234567890`)
        },
        settings: { timeouts: { idleMs: 120 } },
      },
      async (wire) => {
        const body = new TestBody()
        const call = wire.send(request({ method: 'POST', body }))
        await until('started', () => body.started)
        for (let count = 0; count < 3; count += 1) {
          await sleep(count === 1 ? 300 : 20)
          body.push('x')
        }
        body.sink!.end()
        expect((await outcomeOf(call)).ending).toBe('end')
      },
    ))
}

/** Writes without end, in pieces, for as long as the socket takes them; counts what it took. */
async function pour(connection: RawConnection, counter: { bytes: number }): Promise<void> {
  const piece = Buffer.alloc(64 * 1024, 97)
  while (!connection.closed) {
    counter.bytes += piece.length
    if (!connection.socket.write(piece)) {
      await new Promise<void>((resolve) => {
        connection.socket.once('drain', resolve)
        connection.socket.once('close', () => resolve())
      })
    }
  }
}

export function pressureTests(kind: Kind): void {
  test('a paused body stops its upstream; resumed, it goes on', () => {
    const counter = { bytes: 0 }
    const script: Script = async (connection) => {
      await connection.nextRequest()
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n')
      await pour(connection, counter)
    }
    return withWire(kind, { script }, async (wire) => {
      const call = wire.send(request())
      const reply = await call.reply
      let received = 0
      reply.body.start({
        chunk: (bytes) => void (received += bytes.length),
        end: () => {},
        error: () => {},
      })
      reply.body.pause()
      let before = -1
      while (before !== counter.bytes) {
        before = counter.bytes
        await sleep(150)
      }
      // What the kernel and one read hold, not more.
      expect(counter.bytes).toBeLessThan(40_000_000)
      const stopped = received
      reply.body.resume()
      await until('more comes', () => received > stopped + 50_000_000)
      call.abort()
    })
  })

  test('a body nobody starts stops its upstream too', () => {
    const counter = { bytes: 0 }
    const script: Script = async (connection) => {
      await connection.nextRequest()
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000000\r\n')
      await pour(connection, counter)
    }
    return withWire(kind, { script }, async (wire) => {
      const call = wire.send(request())
      await call.reply
      let before = -1
      while (before !== counter.bytes) {
        before = counter.bytes
        await sleep(150)
      }
      expect(counter.bytes).toBeLessThan(40_000_000)
      call.abort()
    })
  })
}

export function abortTests(kind: Kind): void {
  const states: {
    name: string
    script: Script
    ready: (connection: RawConnection) => boolean
    replied?: boolean
  }[] = [
    { name: 'before an answer', script: silent, ready: (connection) => connection.text.includes('\r\n\r\n') },
    {
      name: 'amid a head',
      script: answering('HTTP/1.1 200 OK\r\n'),
      ready: (connection) => connection.requests > 0,
    },
    {
      name: 'amid a body',
      script: answering(`${head}123`),
      ready: (connection) => connection.requests > 0,
      replied: true,
    },
  ]
  for (const { name, script, ready, replied } of states) {
    test(`abort ${name}: the upstream sees the end within a second`, () =>
      withWire(kind, { script }, async (wire, upstream) => {
        const call = wire.send(request())
        if (replied) await call.reply
        await until(
          'the request is there',
          () => upstream.connections.length === 1 && ready(upstream.connections[0]!),
        )
        const read = replied ? drain((await call.reply).body) : call.reply.catch((cause: unknown) => cause)
        const sinceAbortedMs = startTiming()
        call.abort()
        call.abort()
        const outcome = await read
        expect(outcome).toMatchObject(replied ? { cause: { fault: 'aborted' } } : { fault: 'aborted' })
        await until(
          'the upstream sees it',
          () => upstream.connections[0]!.closed || upstream.connections[0]!.ended,
        )
        expect(sinceAbortedMs()).toBeLessThan(1000)
      }))
  }

  test('abort right after send', () =>
    withWire(kind, { script: silent }, async (wire, upstream) => {
      const call = wire.send(request())
      call.abort()
      expect((await outcomeOf(call)).ending).toBe('aborted')
      await sleep(50)
      await until('nothing is open', () => upstream.connections.every((each) => each.closed || each.ended))
    }))

  test('body.abort() frees the upstream, and its sink hears nothing more', () =>
    withWire(kind, { script: answering(`${head}123`) }, async (wire, upstream) => {
      const { body } = await wire.send(request()).reply
      const heard: string[] = []
      body.start({
        chunk: (bytes) => void heard.push(Buffer.from(bytes).toString()),
        end: () => void heard.push('end'),
        error: (cause) => void heard.push(cause.fault),
      })
      await until('a chunk', () => heard.length === 1)
      body.abort()
      body.abort()
      await until(
        'the upstream sees it',
        () => upstream.connections[0]!.closed || upstream.connections[0]!.ended,
      )
      expect(heard).toEqual(['123'])
    }))

  test('abort behind the end touches nobody else on the same socket', () => {
    const script: Script = async (connection) => {
      while ((await connection.nextRequest()) !== null) {
        connection.write(head)
        await sleep(connection.requests === 1 ? 0 : 60)
        connection.write('1234567890')
      }
    }
    return withWire(kind, { script }, async (wire, upstream) => {
      // The very same request object twice: what is given up is a call, not a request.
      const same = request()
      const first = wire.send(same)
      expect(await outcomeOf(first)).toMatchObject({ body: '1234567890', ending: 'end' })
      const second = wire.send(same)
      await second.reply
      first.abort()
      expect(await outcomeOf(second)).toMatchObject({ body: '1234567890', ending: 'end' })
      if (kind.strict) expect(upstream.connections.length).toBe(1)
    })
  })

  test('2,000 streams with nonces, a third of them aborted: each sees its own only', async () => {
    const script: Script = async (connection) => {
      for (
        let asked = await connection.nextRequest();
        asked !== null;
        asked = await connection.nextRequest()
      ) {
        const nonce = /^GET \/(\S+)/.exec(asked)![1]!
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        for (let part = 0; part < 5 && !connection.closed; part += 1) {
          connection.write(`${(nonce.length + 1).toString(16)}\r\n${nonce}\n\r\n`)
          await sleep(part === 0 ? 0 : 1)
        }
        connection.write('0\r\n\r\n')
      }
    }
    await withWire(kind, { script }, async (wire) => {
      let next = 0
      const tally = { whole: 0, aborted: 0 }
      const worker = async () => {
        for (let index = next++; index < 2000; index = next++) {
          const nonce = `n${index}-${Math.random().toString(36).slice(2)}`
          const call = wire.send(request({ target: `/${nonce}` }))
          if (index % 10 < 3) {
            if (index % 10 > 0) await call.reply
            if (index % 10 === 2) await sleep(1)
            call.abort()
          }
          const outcome = await outcomeOf(call)
          const line = `${nonce}\n`
          expect(line.repeat(5).startsWith(outcome.body)).toBe(true)
          if (outcome.ending === 'end') expect(outcome.body).toBe(line.repeat(5))
          else expect(outcome.ending).toBe('aborted')
          tally[outcome.ending === 'end' ? 'whole' : 'aborted'] += 1
        }
      }
      await Promise.all(Array.from({ length: 64 }, worker))
      expect(tally.whole).toBeGreaterThanOrEqual(1400)
      expect(tally.aborted).toBeGreaterThan(300)
    })
  })

  test('an upstream that is not there', async () => {
    const upstream = await RawUpstream.start(always(''))
    upstream.stop()
    const wire = wireTo(kind, upstream.origin)
    expect(await exchange(wire)).toMatchObject({ ending: 'connect_failed', answered: false })
    expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
  })
}
