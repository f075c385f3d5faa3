// Promise: with `cache.coalesceAcross`, identical calls under way at several gateways are one call where that is possible, and
// nobody waits longer than it says: not for a slow answer, not for a gateway that failed, not for a Redis that hangs.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startTiming } from '../running-time.ts'
import { redisFound, startRedis, type RedisServer } from '../storage/redis-server.ts'
import { chat, call, completion, completionFrames, status, textOf } from './cache-calls.ts'
import {
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  startGate,
  upstreamAt,
  type Gate,
} from './harness.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

interface World {
  readonly one: Gate
  readonly two: Gate
  readonly upstream: ScriptedUpstream
  readonly redis: RedisServer
}

async function world(script: Script, cache: object): Promise<World> {
  const redis = await startRedis()
  finallyClose(() => redis.remove())
  const upstream = ScriptedUpstream.start(script)
  finallyClose(() => upstream.stop())
  const gate = () =>
    startGate({
      upstreams: [{ ...upstreamAt(upstream.url), timeouts: { firstByte: '20s' } }],
      cache: { mode: 'exact', ...cache },
      storage: { path: join(scratchFolder(), 'data'), redis: redis.url },
    })
  const [one, two] = [await gate(), await gate()]
  await eventually(async () => {
    const body = { model: 'w', messages: [{ role: 'user', content: `warm ${Math.random()}` }] }
    await call(one.port, body)
    await Bun.sleep(20)
    return status(await call(two.port, body)) === 'HIT'
  }, 'both to reach Redis')
  return { one, two, upstream, redis }
}

/** Answers at once, but what names "slow" when it is told to. */
function held() {
  const release = Promise.withResolvers<void>()
  let slow = 0
  const script: Script = async (seen, peer) => {
    const text = seen.body.toString()
    if (!text.includes('slow')) return void (await peer.write(reply(200, completion('warm'))))
    slow++
    const mine = slow
    if (!text.includes('"stream":true')) {
      await release.promise
      return void (await peer.write(reply(200, completion(`answer ${mine}`))))
    }
    await peer.write(eventsHead)
    await release.promise
    for (const frame of completionFrames(`answer ${mine}`, true)) await peer.write(chunk(frame))
    await peer.write(lastChunk)
  }
  return { script, release: () => release.resolve(), asked: () => slow }
}

describe.skipIf(!redisFound)('two gateways, one Redis (needs redis)', () => {
  test('identical calls at both are one call, whole and as streams (needs redis)', async () => {
    for (const [first, second] of [
      [{}, {}],
      [{ stream: true }, {}],
      [{}, { stream: true }],
    ]) {
      const { script, release, asked } = held()
      const { one, two } = await world(script, { coalesceAcross: '20s' })
      const led = [call(one.port, chat('slow', first)), call(one.port, chat('slow', first))]
      await eventually(() => asked() === 1, 'the first to ask')
      const others = [call(two.port, chat('slow', second)), call(two.port, chat('slow', second))]
      await eventually(() => two.gateway.exchanges === 2, 'the others to wait')
      await Bun.sleep(100)
      expect(asked()).toBe(1)
      release()
      const answers = await Promise.all([...led, ...others])
      expect(answers.map(textOf)).toEqual(['answer 1', 'answer 1', 'answer 1', 'answer 1'])
      expect(answers.map(status)[2]).toBe('COALESCED')
      expect(asked()).toBe(1)
    }
  })

  test('nobody waits longer than it says, and then asks for itself (needs redis)', async () => {
    const { script, release, asked } = held()
    const { one, two } = await world(script, { coalesceAcross: '300ms' })
    // The other waits while the first has its lease, which begins behind this moment.
    const startedAtMs = performance.now()
    const led = call(one.port, chat('slow'))
    await eventually(() => asked() === 1)
    const other = call(two.port, chat('slow'))
    await eventually(() => asked() === 2, 'the other to ask')
    expect(performance.now() - startedAtMs).toBeGreaterThan(150)
    release()
    expect([status(await led), status(await other)]).toEqual(['MISS', 'MISS'])
  })

  test('a call that fails at one gateway is made by the other (needs redis)', async () => {
    let asked = 0
    const fail = Promise.withResolvers<void>()
    const { one, two } = await world(
      async (seen, peer) => {
        if (!seen.body.includes('slow')) return void (await peer.write(reply(200, completion('warm'))))
        if (++asked > 1) return void (await peer.write(reply(200, completion('second'))))
        await fail.promise
        await peer.write(reply(400, '{"error":{"message":"no","type":"x"}}'))
      },
      { coalesceAcross: '20s' },
    )
    const led = call(one.port, chat('slow'))
    await eventually(() => asked === 1)
    const other = call(two.port, chat('slow'))
    await eventually(() => two.gateway.exchanges === 1)
    fail.resolve()
    expect((await led).status).toBe(400)
    expect([(await other).status, textOf(await other), asked]).toEqual([200, 'second', 2])
  })

  test('whoever leaves while it waits makes no call (needs redis)', async () => {
    const { script, release, asked } = held()
    const { one, two } = await world(script, { coalesceAcross: '20s' })
    const led = call(one.port, chat('slow'))
    await eventually(() => asked() === 1)
    const peer = await dial(two.port)
    void peer.write(request('POST', '/v1/chat/completions', jsonBody(chat('slow'))))
    await eventually(() => two.gateway.exchanges === 1)
    peer.close()
    await eventually(() => two.gateway.exchanges === 0, 'the exchange to end')
    release()
    await led
    expect(asked()).toBe(1)
  })

  test('a Redis that hangs delays nobody (needs redis)', async () => {
    const { script, release, asked } = held()
    release()
    const { one, redis } = await world(script, { coalesceAcross: '20s' })
    redis.signal('SIGSTOP')
    const sinceAskedMs = startTiming()
    expect(status(await call(one.port, chat('slow')))).toBe('MISS')
    expect(sinceAskedMs()).toBeLessThan(1500)
    redis.signal('SIGCONT')
    expect(asked()).toBe(1)
  })

  test('an answer past its time is fetched anew by one, at once (needs redis)', async () => {
    const { script, release, asked } = held()
    release()
    const { one, two } = await world(script, { coalesceAcross: '20s', ttl: '1s', jitter: 0 })
    await call(one.port, chat('slow'))
    await Bun.sleep(1100)
    const sinceAskedMs = startTiming()
    expect(status(await call(two.port, chat('slow')))).not.toBe('HIT')
    expect(sinceAskedMs()).toBeLessThan(5000)
    expect(asked()).toBe(2)
  })
})
