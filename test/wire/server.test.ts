// The server's side of the wire over real sockets: reading requests, and answering in order.

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { collect, WholeBody } from '../../src/net/wire/body.ts'
import { WireError } from '../../src/net/wire/message.ts'
import type { ServerRequest } from '../../src/net/wire/server-request.ts'
import type { ServerLimits } from '../../src/net/wire/server.ts'
import { TestBody } from './outcome.ts'
import { until } from './raw-upstream.ts'
import { parseAnswers, reply, tell, TestServer, text } from './serve.ts'

// Generous: these tests wait for conditions, never for the clock of a busy machine.
setDefaultTimeout(60_000)

const open: TestServer[] = []

function serve(handle: (request: ServerRequest) => void, limits?: Partial<ServerLimits>): TestServer {
  const server = new TestServer(handle, limits)
  open.push(server)
  return server
}

afterEach(() => {
  for (const server of open.splice(0)) {
    server.stop()
    expect(server.bugs).toEqual([])
  }
})

/** Answers with the path and the body's bytes. */
function echo(request: ServerRequest): void {
  if (request.body === null) return request.respond(text(request.path))
  collect(request.body, 1e9).then(
    (bytes) => request.respond(text(`${request.path} ${Buffer.from(bytes!).toString('latin1')}`)),
    () => {},
  )
}

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
const close = 'Connection: close\r\n'

test('keep-alive: many requests on one connection', async () => {
  const server = serve(echo)
  const client = await server.connect()
  for (let index = 0; index < 20; index += 1) {
    client.write(get(`/${index}`))
    await until('answered', () => client.text.endsWith(`/${index}`))
  }
  expect(parseAnswers(client.text).map((each) => each.body)).toEqual(
    Array.from({ length: 20 }, (_, index) => `/${index}`),
  )
  expect(server.server.counts()).toEqual({ open: 1, busy: 0 })
})

test('pipelined requests are answered in order, however long each takes', async () => {
  const server = serve((request) => void setTimeout(() => echo(request), request.path === '/0' ? 50 : 1))
  const requests = Array.from({ length: 30 }, (_, index) =>
    index % 3 === 1 ? `POST /${index} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc` : get(`/${index}`),
  )
  const answers = parseAnswers(await server.ask(requests.join('') + get('/end', close)))
  expect(answers.map((each) => each.body)).toEqual([
    ...Array.from({ length: 30 }, (_, index) => (index % 3 === 1 ? `/${index} abc` : `/${index}`)),
    '/end',
  ])
})

test('20,000 pipelined requests answered at once do not exhaust the stack', async () => {
  const server = serve(echo)
  const client = await server.connect(get('/a').repeat(20_000))
  await until('all are answered', () => client.text.split('HTTP/1.1 200').length === 20_001)
})

test('requests cut at every byte, and sent byte by byte', async () => {
  const message = `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n${get('/b', close)}`
  const server = serve(echo)
  const bytes = Buffer.from(message)
  const ways = Array.from({ length: bytes.length - 1 }, (_, index) => [
    bytes.subarray(0, index + 1),
    bytes.subarray(index + 1),
  ])
  ways.push(Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)))
  await Promise.all(
    ways.map(async (pieces) => {
      const client = await server.connect()
      await client.writePieces(pieces)
      await until('the end', () => client.ended)
      expect(parseAnswers(client.text).map((each) => each.body)).toEqual(['/a abc', '/b'])
      client.socket.destroy()
    }),
  )
})

test('chunked request bodies lose extensions and trailers, and nothing else', async () => {
  const server = serve((request) => {
    if (request.path === '/a') expect(request.body!.length).toBe(-1)
    expect(request.headers.get('x-trailer')).toBeNull()
    echo(request)
  })
  const chunked =
    'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX-Trailer: 1\r\n\r\n'
  expect(parseAnswers(await server.ask(chunked + get('/b', close))).map((each) => each.body)).toEqual([
    '/a abc',
    '/b',
  ])
})

test('a malformed chunked body is refused, and what follows is no request', async () => {
  let gone = 0
  const server = serve((request) => {
    tell(request, { gone: () => void (gone += 1) })
    echo(request)
  })
  const answers = parseAnswers(
    await server.ask(`POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${get('/b')}`),
  )
  expect(answers.map((each) => each.status)).toEqual([400])
  expect(gone).toBe(1)
})

test('a malformed second request on a connection gets its 400 too', async () => {
  const server = serve(echo)
  const client = await server.connect(get('/a'))
  await until('answered', () => client.text.endsWith('/a'))
  client.write('GET /b HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n')
  await until('the end', () => client.ended)
  expect(parseAnswers(client.text).map((each) => each.status)).toEqual([200, 400])
})

test('bare LF is refused at once, not when its time is over', async () => {
  const server = serve(echo)
  for (const bytes of [
    'GET /a HTTP/1.1\nHost: a\n\n',
    'GET /a HTTP/1.1\r\nHost: a\n\n',
    '\x16\x03\x01\x02',
  ]) {
    expect(parseAnswers(await server.ask(bytes)).map((each) => each.status)).toEqual([400])
  }
})

test('100 Continue is sent when the body is asked for, and not before', async () => {
  const waiting: ServerRequest[] = []
  const server = serve((request) => void waiting.push(request))
  const client = await server.connect(
    'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n',
  )
  await until('there', () => waiting.length === 1)
  await sleep(30)
  expect(client.text).toBe('')
  echo(waiting[0]!)
  await until('continued', () => client.text === 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('abc')
  await until('answered', () => client.text.endsWith('/a abc'))
  client.write(get('/b'))
  await until('there', () => waiting.length === 2)
})

test('a final answer instead of 100 Continue closes: the body may follow or not', async () => {
  const server = serve((request) => request.respond({ ...text('no'), status: 403 }))
  const client = await server.connect(
    'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n',
  )
  await until('the end', () => client.ended)
  client.write(get('/smuggled'))
  await sleep(20)
  const answers = parseAnswers(client.text)
  expect(answers.map((each) => [each.status, each.headers['connection']])).toEqual([[403, 'close']])
})

test('an unread body that is short is read and dropped; the connection lives on', async () => {
  const server = serve((request) => request.respond(text(request.path)))
  const client = await server.connect(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n`)
  await until('answered', () => client.text.endsWith('/a'))
  client.write('x'.repeat(100_000) + get('/b', close))
  await until('the end', () => client.ended)
  expect(parseAnswers(client.text).map((each) => each.body)).toEqual(['/a', '/b'])
})

test('an unread body that is long, or of unknown length, closes the connection, and its answer arrives', async () => {
  const server = serve((request) => request.respond({ ...text('too large'), status: 413 }))
  for (const framing of ['Content-Length: 50000000', 'Transfer-Encoding: chunked']) {
    const client = await server.connect(`POST /a HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
    client.write('fffff\r\n')
    for (let count = 0; count < 20; count += 1) client.write(Buffer.alloc(50_000, 97))
    await until('the end', () => client.ended || client.closed)
    expect(parseAnswers(client.text).map((each) => [each.status, each.headers['connection']])).toEqual([
      [413, 'close'],
    ])
    client.socket.destroy()
  }
})

test('a body that is whole with its head is handed over whole', async () => {
  const server = serve((request) => {
    expect(Buffer.from(request.body!.whole!).toString()).toBe('abc')
    request.respond(text('yes'))
  })
  expect(await server.ask(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n${close}\r\nabc`)).toEndWith(
    'yes',
  )
})

test('a 30 MB body passes as it is, with its source paused now and then', async () => {
  const server = serve((request) => {
    const hash = createHash('sha256')
    let chunks = 0
    request.body!.start({
      chunk(bytes) {
        hash.update(bytes)
        chunks += 1
        if (chunks % 20 !== 0) return
        request.body!.pause()
        setTimeout(() => request.body!.resume(), 1)
      },
      end: () => request.respond(text(hash.digest('hex'))),
      error: () => {},
    })
  })
  const body = Buffer.alloc(30_000_000, 'headgate')
  const client = await server.connect(
    `POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${close}\r\n`,
  )
  client.write(body)
  await until('the end', () => client.ended)
  expect(client.text).toEndWith(createHash('sha256').update(body).digest('hex'))
})

test('HTTP/1.0: closed behind the answer, kept where asked for; a body of unknown length ends with the connection', async () => {
  const streamed = () => {
    const body = new TestBody()
    const start = body.start.bind(body)
    body.start = (sink) => {
      start(sink)
      sink.chunk(Buffer.from('ab'))
      sink.end()
    }
    return body
  }
  const server = serve((request) =>
    request.respond(request.path === '/s' ? reply({ body: streamed() }) : text(request.path)),
  )
  const old = (path: string, lines = '') => `GET ${path} HTTP/1.0\r\nHost: a\r\n${lines}\r\n`
  expect(await server.ask(old('/a'))).toBe(
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/a',
  )
  expect(await server.ask(old('/s'))).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab')
  const keep = 'Connection: keep-alive\r\n'
  const kept = parseAnswers(await server.ask(old('/a', keep) + old('/b', keep) + old('/c')))
  expect(kept.map((each) => [each.body, each.headers['connection']])).toEqual([
    ['/a', 'keep-alive'],
    ['/b', 'keep-alive'],
    ['/c', 'close'],
  ])
})

test('HEAD, 204 and 304 have no body, and the connection stays in step', async () => {
  const server = serve((request) => {
    const status = Number(/\d+/.exec(request.path)?.[0] ?? 200)
    request.respond(reply({ status, body: new WholeBody(Buffer.from('body')) }))
  })
  const head = 'HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n'
  const stream = await server.ask(head + get('/204') + get('/304') + get('/200', close))
  const answers = parseAnswers(stream, [0, 1, 2])
  expect(answers.map((each) => [each.status, each.headers['content-length'] ?? null, each.body])).toEqual([
    [200, '4', ''],
    [204, null, ''],
    [304, null, ''],
    [200, '4', 'body'],
  ])
})

test('a reply body that does not match its length, or breaks off, is cut and never looks complete', async () => {
  const cases: { length: number; parts: string[]; end: boolean }[] = [
    { length: 5, parts: ['ab'], end: true },
    { length: 5, parts: ['abc', 'def'], end: true },
    { length: 5, parts: ['ab'], end: false },
    { length: -1, parts: ['ab'], end: false },
  ]
  for (const version of ['1.1', '1.0']) {
    for (const { length, parts, end } of cases) {
      const body = new TestBody(length)
      let finished: boolean | null = null
      const server = serve((request) => {
        tell(request, { finished: (complete) => void (finished = complete) })
        request.respond(reply({ body }))
        for (const part of parts) body.push(part)
        if (end) body.sink!.end()
        else body.sink!.error(new WireError('truncated', 'the upstream broke off', true))
      })
      const client = await server.connect(`GET /a HTTP/${version}\r\nHost: a\r\n\r\n`)
      let reset = false
      client.socket.on('error', () => (reset = true))
      await until('cut', () => client.closed || client.ended)
      expect(finished as boolean | null).toBe(false)
      if (length < 0 && version === '1.1') expect(client.text).not.toContain('\r\n0\r\n')
      else if (length < 0) expect(reset).toBe(true)
      else expect(client.text.split('\r\n\r\n')[1]?.length ?? 0).toBeLessThan(5)
    }
  }
})

test('connections of one address are bounded, and the next one is told', async () => {
  const server = serve(echo, { connectionsPerAddressMax: 5 })
  const clients = await Promise.all(Array.from({ length: 5 }, () => server.connect(get('/a'))))
  await until('all are answered', () => clients.every((each) => each.text.endsWith('/a')))
  expect(parseAnswers(await server.ask(get('/b'))).map((each) => [each.status, each.body])).toEqual([
    [503, 'overloaded'],
  ])
  clients[0]!.socket.destroy()
  await until('one has left', () => server.server.counts().open < 5)
  expect(await server.ask(get('/c', close))).toEndWith('/c')
})

test('a head over its bounds gets 431', async () => {
  const server = serve(echo, { headerBytesMax: 2000, headerFieldsMax: 10 })
  for (const lines of [`X: ${'a'.repeat(3000)}\r\n`, 'X: a\r\n'.repeat(20)]) {
    expect(parseAnswers(await server.ask(get('/a', lines))).map((each) => each.status)).toEqual([431])
  }
  expect(parseAnswers(await server.ask('X'.repeat(3000))).map((each) => each.status)).toEqual([431])
})

test('an upgrade is asked for in HTTP/1.1 and named by Connection, or it is refused', async () => {
  const upgrade = 'Upgrade: websocket\r\n'
  const asked: (string | null)[] = []
  const server = serve((request) => {
    asked.push(request.upgrade)
    echo(request)
  })
  const refused = [
    get('/', upgrade),
    get('/', upgrade + close),
    get('/', `${upgrade}Connection: keep-alive\r\n`),
    get('/', `${upgrade}Connection: Upgrade, close\r\n`),
    get('/', `${upgrade}Connection: Upgrade\r\n`).replace('HTTP/1.1', 'HTTP/1.0'),
  ]
  for (const message of refused) expect(await server.ask(message)).toStartWith('HTTP/1.1 400')
  expect(asked).toEqual([])
  const client = await server.connect(get('/', `${upgrade}Connection: keep-alive, UPGRADE\r\n`))
  await until('answered', () => client.text.endsWith('/'))
  expect(asked).toEqual(['websocket'])
})

test('a body in chunks of one byte reaches its reader in few pieces', async () => {
  let pieces = 0
  let bytes = 0
  const server = serve((request) =>
    request.body!.start({
      chunk: (part) => {
        pieces += 1
        bytes += part.length
      },
      end: () => request.respond(text(`${bytes}`)),
      error: () => {},
    }),
  )
  const chunks = '1\r\n \r\n'.repeat(100_000)
  const head = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${close}\r\n`
  expect(await server.ask(`${head}${chunks}0\r\n\r\n`)).toEndWith('\r\n\r\n100000')
  expect(pieces).toBeLessThan(5000)
})
