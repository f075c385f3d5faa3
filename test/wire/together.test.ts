// Messages that are given at once, in one turn of the loop: they go out together, and nobody can tell but by the time it takes.

import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import { collect, WholeBody } from '../../src/net/wire/body.ts'
import type { ServerRequest } from '../../src/net/wire/server-request.ts'
import { kinds, wireTo } from './kinds.ts'
import { until } from './raw-upstream.ts'
import { parseAnswers, reply, TestServer, text } from './serve.ts'

setDefaultTimeout(60_000)

const open: TestServer[] = []

afterEach(() => {
  for (const server of open.splice(0)) {
    server.stop()
    expect(server.bugs).toEqual([])
  }
})

interface Ended {
  readonly path: string
  readonly complete: boolean
}

/** Answers at once; takes down how each request ended. */
function serve(bodyOf: (path: string) => string): { server: TestServer; ended: Ended[] } {
  const ended: Ended[] = []
  const server = new TestServer((request: ServerRequest) => {
    request.owner = {
      gone() {},
      refused: () => null,
      finished: (complete) => void ended.push({ path: request.path, complete }),
    }
    request.respond(
      reply({ body: new WholeBody(Buffer.from(bodyOf(request.path))), ownLines: 'x-own: 1\r\n' }),
    )
  })
  open.push(server)
  return { server, ended }
}

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`

test('many connections with many requests each: every answer is whole, in order, and ends once', async () => {
  const sizes = [0, 1, 200, 8_000, 8_192, 8_193, 20_000, 200_000]
  const bodyOf = (path: string): string => {
    const [, connection, number] = path.split('/').map(Number) as [number, number, number]
    return path + 'x'.repeat(sizes[(connection + number) % sizes.length]!)
  }
  const { server, ended } = serve(bodyOf)
  const clients = await Promise.all(Array.from({ length: 50 }, () => server.connect()))
  const paths = clients.map((_, connection) =>
    Array.from({ length: 40 }, (_, number) => `/${connection}/${number}`),
  )
  for (const [connection, client] of clients.entries())
    client.write(
      paths[connection]!.map((path, at) => get(path, at === 39 ? 'Connection: close\r\n' : '')).join(''),
    )
  await until('all have ended', () => clients.every((client) => client.ended))
  for (const [connection, client] of clients.entries()) {
    const answers = parseAnswers(client.text)
    expect(answers.map(({ body }) => body.length)).toEqual(
      paths[connection]!.map((path) => bodyOf(path).length),
    )
    expect(answers.map(({ body }, at) => body.startsWith(paths[connection]![at]!))).not.toContain(false)
    expect(answers.map(({ headers }) => headers['x-own'])).not.toContain(undefined)
  }
  expect(new Set(ended.map(({ path }) => path)).size).toBe(2000)
  expect([ended.length, ended.filter(({ complete }) => !complete).length]).toEqual([2000, 0])
  expect(server.server.counts().busy).toBe(0)
})

test('thousands of pipelined requests on a few connections do not nest', async () => {
  const { server, ended } = serve(() => 'ok')
  const clients = await Promise.all(Array.from({ length: 40 }, () => server.connect()))
  const many = get('/a').repeat(1500)
  for (const client of clients) client.write(many)
  await until('all are answered', () => ended.length === 60_000)
  await until('all have come', () => clients.every((client) => client.text.endsWith('ok')))
  for (const client of clients) expect(parseAnswers(client.text).length).toBe(1500)
})

test('a client that sends nothing more still gets what is given already', async () => {
  const { server } = serve((path) => path)
  const clients = await Promise.all(Array.from({ length: 30 }, () => server.connect()))
  for (const client of clients) client.socket.end(get('/half'))
  await until('all have ended', () => clients.every((client) => client.ended || client.closed))
  for (const client of clients) expect(parseAnswers(client.text).map(({ body }) => body)).toEqual(['/half'])
})

test('one that leaves takes nothing from the others', async () => {
  const { server, ended } = serve((path) => path + 'y'.repeat(5000))
  const clients = await Promise.all(Array.from({ length: 40 }, () => server.connect()))
  for (const [index, client] of clients.entries()) {
    client.write(get(`/${index}`).repeat(20))
    if (index % 2 === 0) client.socket.resetAndDestroy()
  }
  const stay = clients.filter((_, index) => index % 2 === 1)
  await until('the others are answered', () => stay.every((client) => client.text.length > 20 * 5000))
  for (const client of stay) expect(parseAnswers(client.text).length).toBe(20)
  await until('all have ended', () => server.server.counts().busy === 0)
  for (const { path } of ended)
    expect(ended.filter((one) => one.path === path).length).toBeLessThanOrEqual(20)
})

test('one that does not read holds up nobody else, and gets all of it in order when it does', async () => {
  const { server } = serve((path) => path.padEnd(8000, 'z'))
  const slow = await server.connect()
  slow.socket.pause()
  for (let part = 0; part < 30; part++)
    slow.write(Array.from({ length: 30 }, (_, at) => get(`/${part * 30 + at}`)).join(''))
  const others = await Promise.all(Array.from({ length: 10 }, () => server.connect()))
  for (const client of others) client.write(get('/other').repeat(10))
  await until('the others are answered', () => others.every(({ text: all }) => parsed(all) === 10))
  slow.socket.resume()
  await until('it has all', () => parsed(slow.text) === 900)
  expect(parseAnswers(slow.text).map(({ body }) => body.replaceAll('z', ''))).toEqual(
    Array.from({ length: 900 }, (_, at) => `/${at}`),
  )
})

/** How many whole answers there are: bodies have 8000 bytes. */
function parsed(all: string): number {
  return Math.floor(all.length / (8000 + all.indexOf('\r\n\r\n') + 4))
}

test('a head that came before is taken for the same only where every byte is', async () => {
  const seen: string[] = []
  const server = new TestServer((request) => {
    seen.push(`${request.path} ${request.headers.get('x-a')} ${request.query}`)
    request.respond(text('ok'))
  })
  open.push(server)
  const client = await server.connect()
  const sent = ['/a 1', '/a 1', '/a 1', '/b 1', '/a 2', '/a 1', '/a 12', '/a 1'].map((one) => one.split(' '))
  for (const [index, [path, value]] of sent.entries()) {
    client.write(get(path!, `x-a: ${value}\r\n`))
    await until('it is answered', () => seen.length === index + 1)
  }
  expect(seen).toEqual(sent.map(([path, value]) => `${path} ${value} `))
})

test('the same head in pieces, behind an empty line, with a body in pieces, is read as ever', async () => {
  const seen: string[] = []
  const server = new TestServer((request) => {
    const { body } = request
    let all = ''
    const done = (): void => {
      seen.push(`${request.headers.get('x-a')} ${all}`)
      request.respond(text('ok'))
    }
    if (body!.whole !== null) {
      all = Buffer.from(body!.whole).toString()
      done()
    } else
      body!.start({
        chunk: (bytes) => void (all += Buffer.from(bytes).toString()),
        end: done,
        error() {},
      })
  })
  open.push(server)
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nx-a: 1\r\nContent-Length: 4\r\n\r\n'
  const client = await server.connect()
  const ways = [
    [`${head}abcd`],
    [`${head}abcd`],
    [`${head}abcd`],
    [head, 'ab', 'cd'],
    [head.slice(0, 20), `${head.slice(20)}ab`, 'cd'],
    [`\r\n${head}abcd`],
    [head.slice(0, -1), '\n', 'abcd'],
    [`${head}abcd`],
  ]
  for (const [index, pieces] of ways.entries()) {
    for (const piece of pieces) {
      client.write(piece)
      await Bun.sleep(5)
    }
    await until('it is answered', () => seen.length === index + 1)
  }
  expect(seen).toEqual(ways.map(() => '1 abcd'))
})

test('bounds hold for heads that came before, too', async () => {
  const taken = (server: TestServer): Promise<string> =>
    server.ask(
      get(
        '/many',
        `${Array.from({ length: 20 }, (_, at) => `x-${at}: 1\r\n`).join('')}Connection: close\r\n`,
      ),
    )
  const wide = new TestServer((request) => request.respond(text('ok')))
  const narrow = new TestServer((request) => request.respond(text('ok')), { headerFieldsMax: 10 })
  const short = new TestServer((request) => request.respond(text('ok')), { headerBytesMax: 100 })
  open.push(wide, narrow, short)
  for (let times = 0; times < 3; times++) expect(await taken(wide)).toStartWith('HTTP/1.1 200')
  for (let times = 0; times < 3; times++) {
    expect(await taken(narrow)).toStartWith('HTTP/1.1 431')
    expect(await taken(short)).toStartWith('HTTP/1.1 431')
  }
})

test('requests to an upstream that are sent in one turn arrive whole, and one given up before it went takes none along', async () => {
  const seen: string[] = []
  const server = new TestServer((asked) => {
    seen.push(asked.path)
    asked.respond(text(`${asked.path} ${Buffer.from(asked.body!.whole!).toString()}`))
  })
  open.push(server)
  const wire = wireTo(kinds[0]!, new URL(`http://127.0.0.1:${server.server.port}`))
  try {
    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 60 }, (_, at) => {
        const body = `${at}`.padEnd(at * 200, '.')
        const call = wire.send({
          method: 'POST',
          target: `/${round}/${at}`,
          headerLines: 'x-a: b\r\n',
          body: new WholeBody(Buffer.from(body)),
          upgrade: null,
        })
        return { call, body, at }
      })
      for (const { call, at } of calls) {
        if (at % 7 !== 3) continue
        call.reply.catch(() => {})
        call.abort()
      }
      for (const { call, body, at } of calls) {
        if (at % 7 === 3) continue
        const reply = await call.reply
        const bytes = await collect(reply.body, 1e6)
        expect(Buffer.from(bytes!).toString()).toBe(`/${round}/${at} ${body}`)
      }
    }
    await until('nothing is busy', () => wire.counts().busy === 0)
    expect(new Set(seen).size).toBe(seen.length)
  } finally {
    wire.close()
  }
})

test('an early answer goes out before what is wrong with the rest of its body', async () => {
  const server = new TestServer((asked) => asked.respond(text(asked.path)))
  open.push(server)
  for (let times = 0; times < 5; times++) {
    const all = await server.ask(
      `${get('/p0')}POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    )
    expect(parseAnswers(all).map(({ body }) => body)).toEqual(['/p0', '/early'])
  }
})

test('a bug with one of many pipelined requests cuts that connection alone', async () => {
  const server = new TestServer((asked) => {
    if (asked.path === '/bug') throw new Error('a bug')
    asked.respond(text(asked.path))
  })
  const [bad, good, late] = await Promise.all([server.connect(), server.connect(), server.connect()])
  bad.write(get('/a') + get('/b') + get('/bug') + get('/c'))
  good.write(get('/good').repeat(20))
  await until('the one is cut', () => bad.ended || bad.closed)
  await until('the other is answered', () => good.text.split('/good').length === 21)
  late.write(get('/late').repeat(20))
  await until('so is who comes later', () => late.text.split('/late').length === 21)
  expect(server.bugs.map(String)).toEqual(['Error: a bug'])
  server.stop()
})

test('one that sends many requests and then no more gets its answers', async () => {
  const { server } = serve((path) => path)
  for (const count of [2, 5, 50]) {
    const client = await server.connect()
    client.socket.end(get('/half').repeat(count))
    await until('it has ended', () => client.ended || client.closed)
    expect(parseAnswers(client.text).length).toBe(count)
  }
})
