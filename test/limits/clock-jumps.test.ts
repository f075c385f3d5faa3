// Clocks that jump: that of the machine whose Redis is shared, and that of a gateway. No window begins anew, and nobody is
// locked out for longer than a window. The clock of the process is covered in stage.test.ts.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { SharedStore } from '../../src/stages/3-limit/limit.ts'
import type { RedisStore } from '../../src/storage/redis.ts'
import { redisFound, startRedis, type RedisServer } from '../storage/redis-server.ts'
import { exchange, finish, HandClock, openRedis, per, refused, stageOf } from './stage.ts'

setDefaultTimeout(60_000)

const hourMs = 3_600_000

/** What scripts read the time by, and the same with a jump: Redis offers no clock that a test could set. */
const readsTime = "local t = redis.call('TIME')"
const offsetKey = '{headgate}:offset'
const readsJumpedTime = `${readsTime} t[1] = t[1] + tonumber(redis.call('GET', '${offsetKey}') or '0')`

/** A store whose scripts see the clock jumped. */
function jumpy(store: RedisStore): SharedStore {
  const changed = <T extends { readonly script: { readonly name: string; readonly lua: string } }>(
    call: T,
  ): T => {
    const { name, lua } = call.script
    expect(lua).toContain(readsTime)
    return { ...call, script: { name: `${name}Jumpy`, lua: lua.replaceAll(readsTime, readsJumpedTime) } }
  }
  return {
    get up() {
      return store.up
    },
    run: (call) => store.run(changed(call)),
    tell: (call) => store.tell(changed(call)),
  }
}

describe('the clock of Redis', () => {
  let server: RedisServer
  const opened: RedisStore[] = []
  const stores: SharedStore[] = []
  /** Sets its clock so many seconds ahead of the true one; keys that would not live so long are gone then. */
  const jump = async (seconds: number): Promise<void> => {
    await server.cli('set', offsetKey, String(seconds))
    const keys = (await server.cli('keys', '*')).split('\n')
    for (const key of keys) {
      const lifeMs = Number(await server.cli('pttl', key))
      if (lifeMs >= 0 && lifeMs < seconds * 1000) await server.cli('del', key)
    }
  }

  beforeAll(async () => {
    if (!redisFound) return
    server = await startRedis()
    for (let count = 0; count < 2; count++) opened.push(await openRedis(server.url))
    stores.push(...opened.map(jumpy))
  })
  afterAll(async () => {
    for (const store of opened) await store.close()
    await server?.remove()
  })

  const kinds = [
    { name: 'sliding', requests: per('3/1m') },
    { name: 'rate', requests: per('3/1h'), burst: 2 },
    { name: 'month', budget: per('$3/month') },
    { name: 'slots', concurrent: 3 },
  ]
  for (const limit of kinds)
    for (const seconds of [3600, -3600])
      test.skipIf(!redisFound)(
        `${limit.name}, by ${seconds / 3600} h: no second window (needs redis)`,
        async () => {
          await server.cli('flushall')
          const gate = stageOf([limit], { shared: stores[0]! })
          for (let at = 0; at < 3; at++) expect(await refused(gate, exchange({}, { cost: 1e9 }))).toBeNull()
          await jump(seconds)
          for (let at = 0; at < 5; at++) expect(await refused(gate, exchange({}, { cost: 1 }))).not.toBeNull()
          gate.close()
        },
      )

  test.skipIf(!redisFound)('set back, it locks nobody out (needs redis)', async () => {
    await server.cli('flushall')
    await jump(3600)
    const limits = [
      { name: 'window', requests: per('4/1s') },
      { name: 'rate', requests: per('4/1s'), burst: 3 },
      { name: 'slots', concurrent: 4 },
      { name: 'money', budget: per('$4') },
    ]
    const dead = stageOf(limits, { shared: stores[0]!, leaseMs: 1000 })
    for (let at = 0; at < 4; at++) expect(await refused(dead, exchange({}, { cost: 1e9 }))).toBeNull()
    // It dies with all of it reserved, and the clock goes back.
    dead.close()
    await jump(0)
    const alive = stageOf(limits, { shared: stores[1]!, leaseMs: 1000 })
    expect(await refused(alive, exchange({}, { cost: 1 }))).not.toBeNull()
    const endsAtMs = performance.now() + 10_000
    let x = exchange({}, { cost: 1e9 })
    while ((await refused(alive, x)) !== null) {
      expect(performance.now()).toBeLessThan(endsAtMs)
      await Bun.sleep(50)
      x = exchange({}, { cost: 1e9 })
    }
    finish(alive, x, { cost: 1e9 })
    alive.close()
  })
})

describe('the clock of a gateway', () => {
  test.skipIf(!redisFound)('jumps, and its month in Redis stays the same (needs redis)', async () => {
    const server = await startRedis()
    const store = await openRedis(server.url)
    try {
      for (const jumpMs of [hourMs, -hourMs, 40 * 24 * hourMs]) {
        await server.cli('flushall')
        const clock = new HandClock()
        clock.wallClockMs = Date.parse('2026-11-30T23:30:00Z')
        const limits = [{ name: 'money', budget: per('$1/month') }, { name: 'rpm', requests: per('5/1m') }] // prettier-ignore
        const jumping = stageOf(limits, { shared: store, clock })
        const steady = stageOf(limits, { shared: store, clock: new HandClock() })
        const x = exchange({}, { cost: 1e9 })
        expect(await refused(jumping, x)).toBeNull()
        finish(jumping, x, { cost: 1e9 })
        clock.wallClockMs += jumpMs
        expect((await refused(jumping, exchange({}, { cost: 1 })))?.code).toBe('budget_exceeded')
        expect((await refused(steady, exchange({}, { cost: 1 })))?.code).toBe('budget_exceeded')
        expect(await refused(jumping, exchange({}, { cost: 0 }))).toBeNull()
      }
    } finally {
      await store.close()
      await server.remove()
    }
  })
})
