// Promise: gateways that share a Redis share what they know of upstreams: what one has found broken the others stop asking
// at once, and ask again once one of them has found it well. Without Redis each finds out by itself.

import { expect, test } from 'bun:test'
import { Secret } from '../../src/base/secret.ts'
import { systemClock } from '../../src/base/clock.ts'
import { RedisStore } from '../../src/storage/redis.ts'
import { RedisBreakers } from '../../src/storage/redis-breakers.ts'
import { redisFound, startRedis, type RedisServer } from '../storage/redis-server.ts'
import { callAdmin } from './admin-call.ts'
import { chat } from './failover/accounts.ts'
import { eventually, finallyClose, promiseTests, served, startGate, upstreamAt, type ConfigTree } from './harness.ts' // prettier-ignore
import { fine, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const token = 'a-token-of-the-operators-00001'
const admin = { listen: '127.0.0.1:0', token }
const dead = reply(500, '{"error":{"message":"broken"}}')

interface Port {
  readonly port: number
  readonly adminPort: number
}

async function rowOf({ adminPort }: Port): Promise<{ breaker: string; limitedForMs: number }> {
  return (await callAdmin(adminPort, 'GET /api/upstreams', { token })).json.rows[0]
}

async function redisHere(): Promise<RedisServer> {
  const redis = await startRedis()
  finallyClose(() => redis.remove())
  return redis
}

function twoUpstreams() {
  const state = { works: false }
  const first = ScriptedUpstream.start((seen, peer) => {
    if (state.works) void fine(seen, peer)
    else void peer.write(dead)
  })
  const second = ScriptedUpstream.start(fine)
  finallyClose(() => first.stop())
  finallyClose(() => second.stop())
  return { state, first, second }
}

function treeOf({ first, second }: ReturnType<typeof twoUpstreams>, cooldown: string): ConfigTree {
  return {
    admin,
    upstreams: [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
    routes: [{ pick: 'priority', breaker: { failures: 2, cooldown } }],
  }
}

/** A gateway in this process, with a connection of its own. */
async function gateOver(redis: RedisServer, tree: ConfigTree): Promise<Port> {
  const urls = [new Secret(redis.url)]
  const store = new RedisStore({ urls, clock: systemClock, event: () => {}, waitMs: 3000 })
  await store.open(5000)
  const breakers = new RedisBreakers(urls, store)
  finallyClose(async () => {
    breakers.close()
    await store.close()
  })
  return startGate(tree, { redis: store, breakers })
}

async function trip(gate: Port): Promise<void> {
  await eventually(async () => {
    await chat(gate)
    return (await rowOf(gate)).breaker === 'open'
  }, 'the breaker to open')
}

test.skipIf(!redisFound)(
  'what one finds broken two others leave alone at once, one of which started later; so it is when it works again (needs redis)',
  async () => {
    const redis = await redisHere()
    const ups = twoUpstreams()
    const tree = { ...treeOf(ups, '12s'), storage: undefined }
    const withRedis = (folder: string) => ({ ...tree, storage: { path: folder, redis: redis.url } })
    const a = await served({ tree: withRedis('./data') })
    const b = await gateOver(redis, tree)
    await trip(a)
    const openedAtMs = performance.now()
    await eventually(async () => (await rowOf(b)).breaker === 'open', 'the other to hear of it', 5000)
    const asked = ups.first.requests.length
    for (let count = 0; count < 5; count++)
      expect(await chat(b)).toMatchObject({ status: 200, upstream: 'second', attempts: 1 })
    const c = await gateOver(redis, tree)
    await eventually(async () => (await rowOf(c)).breaker === 'open', 'one that started later to know', 5000)
    expect(await chat(c)).toMatchObject({ upstream: 'second', attempts: 1 })
    expect(ups.first.requests).toHaveLength(asked)
    ups.state.works = true
    // Whoever gets the probe, all of them know of it.
    await eventually(
      async () => {
        await Promise.all([a, b, c].map((gate) => chat(gate)))
        const rows = await Promise.all([a, b, c].map(rowOf))
        return rows.some(({ breaker }) => breaker === 'closed')
      },
      'a probe to work',
      30_000,
    )
    expect(performance.now() - openedAtMs).toBeGreaterThan(5000)
    await eventually(
      async () => (await Promise.all([a, b, c].map(rowOf))).every(({ breaker }) => breaker === 'closed'),
      'all to hear of it',
      5000,
    )
    for (const gate of [a, b, c]) expect((await chat(gate)).upstream).toBe('first')
  },
)

test.skipIf(!redisFound)('one gateway alone probes (needs redis)', async () => {
  const redis = await redisHere()
  const ups = twoUpstreams()
  const tree = treeOf(ups, '500ms')
  const gates = [await gateOver(redis, tree), await gateOver(redis, tree), await gateOver(redis, tree)]
  await trip(gates[0]!)
  await eventually(async () => (await Promise.all(gates.map(rowOf))).every(({ breaker }) => breaker !== 'closed')) // prettier-ignore
  const asked = ups.first.requests.length
  // The probe hangs: meanwhile nobody else tries.
  const held: (() => void)[] = []
  ups.first.script = (_, peer) => void held.push(() => void peer.write(dead))
  const calls: Promise<unknown>[] = []
  await eventually(async () => {
    calls.push(...gates.map((gate) => chat(gate)))
    await Bun.sleep(20)
    return held.length > 0
  }, 'a probe')
  for (let count = 0; count < 10; count++)
    await Promise.all(gates.map((gate) => Promise.race([chat(gate), Bun.sleep(200)])))
  expect(ups.first.requests).toHaveLength(asked + 1)
  held.forEach((answer) => answer())
  await Promise.all(calls)
})

test.skipIf(!redisFound)('a spent quota is known to the others (needs redis)', async () => {
  const redis = await redisHere()
  const ups = twoUpstreams()
  ups.first.script = (_, peer) =>
    peer.write(reply(429, '{"error":{"code":"insufficient_quota","type":"insufficient_quota"}}'))
  const tree = treeOf(ups, '1s')
  const [a, b] = [await gateOver(redis, tree), await gateOver(redis, tree)]
  expect(await chat(a)).toMatchObject({ upstream: 'second', attempts: 2 })
  await eventually(async () => (await rowOf(b)).limitedForMs > 500_000, 'the other to hear of it', 5000)
  expect(await chat(b)).toMatchObject({ upstream: 'second', attempts: 1 })
  expect(ups.first.requests).toHaveLength(1)
})

test.skipIf(!redisFound)(
  'without Redis each is on its own; what is told when it is back is heard (needs redis)',
  async () => {
    const redis = await redisHere()
    const ups = twoUpstreams()
    const tree = treeOf(ups, '300ms')
    const [a, b] = [await gateOver(redis, tree), await gateOver(redis, tree)]
    await redis.kill()
    await trip(a)
    expect((await rowOf(b)).breaker).toBe('closed')
    ups.state.works = true
    await eventually(async () => (await chat(a)).upstream === 'first', 'a probe without asking anybody')
    await redis.start()
    ups.state.works = false
    await eventually(async () => {
      await chat(a)
      await Bun.sleep(20)
      return (await rowOf(b)).breaker !== 'closed'
    }, 'the other to hear again')
  },
)

test.skipIf(!redisFound)('what makes no sense is not heard (needs redis)', async () => {
  const redis = await redisHere()
  const ups = twoUpstreams()
  ups.state.works = true
  const gate = await gateOver(redis, treeOf(ups, '1s'))
  expect((await chat(gate)).upstream).toBe('first')
  const model = 'gpt-4o-mini'
  const publish = (text: string) => redis.cli('publish', 'headgate:breakers', text)
  await eventually(async () => (await publish('hello')) === '1', 'the gateway to listen')
  for (const hostile of [
    '',
    '{"account":"first"}',
    '[]',
    'null',
    JSON.stringify(['x', 'breaker', 'first', model, -1, 1]),
    JSON.stringify(['x', 'breaker', 'first', model, '5000', 1]),
    JSON.stringify(['x', 'breaker', 'first', model, 1e300, 1]),
    JSON.stringify(['x', 'breaker', 'first', model, 5000, 99]),
    JSON.stringify(['x', 'breaker', 'first', model, 5000]),
    JSON.stringify(['x', 'breaker', ['first'], model, 5000, 1]),
    JSON.stringify(['x', 'drain', 'first', model, 5000, 1]),
    JSON.stringify(['x', 'breaker', 'nobody', model, 5000, 1]),
    JSON.stringify(['x', 'breaker', '__proto__', model, 5000, 1]),
    JSON.stringify(['x', 'breaker', 'first', 'm'.repeat(5000), 5000, 1]),
    '['.repeat(900),
  ])
    await publish(hostile)
  // A state that is none, and of the wrong kind.
  await redis.cli('set', 'headgate:{breakers}:shut', 'nonsense')
  expect(await chat(gate)).toMatchObject({ upstream: 'first', attempts: 1 })
  expect((await rowOf(gate)).breaker).toBe('closed')
  // What does make sense is.
  await publish(JSON.stringify(['x', 'breaker', 'first', model, 5000, 1]))
  await eventually(async () => (await rowOf(gate)).breaker === 'open', 'a message that fits', 5000)
  ups.state.works = false
  const late = await gateOver(redis, treeOf(ups, '60s'))
  await trip(late)
  expect(await redis.cli('hkeys', 'headgate:{breakers}:shut')).toContain('"breaker","first"')
  expect(Number(await redis.cli('pttl', 'headgate:{breakers}:shut'))).toBeWithin(50_000, 60_001)
})

test.skipIf(!redisFound)('what is kept there has a bound, and an end (needs redis)', async () => {
  const redis = await redisHere()
  const key = 'headgate:{breakers}:shut'
  const fill = "for i = 1, 5000 do redis.call('HSET', KEYS[1], 'field' .. i, '9999999999999 1') end"
  await redis.cli('eval', fill, '1', key)
  const ups = twoUpstreams()
  const gate = await gateOver(redis, treeOf(ups, '60s'))
  await trip(gate)
  await redis.cli('hdel', key, 'field1')
  await eventually(async () => {
    await chat(gate, { model: 'gpt-4o' })
    return (await redis.cli('hkeys', key)).includes('"gpt-4o"')
  }, 'the one for which there is room')
  expect(await redis.cli('hlen', key)).toBe('5000')
  expect(await redis.cli('hkeys', key)).not.toContain('"gpt-4o-mini"')
  await eventually(async () => Number(await redis.cli('pttl', key)) > 0, 'an end')
})
