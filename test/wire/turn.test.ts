// What comes from upstreams has little time within one turn of the loop, and waits in order for the rest.

import { expect, test } from 'bun:test'
import { Turn, turn, type Source } from '../../src/net/wire/turn.ts'
import { kinds, wireTo } from './kinds.ts'
import { outcomeOf, request } from './outcome.ts'
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
  source(name: string, costMs = 0.5): Source & { terminated: boolean } {
    const source = {
      terminated: false,
      terminate: () => void (source.terminated = true),
      data: {
        held: 0,
        onData: (bytes: Buffer) => {
          this.nowMs += costMs
          this.seen.push(`${name}${bytes.toString()}`)
        },
        onClose: (orderly: boolean) => void this.seen.push(`${name} ${orderly ? 'closed' : 'reset'}`),
      },
    }
    return source
  }
}

const bytes = (text: string): Buffer => Buffer.from(text)

test('what comes within the first moment of a turn is read as it comes, the rest in slices, in order', async () => {
  const work = new Work()
  const [a, b] = [work.source('a', 1), work.source('b', 1)]
  for (let index = 0; index < 10; index += 1) work.turn.data(index % 2 === 0 ? a : b, bytes(`${index}`))
  expect(work.seen).toEqual(['a0', 'b1'])
  expect(work.turn.waiting).toBe(8)
  expect([a.data.held, b.data.held]).toEqual([4, 4])
  const slices: number[] = []
  while (work.turn.waiting > 0) {
    await new Promise((resolve) => setImmediate(resolve))
    slices.push(work.seen.length)
    // Also what comes while others wait, quick as it is.
    if (slices.length === 1) work.turn.data(a, bytes('x'))
  }
  expect(slices).toEqual([4, 6, 8, 10, 11])
  expect(work.seen.join(' ')).toBe('a0 b1 a2 b3 a4 b5 a6 b7 a8 b9 ax')
  expect([a.data.held, b.data.held]).toEqual([0, 0])
})

test('the end of a socket waits behind what came on it, and is told at once where nothing does', async () => {
  const work = new Work()
  const [a, b, c] = [work.source('a', 2), work.source('b'), work.source('c')]
  work.turn.data(a, bytes('1'))
  work.turn.data(a, bytes('2'))
  work.turn.data(c, bytes('3'))
  work.turn.closed(a, true)
  work.turn.closed(b, false)
  work.turn.closed(c, false)
  expect(work.seen).toEqual(['a1', 'b reset'])
  await until('nothing waits', () => work.turn.waiting === 0)
  expect(work.seen).toEqual(['a1', 'b reset', 'a2', 'c3', 'a closed', 'c reset'])
})

test('what promises do with an answer counts with it', async () => {
  const work = new Work()
  const a = work.source('a', 1)
  work.settle = () => void (work.nowMs += 5)
  for (let index = 0; index < 4; index += 1) work.turn.data(a, bytes(`${index}`))
  const slices: number[] = []
  while (work.turn.waiting > 0) {
    await new Promise((resolve) => setImmediate(resolve))
    slices.push(work.seen.length)
  }
  expect(slices).toEqual([3, 4])
})

test('no more than 16 MB wait', () => {
  const work = new Work()
  const a = work.source('', 1)
  const piece = Buffer.alloc(1024 * 1024)
  for (let count = 0; count < 18; count += 1) work.turn.data(a, piece)
  expect(work.turn.waiting).toBe(16)
  work.turn.data(a, piece)
  expect({ waiting: work.turn.waiting, read: work.seen.length }).toEqual({ waiting: 16, read: 3 })
})

test('one that throws is cut, and the others go on', async () => {
  const work = new Work()
  const [a, b] = [work.source('a', 2), work.source('b')]
  const bug = new Error('a bug')
  work.turn.data(b, bytes('0'))
  work.nowMs += 2
  work.turn.data(a, bytes('1'))
  work.turn.data(b, bytes('2'))
  a.data.onData = () => {
    throw bug
  }
  await until('nothing waits', () => work.turn.waiting === 0)
  expect(work.bugs).toEqual([bug])
  expect(a.terminated).toBe(true)
  expect(work.seen).toEqual(['b0', 'a reset', 'b2'])
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
  let most = 0
  const send = async (number: number) => {
    const call = wire.send(request({ target: `/${number}` }))
    void call.reply.then(() => {
      most = Math.max(most, turn.waiting)
      for (const untilMs = performance.now() + 0.3; performance.now() < untilMs;);
    })
    const { ending, body } = await outcomeOf(call)
    // What its socket has behind it must not become the answer to this.
    if (number % 5 === 2 && number < 1000)
      void send(number + 1000).then((next) => expect(next.body).not.toBe('evil'))
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
  wire.close()
  upstream.stop()
})
