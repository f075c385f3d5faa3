import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Reply } from '../../src/exchange.ts'
import type { Failure } from '../../src/failure.ts'
import type { LimitStage } from '../../src/stages/3-limit/limit.ts'
import { startTiming, watchStandstill } from '../running-time.ts'
import { redisFound, startRedis, type RedisServer } from '../storage/redis-server.ts'
import type { RedisStore } from '../../src/storage/redis.ts'
import { limitContract } from './contract.ts'
import { exchange, finish, openRedis, per, refused, stageOf } from './stage.ts'

setDefaultTimeout(60_000)

describe('in the process', () => {
  limitContract((limits) => Promise.resolve(stageOf(limits)), { name: '', skip: false })
})

describe('in Redis', () => {
  let server: RedisServer
  let store: RedisStore
  let second: RedisStore
  beforeAll(async () => {
    if (!redisFound) return
    server = await startRedis()
    store = await openRedis(server.url)
    second = await openRedis(server.url)
  })
  afterAll(async () => {
    await store?.close()
    await second?.close()
    await server?.remove()
  })

  limitContract(
    async (limits) => {
      await server.cli('flushall')
      return stageOf(limits, { shared: store })
    },
    { name: '(needs redis)', skip: !redisFound },
  )

  test.skipIf(!redisFound)(
    'two gateways are one: 200 at once from both find what one would (needs redis)',
    async () => {
      await server.cli('flushall')
      const limits = [
        { name: 'money', budget: per('$3/month') },
        { name: 'tokens', tokens: per('1000000/1m') },
      ]
      const gates = [stageOf(limits, { shared: store }), stageOf(limits, { shared: second })]
      const asked = Array.from({ length: 200 }, (_, at) => ({
        gate: gates[at % 2]!,
        x: exchange({}, { output: 10, cost: 1e9 }),
      }))
      const answers = await Promise.all(asked.map(({ gate, x }) => refused(gate, x)))
      const passed = asked.filter((_, at) => answers[at] === null)
      expect(passed).toHaveLength(3)
      for (const { gate, x } of passed) finish(gate, x, { output: 10, cost: 1e9 })
      const later = await Promise.all(
        gates.flatMap((gate) => Array.from({ length: 20 }, () => refused(gate, exchange({}, { cost: 1 })))),
      )
      expect(later.filter((one) => one === null)).toHaveLength(0)
    },
  )

  test.skipIf(!redisFound)(
    "an upstream's limits are shared without waiting: what others used counts from the first answer on (needs redis)",
    async () => {
      await server.cli('flushall')
      const upstreams = new Map([
        ['main', { requests: per('10/1h') }],
        ['slots', { concurrent: 2 }],
      ])
      const [one, two] = [store, second].map((shared) => stageOf([], { shared, upstreams }))
      const target = (name: string) => ({ name, account: name, providerName: 'openai' })
      const call = async (stage: LimitStage, name: string) => {
        const x = exchange()
        const send = stage.around(() => Promise.resolve({ headerLines: '' } as Reply))
        const failure = await send(x, target(name)).then(
          () => null,
          (cause: Failure) => cause,
        )
        return { failure, end: () => finish(stage, x, {}) }
      }
      for (let at = 0; at < 6; at++) expect((await call(one!, 'main')).failure).toBeNull()
      expect((await call(two!, 'main')).failure).toBeNull()
      await eventually(
        () => two!.quota.waitMs('main', exchange(), null) === 0 && two!.quota.room('main') === 3,
      )
      for (let at = 0; at < 3; at++) expect((await call(two!, 'main')).failure).toBeNull()
      const refusedHere = await call(two!, 'main')
      expect(refusedHere.failure).toMatchObject({ code: 'rate_limit_exceeded', retryAfterMs: 1000 })
      // The first one learns it with its next call, which may be one too many.
      await call(one!, 'main')
      await eventually(() => one!.quota.waitMs('main', exchange(), null) > 0)

      // What others give back is noticed though nothing more is sent there.
      const held = [await call(one!, 'slots'), await call(one!, 'slots')]
      const own = await call(two!, 'slots')
      await eventually(() => two!.quota.waitMs('slots', exchange(), null) > 0)
      own.end()
      for (const { end } of held) end()
      await eventually(() => two!.quota.waitMs('slots', exchange(), null) === 0)
    },
  )

  test.skipIf(!redisFound)('one round trip a request, however many limits (needs redis)', async () => {
    // One of its own: gates of other tests renew what they hold now and then.
    const own = await startRedis()
    const shared = await openRedis(own.url)
    const limits = Array.from({ length: 10 }, (_, at) => ({ name: `l${at}`, requests: per('1000/1m') }))
    const gate = stageOf(limits, { shared })
    // The first hands the script over.
    for (let at = 0; at < 2; at++) await gate.reserve(exchange())
    const calls = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await own.cli('info', 'commandstats'))![1])
    const before = await calls()
    for (let at = 0; at < 10; at++) await gate.reserve(exchange())
    const after = await calls()
    await shared.close()
    await own.remove()
    expect(after - before).toBe(10)
  })

  test.skipIf(!redisFound)(
    'a sliding window of Redis lets go again when it is over (needs redis)',
    async () => {
      await server.cli('flushall')
      const gate = stageOf([{ name: 's', tokens: per('10/1s') }], { shared: store })
      const sinceBegunMs = startTiming()
      // Redis counted each of them between these two moments.
      const times: { askedAtMs: number; toldAtMs: number }[] = []
      while (times.length < 30) {
        const x = exchange({}, { output: 1 })
        const askedAtMs = performance.now()
        const failure = await refused(gate, x)
        if (failure === null) {
          times.push({ askedAtMs, toldAtMs: performance.now() })
          finish(gate, x, { output: 1 })
        } else await Bun.sleep(Math.min(failure.retryAfterMs!, 100))
      }
      expect(sinceBegunMs()).toBeLessThan(3500)
      for (const [index, { toldAtMs }] of times.entries())
        if (index >= 10) expect(toldAtMs - times[index - 10]!.askedAtMs).toBeGreaterThan(990)
    },
  )

  test.skipIf(!redisFound)(
    'a gateway that died gives back what it held when its time is over (needs redis)',
    async () => {
      const limits = [
        { name: 'money', budget: per('$1/month') },
        { name: 'slots', concurrent: 1 },
      ]
      let alive: LimitStage
      for (let renewed = false; !renewed;) {
        await server.cli('flushall')
        const stoodMs = watchStandstill()
        const dead = stageOf(limits, { shared: store, leaseMs: 1500 })
        alive = stageOf(limits, { shared: second, leaseMs: 1500 })
        const first = await refused(dead, exchange({}, { cost: 1e9 }))
        const others = [await refused(alive, exchange({}, { cost: 1e9 }))]
        // While it lives, it renews.
        await Bun.sleep(2500)
        others.push(await refused(alive, exchange({}, { cost: 1e9 })))
        dead.close()
        // One that stands still for long renews nothing: then all of it is tried again.
        renewed = stoodMs() < 800
        if (!renewed) continue
        expect(first).toBeNull()
        for (const other of others) expect(other).not.toBeNull()
      }
      const diedAtMs = performance.now()
      while ((await refused(alive!, exchange({}, { cost: 1e9 }))) !== null) {
        expect(performance.now() - diedAtMs).toBeLessThan(10_000)
        await Bun.sleep(50)
      }
    },
  )

  test.skipIf(!redisFound)('Redis that lost its memory learns what was spent (needs redis)', async () => {
    await server.cli('flushall')
    const gate = stageOf([{ name: 'money', budget: per('$3/month') }], { shared: store })
    const x = exchange({}, { cost: 2e9 })
    expect(await refused(gate, x)).toBeNull()
    finish(gate, x, { cost: 2e9 })
    await server.cli('flushall')
    expect(await refused(gate, exchange({}, { cost: 2e9 }))).not.toBeNull()
    expect(await refused(gate, exchange({}, { cost: 1e9 }))).toBeNull()
  })

  test.skipIf(!redisFound)(
    'stopped or killed, it holds up nobody for long, and comes back by itself (needs redis)',
    async () => {
      const own = await startRedis()
      const said: string[] = []
      // Long enough for a Redis on a busy machine that is not away.
      const waitMs = 150
      const shared = await openRedis(own.url, waitMs, said)
      try {
        for (const whenRedisDown of ['local', 'refuse'] as const) {
          for (const how of ['stop', 'kill'] as const) {
            const gate = stageOf([{ name: 'n', requests: per('1000000/1h') }], { shared, whenRedisDown })
            while (!shared.up) await Bun.sleep(10)
            expect(await refused(gate, exchange())).toBeNull()
            if (how === 'stop') own.signal('SIGSTOP')
            else await own.kill()
            const waits: number[] = []
            for (let at = 0; at < 60; at++) {
              const from = performance.now()
              const failure = await refused(gate, exchange())
              waits.push(performance.now() - from)
              if (at > 0) expect(failure?.code ?? null).toBe(whenRedisDown === 'local' ? null : 'overloaded')
            }
            // The one or two that found out waited; the median shows that the others did not.
            expect(waits.filter((ms) => ms > waitMs * 0.9).length).toBeLessThanOrEqual(3)
            if (how === 'stop') own.signal('SIGCONT')
            else await own.start()
            const endsAtMs = performance.now() + 20_000
            while (!shared.up && performance.now() < endsAtMs) await Bun.sleep(10)
            expect(shared.up).toBe(true)
            expect(await refused(gate, exchange())).toBeNull()
          }
        }
        expect(said.some((text) => text.startsWith('Redis is away'))).toBe(true)
      } finally {
        await shared.close()
        await own.remove()
      }
    },
  )
})

/** Resolves when it holds. */
async function eventually(holds: () => boolean): Promise<void> {
  const endsAtMs = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > endsAtMs) throw new Error('it never holds')
    await Bun.sleep(10)
  }
}
