// What comes from upstreams has little time within one turn of the loop, and waits in order for the rest.

import { expect, test } from 'bun:test'
import { Turn, turn, type Source } from '../../src/net/wire/turn.ts'
import { kinds, wireTo } from './kinds.ts'
import { outcomeOf, request, type Outcome } from './outcome.ts'
import { RawUpstream, until } from './raw-upstream.ts'

/** A loop's clock that only work moves. */
class Work {
  nowMs = 1000
  readonly seen: string[] = []
  readonly bugs: unknown[] = []
  readonly turn = new Turn(
    { nowMs: () => this.nowMs, wallMs: () => this.nowMs },
    (next) => {
      this.settle()
      queueMicrotask(next)
    },
    (cause) => this.bugs.push(cause),
  )
  settle = (): void => {}

  /** A socket; each piece costs so long. */
  source(name: string, costMs = 1): Source & { terminated: boolean; data: { awaitsAnswer: boolean } } {
    const source = {
      terminated: false,
      terminate: () => void (source.terminated = true),
      data: {
        held: null as (Buffer | boolean)[] | null,
        awaitsAnswer: true,
        onData: (bytes: Buffer) => {
          this.nowMs += costMs
          this.seen.push(`${name}${bytes.length > 9 ? bytes.length : bytes.toString()}`)
        },
        onClose: (orderly: boolean) => void this.seen.push(`${name} ${orderly ? 'closed' : 'reset'}`),
      },
    }
    return source
  }

  /** Sockets of which each has something to say, in this turn. */
  burst(names: string, costMs = 1): (Source & { data: { awaitsAnswer: boolean } })[] {
    const sources = [...names].map((name) => this.source(name, costMs))
    for (const source of sources) this.turn.data(source, bytes('1'))
    return sources
  }

  get text(): string {
    return this.seen.join(' ')
  }
}

const bytes = (text: string): Buffer => Buffer.from(text)

test('what comes within the first moment of a turn is read as it comes, the rest in slices, in order', async () => {
  const work = new Work()
  const [a, , c] = work.burst('abcdefgh')
  expect(work.text).toBe('a1 b1')
  expect(work.turn.waiting).toBe(6)
  expect([a!.data.held, c!.data.held]).toEqual([null, [bytes('1')]])
  const slices: number[] = []
  while (work.turn.waiting > 0) {
    await new Promise((resolve) => setImmediate(resolve))
    slices.push(work.seen.length)
    // Also what comes while others wait, quick as it is.
    if (slices.length === 1) work.turn.data(a!, bytes('x'))
  }
  expect(slices).toEqual([4, 6, 8, 9])
  expect(work.text).toBe('a1 b1 c1 d1 e1 f1 g1 h1 ax')
  expect(c!.data.held).toBe(null)
})

test('what follows on a socket, and its end, waits behind what came on it; its end is told at once where nothing does', async () => {
  const work = new Work()
  const [a, , c, d] = work.burst('abcd')
  work.turn.data(c!, bytes('2'))
  work.turn.closed(c!, true)
  work.turn.closed(d!, false)
  work.turn.closed(a!, false)
  expect(work.text).toBe('a1 b1 a reset')
  await until('nothing waits', () => work.turn.waiting === 0)
  expect(work.text).toBe('a1 b1 a reset c1 c2 c closed d1 d reset')
})

test('what promises do with an answer counts with it', async () => {
  const work = new Work()
  work.settle = () => void (work.nowMs += 5)
  work.burst('abcd')
  const slices: number[] = []
  while (work.turn.waiting > 0) {
    await new Promise((resolve) => setImmediate(resolve))
    slices.push(work.seen.length)
  }
  expect(slices).toEqual([3, 4])
})

test('a body under way does not wait, nor a long piece, and of one socket no more than 16 KB: its reader could not push back', async () => {
  const work = new Work()
  const [a, , c, d] = work.burst('abcde')
  a!.data.awaitsAnswer = false
  work.turn.data(a!, bytes('2'))
  work.turn.data(work.source('l'), Buffer.alloc(20_000))
  expect(work.text).toBe('a1 b1 a2 l20000')
  work.turn.data(d!, Buffer.alloc(10_000))
  expect(work.seen.length).toBe(4)
  work.turn.data(d!, Buffer.alloc(10_000))
  expect(work.text).toBe('a1 b1 a2 l20000 d1 d10000 d10000')
  await until('nothing waits', () => work.turn.waiting === 0)
  expect(work.text).toBe('a1 b1 a2 l20000 d1 d10000 d10000 c1 e1')
  expect([c!.data.held, d!.data.held]).toEqual([null, null])
})

test('until its last piece a socket counts as one that has something waiting', async () => {
  const work = new Work()
  const [, , c] = work.burst('abc')
  work.turn.data(c!, bytes('2'))
  const waiting: boolean[] = []
  c!.data.onData = () => void waiting.push(c!.data.held !== null)
  await until('nothing waits', () => work.turn.waiting === 0)
  expect(waiting).toEqual([true, false])
})

test('one that throws is cut, and the others go on', async () => {
  const work = new Work()
  const bug = new Error('a bug')
  const [, , c] = work.burst('abcd')
  work.turn.data(c!, bytes('2'))
  c!.data.onData = () => {
    throw bug
  }
  await until('nothing waits', () => work.turn.waiting === 0)
  expect(work.bugs).toEqual([bug])
  expect((c as ReturnType<Work['source']>).terminated).toBe(true)
  expect(work.text).toBe('a1 b1 c reset d1')
})

test('a burst of answers that each take long: every one whole, broken or followed by what nobody asked for, is told as it was', async () => {
  const held: (() => void)[] = []
  const upstream = await RawUpstream.start(async (connection) => {
    for (let asked = await connection.nextRequest(); asked !== null; asked = await connection.nextRequest()) {
      const number = held.length
      held.push(() => {
        const body = `body ${number}`
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${number % 5 === 1 ? 100 : body.length}\r\n\r\n`)
        connection.write(body)
        if (number % 5 === 1) connection.end()
        if (number % 5 === 2) connection.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
      })
    }
  })
  const wire = wireTo(kinds[0]!, upstream.origin)
  const next: Promise<Outcome>[] = []
  let most = 0
  const send = async (number: number) => {
    const call = wire.send(request({ target: `/${number}` }))
    void call.reply.then(() => {
      most = Math.max(most, turn.waiting)
      for (const untilMs = performance.now() + 0.3; performance.now() < untilMs;);
    })
    const { ending, body } = await outcomeOf(call)
    // What its socket has behind it must not become the answer to this.
    if (number % 5 === 2) next.push(outcomeOf(wire.send(request())))
    return { ending, body }
  }
  const sent = Array.from({ length: 120 }, (_, number) => send(number))
  await until('all have come', () => held.length === 120)
  for (const one of held.splice(0)) one()
  const answers = await Promise.all(sent)
  expect(most).toBeGreaterThan(10)
  for (const { ending, body } of answers) {
    const number = Number(/\d+/.exec(body)![0])
    expect(ending).toBe(number % 5 === 1 ? 'truncated' : 'end')
  }
  expect(new Set(answers.map(({ body }) => body)).size).toBe(120)
  upstream.stop()
  for (const { body } of await Promise.all(next)) expect(body).not.toBe('evil')
  wire.close()
})
