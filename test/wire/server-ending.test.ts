// Slow clients, clients that leave, draining: every exchange ends exactly once, and nothing is left behind.

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash, type Hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerRequest } from '../../src/net/wire/server-request.ts'
import type { ServerLimits } from '../../src/net/wire/server.ts'
import { TestBody } from './outcome.ts'
import { until, type RawConnection } from './raw-upstream.ts'
import { parseAnswers, reply, tell, TestServer, text } from './serve.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

const open: TestServer[] = []

function serve(handle: (request: ServerRequest) => void, limits?: Partial<ServerLimits>): TestServer {
  const server = new TestServer(handle, limits)
  open.push(server)
  return server
}

afterEach(async () => {
  for (const server of open.splice(0)) {
    server.stop()
    await until('no connection is left', () => server.server.counts().open === 0)
    expect(server.bugs).toEqual([])
  }
})

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
const ok = (request: ServerRequest): void => request.respond(text(request.path))
const gone = (client: RawConnection): boolean => client.ended || client.closed

/** Counts how each request ended. */
function watch(request: ServerRequest, seen: string[]): void {
  tell(request, {
    gone: () => void seen.push('gone'),
    finished: (complete) => void seen.push(`finished ${complete}`),
  })
}

test('a head that does not come to its end gets 408', async () => {
  const server = serve(ok, { headerMs: 80 })
  const client = await server.connect('GET /a HTTP/1.1\r\n')
  for (let count = 0; count < 6 && !gone(client); count += 1) {
    await sleep(30)
    client.write('X: a\r\n')
  }
  await until('the end', () => gone(client))
  expect(parseAnswers(client.text).map((each) => each.status)).toEqual([408])
})

test('a body that stalls gets 408, and its request ends once', async () => {
  const seen: string[] = []
  const server = serve(
    (request) => {
      watch(request, seen)
      request.body!.start({
        chunk: () => {},
        end: () => seen.push('end'),
        error: (cause) => void seen.push(cause.fault),
      })
    },
    { idleMs: 80 },
  )
  const client = await server.connect('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
  await until('the end', () => gone(client))
  expect(parseAnswers(client.text).map((each) => each.status)).toEqual([408])
  expect(seen.toSorted()).toEqual(['finished false', 'gone', 'idle_timeout'])
})

test('a body that comes slowly, but comes, is read', async () => {
  const server = serve(
    (request) => request.body!.start({ chunk: () => {}, end: () => ok(request), error: () => {} }),
    { idleMs: 150 },
  )
  const client = await server.connect('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
  for (let count = 0; count < 10; count += 1) {
    await sleep(30)
    client.write('x')
  }
  await until('answered', () => client.text.endsWith('/a'))
})

test('an idle connection is closed without a word', async () => {
  const server = serve(ok, { idleMs: 80 })
  const fresh = await server.connect()
  const used = await server.connect(get('/a'))
  await until('both are closed', () => gone(fresh) && gone(used))
  expect(fresh.text).toBe('')
  expect(parseAnswers(used.text).length).toBe(1)
})

test('a handler that takes its time is no idle connection', async () => {
  const server = serve((request) => void setTimeout(() => ok(request), 250), { idleMs: 80, headerMs: 80 })
  const client = await server.connect(get('/a'))
  await until('answered', () => client.text.endsWith('/a'))
})

test('a slow reader pauses the source, and what waits stays small', async () => {
  const body = new TestBody()
  const seen: string[] = []
  const server = serve((request) => {
    watch(request, seen)
    request.respond(reply({ body }))
  })
  const client = await server.connect()
  client.socket.pause()
  client.write(get('/a', 'Connection: close\r\n'))
  await until('started', () => body.started)
  const piece = Buffer.alloc(50_000, 97)
  let pushed = 0
  for (let stalls = 0; stalls < 20;) {
    if (body.paused) {
      stalls += 1
      await sleep(5)
      continue
    }
    body.push(piece)
    pushed += piece.length
  }
  // The kernel's buffers on both sides, and one piece of ours.
  expect(pushed).toBeLessThan(20_000_000)
  client.socket.resume()
  await until('wanted again', () => !body.paused)
  body.push(piece)
  body.sink!.end()
  await until('the end', () => gone(client))
  expect(parseAnswers(client.text)[0]!.body.length).toBe(pushed + piece.length)
  expect(seen).toEqual(['finished true'])
})

test('slow readers at the same time each get their own bytes', async () => {
  const seed = Buffer.from('0123456789abcdef')
  const bodies = new Map<string, TestBody>()
  const server = serve((request) => {
    const body = new TestBody(request.path.endsWith('0') ? 12_000_000 : -1)
    bodies.set(request.path, body)
    request.respond(reply({ body }))
  })
  const paths = Array.from({ length: 8 }, (_, index) => `/${index}`)
  const clients = await Promise.all(
    paths.map(async (path) => {
      const client = await server.connect()
      client.socket.pause()
      client.write(get(path, 'Connection: close\r\n'))
      return client
    }),
  )
  await until('all are asked', () => bodies.size === paths.length)
  const sent = new Map(paths.map((path) => [path, 0]))
  const expected = new Map<string, Hash>()
  for (let turn = 0; [...sent.values()].some((bytes) => bytes < 12_000_000); turn += 1) {
    for (const [index, path] of paths.entries()) {
      const body = bodies.get(path)!
      if (body.paused || sent.get(path)! >= 12_000_000) continue
      body.push(Buffer.alloc(6000, `${path}${seed}${turn}`))
      sent.set(path, sent.get(path)! + 6000)
      expected.set(
        path,
        (expected.get(path) ?? createHash('md5')).update(Buffer.alloc(6000, `${path}${seed}${turn}`)),
      )
      if (turn === 500 + index) clients[index]!.socket.resume()
    }
    if (turn === 700) for (const client of clients) client.socket.resume()
    if (turn % 20 === 0) await sleep(0)
  }
  for (const body of bodies.values()) body.sink!.end()
  await until('all have ended', () => clients.every(gone))
  for (const [index, path] of paths.entries()) {
    const body = parseAnswers(clients[index]!.text)[0]!.body
    const hash = createHash('md5').update(body, 'latin1').digest('hex')
    expect([path, body.length, hash]).toEqual([path, 12_000_000, expected.get(path)!.digest('hex')])
  }
})

test('a reader that takes nothing is cut', async () => {
  const body = new TestBody()
  const seen: string[] = []
  const server = serve(
    (request) => {
      watch(request, seen)
      request.respond(reply({ body }))
    },
    { idleMs: 120 },
  )
  const client = await server.connect()
  client.socket.pause()
  client.write(get('/a'))
  await until('started', () => body.started)
  while (!body.paused) body.push(Buffer.alloc(100_000, 97))
  await until('cut', () => seen.length === 2)
  expect(seen).toEqual(['gone', 'finished false'])
  expect(body.aborted).toBe(true)
  client.socket.destroy()
})

test('a reader that takes nothing of the last piece is cut too', async () => {
  for (const length of [-1, 40_000_000]) {
    const body = new TestBody(length)
    const seen: string[] = []
    const server = serve(
      (request) => {
        watch(request, seen)
        request.respond(reply({ body }))
      },
      { idleMs: 120 },
    )
    const client = await server.connect()
    client.socket.pause()
    client.write(get('/a'))
    await until('started', () => body.started)
    body.push(Buffer.alloc(40_000_000, 97))
    body.sink!.end()
    await until('cut', () => seen.length === 2)
    expect(seen).toEqual(['gone', 'finished false'])
    client.socket.destroy()
  }
})

test('a reader that has caught up may wait for the next piece as long as it takes', async () => {
  const body = new TestBody()
  const server = serve((request) => request.respond(reply({ body })), { idleMs: 150 })
  const client = await server.connect()
  client.socket.pause()
  client.write(get('/a'))
  await until('started', () => body.started)
  while (!body.paused) body.push(Buffer.alloc(100_000, 97))
  client.socket.resume()
  await until('caught up', () => !body.paused)
  await sleep(400)
  body.push('the last piece')
  body.sink!.end()
  await until('it is there', () => client.text.endsWith('the last piece\r\n0\r\n\r\n'))
})

/** Ways in which a client leaves, by when: each must end the exchange exactly once. */
const leaving: {
  name: string
  bytes: string
  answer: (request: ServerRequest) => void
  ready: (client: RawConnection) => boolean
}[] = [
  { name: 'before the answer', bytes: get('/a'), answer: () => {}, ready: () => true },
  {
    name: 'amid its body, nobody reading it',
    bytes: 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc',
    answer: () => {},
    ready: () => true,
  },
  {
    name: 'amid its body, somebody reading it',
    bytes: 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    answer: (request) => request.body!.start({ chunk: () => {}, end: () => {}, error: () => {} }),
    ready: () => true,
  },
  {
    name: 'amid the answer',
    bytes: get('/a'),
    answer: (request) => {
      const body = new TestBody()
      request.respond(reply({ body }))
      body.push('abc')
    },
    ready: (client) => client.text.includes('abc'),
  },
  { name: 'with a next request waiting', bytes: get('/a') + get('/b'), answer: () => {}, ready: () => true },
]

for (const { name, bytes, answer, ready } of leaving) {
  for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
    test(`a client that leaves ${name} (${how}): gone and finished, once each`, async () => {
      const seen: string[] = []
      let asked = 0
      const server = serve((request) => {
        asked += 1
        watch(request, seen)
        answer(request)
      })
      const client = await server.connect(bytes)
      await until('asked', () => asked === 1 && ready(client))
      client.socket[how]()
      await until('closed', () => server.server.counts().open === 0)
      await sleep(5)
      expect(seen).toEqual(['gone', 'finished false'])
      expect(asked).toBe(1)
    })
  }
}

test('an answer after the client has left is dropped, and its body let go', async () => {
  let held: ServerRequest | null = null
  const server = serve((request) => void (held = request))
  const client = await server.connect(get('/a'))
  await until('asked', () => held !== null)
  client.socket.destroy()
  await until('closed', () => server.server.counts().open === 0)
  const body = new TestBody()
  held!.respond(reply({ body }))
  expect(body.aborted).toBe(true)
})

test('draining: idle ones close after a moment, a request on its way is answered, busy ones finish and close', async () => {
  const body = new TestBody()
  const server = serve((request) =>
    request.path === '/busy' ? request.respond(reply({ body })) : ok(request),
  )
  const idle = await server.connect(get('/a'))
  const racing = await server.connect(get('/a'))
  const busy = await server.connect(get('/busy'))
  await until('all stand', () => idle.text !== '' && racing.text !== '' && body.started)
  let drained = 0
  const both = [server.server.drain(), server.server.drain()].map((each) =>
    each.then(() => void (drained += 1)),
  )
  await sleep(100)
  expect(gone(racing)).toBe(false)
  racing.write(get('/late'))
  await until('answered and closed', () => gone(racing))
  expect(parseAnswers(racing.text).map((each) => [each.body, each.headers['connection'] ?? ''])).toEqual([
    ['/a', ''],
    ['/late', 'close'],
  ])
  await until('the idle one is closed', () => gone(idle))
  expect(drained).toBe(0)
  body.push('abc')
  await sleep(30)
  body.push('def')
  body.sink!.end()
  await until('the busy one has its answer', () => busy.text.endsWith('0\r\n\r\n'))
  // Its head, of before, said that the connection stays.
  await sleep(100)
  expect(gone(busy)).toBe(false)
  busy.write(get('/next'))
  await until('the busy one is closed', () => gone(busy))
  expect(parseAnswers(busy.text).map((each) => [each.body, each.headers['connection'] ?? ''])).toEqual([
    ['abcdef', ''],
    ['/next', 'close'],
  ])
  for (const client of [idle, racing, busy]) client.socket.destroy()
  await Promise.all(both)
  expect(drained).toBe(2)
  expect(server.server.counts()).toEqual({ open: 0, busy: 0 })
  let refused = false
  await server.connect().catch(() => (refused = true))
  expect(refused).toBe(true)
})

test('stop cuts everything', async () => {
  const seen: string[] = []
  const server = serve((request) => watch(request, seen))
  const client = await server.connect(get('/a'))
  await until('asked', () => server.server.counts().busy === 1)
  server.server.stop()
  await until('cut', () => client.closed)
  await until('told', () => seen.length === 2)
})

test('5,000 connections later nothing is left', async () => {
  const seen = { begun: 0, ended: 0 }
  const server = serve((request) => {
    seen.begun += 1
    tell(request, { finished: () => void (seen.ended += 1) })
    if (request.path === '/never') return
    if (request.path === '/later') setTimeout(() => ok(request), 1)
    else ok(request)
  })
  const paths = ['/now', '/later', '/never', '/now']
  let next = 0
  const worker = async () => {
    for (let index = next++; index < 5000; index = next++) {
      const path = paths[index % 4]!
      const client = await server.connect(index % 7 === 0 ? 'GET /half' : get(path))
      if (index % 7 !== 0 && path !== '/never') await until('answered', () => client.text.endsWith(path))
      if (index % 3 === 0) client.socket.resetAndDestroy()
      else client.socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: 50 }, worker))
  await until('all are closed', () => server.server.counts().open === 0)
  expect(seen.begun).toBeGreaterThan(3000)
  expect(seen.ended).toBe(seen.begun)
  expect(server.server.counts()).toEqual({ open: 0, busy: 0 })
  expect(server.sweeper.watching).toBe(0)
})
