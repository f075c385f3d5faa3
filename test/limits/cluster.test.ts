// Limits over a real Redis Cluster: all keys of a request on one node, one round trip, and the same promises as on one server.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startRedisCluster, type RedisCluster } from '../storage/redis-cluster.ts'
import { redisFound } from '../storage/redis-server.ts'
import type { RedisStore } from '../../src/storage/redis.ts'
import { limitContract } from './contract.ts'
import { exchange, finish, openRedis, per, refused, stageOf } from './stage.ts'

setDefaultTimeout(90_000)

const limits = Array.from({ length: 10 }, (_, at) => ({ name: `l${at}`, requests: per('1000/1m') }))

describe('in a Redis Cluster', () => {
  let cluster: RedisCluster
  let store: RedisStore
  let second: RedisStore
  beforeAll(async () => {
    if (!redisFound) return
    cluster = await startRedisCluster()
    store = await openRedis(cluster.urls)
    // Another gateway may name other nodes, or not all.
    second = await openRedis(cluster.urls.slice(1))
  })
  afterAll(async () => {
    await store?.close()
    await second?.close()
    await cluster?.remove()
  })
  const empty = () => Promise.all(cluster.nodes.map((node) => node.cli('flushall')))

  limitContract(
    async (given) => {
      await empty()
      return stageOf(given, { shared: store })
    },
    { name: '(needs redis)', skip: !redisFound },
  )

  test.skipIf(!redisFound)('one call of one node a request, however many limits (needs redis)', async () => {
    await empty()
    const gate = stageOf(limits, { shared: store })
    await gate.reserve(exchange())
    const calls = (): Promise<number[]> =>
      Promise.all(
        cluster.nodes.map(async (node) => {
          const stats = await node.cli('info', 'commandstats')
          return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
        }),
      )
    const before = await calls()
    for (let at = 0; at < 10; at++) await gate.reserve(exchange({ key: `key-${at}`, team: `team-${at}` }))
    const after = await calls()
    expect(after.map((count, at) => count - before[at]!).toSorted((a, b) => a - b)).toEqual([0, 0, 10])
  })

  test.skipIf(!redisFound)('two gateways are one (needs redis)', async () => {
    await empty()
    const money = [{ name: 'money', budget: per('$3/month') }]
    const gates = [stageOf(money, { shared: store }), stageOf(money, { shared: second })]
    const asked = Array.from({ length: 100 }, (_, at) => ({
      gate: gates[at % 2]!,
      x: exchange({}, { cost: 1e9 }),
    }))
    const answers = await Promise.all(asked.map(({ gate, x }) => refused(gate, x)))
    const passed = asked.filter((_, at) => answers[at] === null)
    expect(passed).toHaveLength(3)
    for (const { gate, x } of passed) finish(gate, x, { cost: 1e9 })
    expect(await refused(gates[1]!, exchange({}, { cost: 1 }))).not.toBeNull()
  })

  test.skipIf(!redisFound)(
    'the node that keeps the limits may die and come back; others that live do not hide it (needs redis)',
    async () => {
      const quick = await openRedis(cluster.urls, 150)
      try {
        const gate = stageOf(limits, { shared: quick, whenRedisDown: 'refuse' })
        while (!quick.up) await Bun.sleep(10)
        expect(await refused(gate, exchange())).toBeNull()
        const node = await cluster.nodeOf('{headgate}')
        for (const how of ['stop', 'kill'] as const) {
          if (how === 'stop') node.signal('SIGSTOP')
          else await node.kill()
          await refused(gate, exchange())
          let came = 0
          const endsAtMs = performance.now() + 1500
          while (performance.now() < endsAtMs) {
            if (quick.up) came += 1
            expect((await refused(gate, exchange()))?.code).toBe('overloaded')
            await Bun.sleep(5)
          }
          expect(came).toBe(0)
          if (how === 'stop') node.signal('SIGCONT')
          else await node.start()
          await cluster.whole()
          while (!quick.up) await Bun.sleep(10)
          expect(await refused(gate, exchange())).toBeNull()
        }
      } finally {
        await quick.close()
      }
    },
  )
})
