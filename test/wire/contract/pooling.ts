// Keep-alive sockets: used again, bounded, closed when old, and a request is sent twice only where that is safe.

import { expect, test } from 'bun:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../../src/base/clock.ts'
import { WholeBody } from '../../../src/net/wire/body.ts'
import type { WireError, WireReply } from '../../../src/net/wire/message.ts'
import { Sweeper } from '../../../src/net/wire/sweeper.ts'
import { optionsFor, wireTo, type Kind } from '../kinds.ts'
import { exchange, request, TestBody } from '../outcome.ts'
import { always, RawUpstream, until, type Script } from '../raw-upstream.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Answers the first request of every connection, and does `second` at the next one. */
function thenAtSecond(second: (connection: Parameters<Script>[0]) => void): Script {
  return async (connection) => {
    if ((await connection.nextRequest()) === null) return
    connection.write(ok)
    if ((await connection.nextRequest()) !== null) second(connection)
  }
}

export function repeatTests(kind: Kind): void {
  const body = () => new WholeBody(Buffer.from('{"a":1}'))

  for (const how of ['end', 'reset'] as const) {
    test(`a socket that died idle: a whole request is sent once anew (${how})`, async () => {
      const upstream = await RawUpstream.start(thenAtSecond((connection) => connection[how]()))
      // By its clock, which stands, the socket dies at once.
      const wire = kind.make(
        optionsFor(upstream.origin),
        new Sweeper({ nowMs: () => 1000, wallMs: () => 1000 }),
      )
      expect((await exchange(wire, { method: 'POST', body: body() })).ending).toBe('end')
      const second = await exchange(wire, { method: 'POST', body: body() })
      if (kind.strict || second.ending === 'end') {
        expect(second).toMatchObject({ body: 'ok', ending: 'end' })
        expect(upstream.connections.map((each) => each.requests)).toEqual([2, 1])
      } else {
        // `fetch` leaves it to its caller, who is told that no byte had come.
        expect(second).toMatchObject({ ending: 'reset', answered: false })
        expect(upstream.connections.map((each) => each.requests)).toEqual([2])
      }
      wire.close()
      upstream.stop()
    })
  }

  test('a first socket that dies is not replaced', async () => {
    const upstream = await RawUpstream.start(async (connection) => {
      await connection.nextRequest()
      connection.reset()
    })
    const wire = wireTo(kind, upstream.origin)
    expect(await exchange(wire, { method: 'POST', body: body() })).toMatchObject({
      ending: 'reset',
      answered: false,
    })
    await sleep(30)
    expect(upstream.connections.map((each) => each.requests)).toEqual([1])
    wire.close()
    upstream.stop()
  })

  test('not sent anew once a byte of an answer has come', async () => {
    for (const bytes of [
      'H',
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab',
    ]) {
      const upstream = await RawUpstream.start(
        thenAtSecond((connection) => {
          connection.write(bytes)
          setTimeout(() => connection.end(), 20)
        }),
      )
      const wire = wireTo(kind, upstream.origin)
      await exchange(wire)
      const outcome = await exchange(wire, { method: 'POST', body: body() })
      const sent = upstream.connections.reduce((sum, each) => sum + each.requests, 0)
      if (kind.strict)
        expect([bytes, outcome.ending, outcome.answered, sent]).toEqual([bytes, 'truncated', true, 2])
      else expect(outcome.ending).not.toBe('end')
      wire.close()
      upstream.stop()
    }
  })

  test('a streamed body is never sent twice', async () => {
    const upstream = await RawUpstream.start(thenAtSecond((connection) => connection.reset()))
    const wire = wireTo(kind, upstream.origin)
    await exchange(wire)
    const streamed = new TestBody(3)
    const call = wire.send(request({ method: 'POST', body: streamed }))
    await until('started', () => streamed.started)
    streamed.push('abc')
    streamed.sink!.end()
    const ending = await call.reply.then(
      () => 'end',
      (cause: { fault: string }) => cause.fault,
    )
    if (kind.strict) expect(ending).toBe('reset')
    const bodies =
      upstream.connections
        .map((each) => each.text)
        .join('')
        .split('abc').length - 1
    expect(bodies).toBeLessThanOrEqual(1)
    wire.close()
    upstream.stop()
  })
}

/** Of our own client only: `fetch` keeps its sockets to itself. */
export function poolTests(kind: Kind): void {
  for (const [workedMs, resent] of [
    [900, true],
    [1100, false],
  ] as const) {
    test(`a reset after ${workedMs} ms on a used socket: sent anew ${resent}, and whoever asks can count it`, async () => {
      let nowMs = 1000
      const clock: Clock = { nowMs: () => nowMs, wallMs: () => nowMs }
      const script = thenAtSecond((connection) => {
        nowMs += workedMs
        connection.reset()
      })
      const upstream = await RawUpstream.start(script)
      const wire = kind.make(optionsFor(upstream.origin), new Sweeper(clock))
      const first = await wire.send(request()).reply
      expect(first.resent).toBe(false)
      const second = wire.send(request({ method: 'POST', body: new WholeBody(Buffer.from('{}')) })).reply
      const outcome: WireReply | WireError = await second.catch((cause: WireError) => cause)
      expect(outcome.resent).toBe(resent)
      if (!resent) expect(outcome).toMatchObject({ fault: 'reset', answered: false })
      expect(upstream.connections.map((each) => each.requests)).toEqual(resent ? [2, 1] : [2])
      wire.close()
      upstream.stop()
    })
  }

  test('a request sent twice that fails says so', async () => {
    const upstream = await RawUpstream.start(async (connection) => {
      await connection.nextRequest()
      if (upstream.connections.length > 1) return connection.reset()
      connection.write(ok)
      await connection.nextRequest()
      connection.reset()
    })
    const wire = wireTo(kind, upstream.origin)
    await exchange(wire)
    const cause = await wire.send(request()).reply.catch((each: WireError) => each)
    expect(cause).toMatchObject({ fault: 'reset', answered: false, resent: true })
    wire.close()
    upstream.stop()
  })

  test('parallel requests take sockets of their own, and as many stay as were in use at once, for some seconds', async () => {
    let nowMs = 1000
    const sweeper = new Sweeper({ nowMs: () => nowMs, wallMs: () => nowMs })
    const upstream = await RawUpstream.start(always(ok))
    const keepAlive = { idleMs: 60_000, maxIdle: 3 }
    const wire = kind.make(optionsFor(upstream.origin, { keepAlive }), sweeper)
    const many = (count: number) => Promise.all(Array.from({ length: count }, () => exchange(wire)))
    const calls = many(10)
    expect(wire.counts()).toEqual({ idle: 0, busy: 10 })
    await calls
    expect(wire.counts()).toEqual({ idle: 10, busy: 0 })
    await many(10)
    expect(upstream.connections.length).toBe(10)
    // Within the next few seconds the load may come back.
    nowMs += 6000
    await many(1)
    await many(4)
    expect(wire.counts()).toEqual({ idle: 10, busy: 0 })
    nowMs += 6000
    await many(1)
    expect(wire.counts()).toEqual({ idle: 4, busy: 0 })
    nowMs += 6000
    await many(1)
    expect(wire.counts()).toEqual({ idle: 3, busy: 0 })
    await until('the others are closed', () => upstream.open === 3)
    expect(upstream.connections.length).toBe(10)
    wire.close()
    expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
    await until('all are closed', () => upstream.open === 0)
    upstream.stop()
  })

  test('maxIdle: 0 keeps none, whatever the load', async () => {
    const upstream = await RawUpstream.start(always(ok))
    const wire = wireTo(kind, upstream.origin, { keepAlive: { idleMs: 20_000, maxIdle: 0 } })
    await Promise.all(Array.from({ length: 5 }, () => exchange(wire)))
    expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
    await until('all are closed', () => upstream.open === 0)
    upstream.stop()
  })

  test('an idle socket is closed when its time is over', async () => {
    const upstream = await RawUpstream.start(always(ok))
    const wire = wireTo(kind, upstream.origin, { keepAlive: { idleMs: 60, maxIdle: 8 } })
    await exchange(wire)
    expect(wire.counts()).toEqual({ idle: 1, busy: 0 })
    await until('closed', () => wire.counts().idle === 0 && upstream.open === 0)
    expect((await exchange(wire)).ending).toBe('end')
    wire.close()
    upstream.stop()
  })

  test('an idle socket that speaks is closed', async () => {
    const upstream = await RawUpstream.start(always(ok))
    const wire = wireTo(kind, upstream.origin)
    await exchange(wire)
    upstream.connections[0]!.write('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n')
    await until('forgotten', () => wire.counts().idle === 0)
    expect((await exchange(wire)).status).toBe(200)
    wire.close()
    upstream.stop()
  })

  test('an idle socket that its upstream closes is forgotten', async () => {
    const upstream = await RawUpstream.start(always(ok))
    const wire = wireTo(kind, upstream.origin)
    await exchange(wire)
    upstream.connections[0]!.end()
    await until('forgotten', () => wire.counts().idle === 0)
    wire.close()
    upstream.stop()
  })

  test('close lets the request under way end, and its socket is not kept', async () => {
    const upstream = await RawUpstream.start(async (connection) => {
      await connection.nextRequest()
      await sleep(50)
      connection.write(ok)
    })
    const wire = wireTo(kind, upstream.origin)
    const call = exchange(wire)
    await until('asked', () => upstream.connections[0]?.requests === 1)
    wire.close()
    expect(await call).toMatchObject({ body: 'ok', ending: 'end' })
    expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
    await until('closed', () => upstream.open === 0)
    upstream.stop()
  })

  test('a POST without body says so', async () => {
    const upstream = await RawUpstream.start(always(ok))
    const wire = wireTo(kind, upstream.origin)
    await exchange(wire, { method: 'POST' })
    await exchange(wire, { method: 'GET' })
    const [post, get] = upstream.connections[0]!.text.split('\r\n\r\n')
    expect(post).toContain('Content-Length: 0')
    expect(get).not.toContain('Content-Length')
    wire.close()
    upstream.stop()
  })

  test('a body that does not match its length cuts the socket instead of desynchronising it', async () => {
    for (const parts of [['ab'], ['abc', 'def', 'ghi']]) {
      const upstream = await RawUpstream.start(async (connection) => {
        await until('the head', () => connection.text.includes('\r\n\r\n'))
      })
      const wire = wireTo(kind, upstream.origin)
      const body = new TestBody(5)
      const call = wire.send(request({ method: 'POST', body }))
      await until('started', () => body.started)
      for (const part of parts) body.push(part)
      body.sink!.end()
      const cause = (await call.reply.catch((each: unknown) => each)) as { fault: string }
      expect(cause.fault).toBe('aborted')
      await until('closed', () => upstream.connections[0]!.closed || upstream.connections[0]!.ended)
      expect(upstream.connections[0]!.text.split('\r\n\r\n')[1]!.length).toBeLessThanOrEqual(5)
      expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
      upstream.stop()
    }
  })
}
