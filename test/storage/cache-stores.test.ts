// One suite for every place where answers are kept: memory, disk and Redis, with and without encryption.

import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Secret } from '../../src/base/secret.ts'
import { DiskStore } from '../../src/stages/5-cache/disk.ts'
import { zeroUsage } from '../../src/openai/usage.ts'
import { Entry } from '../../src/stages/5-cache/entry.ts'
import { packEntry, unpackEntry } from '../../src/stages/5-cache/pack.ts'
import { MemoryStore } from '../../src/stages/5-cache/memory.ts'
import { RedisCacheStore } from '../../src/stages/5-cache/redis.ts'
import { noSeal, sealWith } from '../../src/stages/5-cache/sealed.ts'
import type { PurgeMark, Store } from '../../src/stages/5-cache/store.ts'
import { Tiers } from '../../src/stages/5-cache/tiers.ts'
import { openRedisCache } from '../../src/storage/redis-cache.ts'
import { MovedClock } from '../gateway/cache-calls.ts'
import { eventually } from '../gateway/harness.ts'
import { redisFound, startRedis, type RedisServer } from './redis-server.ts'

const clock = new MovedClock()
const secret = new Secret('a-storage-key-of-thirty-two-characters-or-more')
const folders: string[] = []
const closers: (() => void)[] = []
let redis: RedisServer | null = null

afterAll(async () => {
  for (const close of closers) close()
  await redis?.remove()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const keyOf = (name: string): string => Bun.SHA256.hash(name, 'hex')

function entry(
  name: string,
  more: { model?: string; team?: string; tags?: string[]; body?: Uint8Array; forMs?: number } = {},
): Entry {
  const nowMs = clock.wallMs()
  const { model = 'm', team = 't', tags = [], body = Buffer.from(`body of ${name}`), forMs = 60_000 } = more
  const facts = {
    usage: null,
    provider: null,
    upstream: null,
    upstreamModel: null,
    answeredModel: null,
    serviceTier: null,
    costNanoUsd: 12,
    status: 200,
    contentType: 'application/json',
    headerLines: 'Content-Type: application/json\r\n',
    form: 'json' as const,
    endpoint: 'chat.completions',
    model,
    team,
    tags,
    createdAtMs: nowMs,
    freshUntilMs: nowMs + forMs,
    keptUntilMs: nowMs + forMs,
    askedAtMs: nowMs,
    pace: null,
  }
  return new Entry(keyOf(name), facts, body)
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'headgate-cache-'))
  folders.push(made)
  return made
}

function diskStore(
  at: string,
  more: { bytesMax?: number; inactiveMs?: number; seal?: typeof noSeal } = {},
): DiskStore {
  const { bytesMax = 1e9, inactiveMs = 86_400_000, seal = noSeal } = more
  const store = new DiskStore(
    { folder: at, bytesMax, inactiveMs },
    { clock, seal, tell: () => {}, purged: () => {} },
  )
  closers.push(() => store.close())
  return store
}

const kinds: Record<string, () => Promise<{ store: Store; tiers: Tiers }>> = {
  memory: async () => over(null),
  disk: async () => over(diskStore(folder())),
  'disk, sealed': async () => over(diskStore(folder(), { seal: sealWith(secret) })),
  'redis (needs redis)': async () => over(await redisStore(noSeal)),
  'redis, sealed (needs redis)': async () => over(await redisStore(sealWith(secret))),
}

/** The store, and what the gateway asks: tiers with an empty memory on top of it. */
function over(lower: Store | null): { store: Store; tiers: Tiers } {
  const store = lower ?? new MemoryStore(1e9, clock)
  const nothing = {
    get: () => null,
    put: () => {},
    welcome: () => {},
    purge: () => 0,
    remove: () => {},
    resized: () => {},
    stats: store.stats.bind(store),
  }
  return { store, tiers: new Tiers(nothing, [{ store, skewMs: 0, use: null }]) }
}

async function redisStore(seal: typeof noSeal): Promise<RedisCacheStore> {
  redis ??= await startRedis()
  const client = openRedisCache([new Secret(redis.url)], clock)
  await eventually(() => client.trouble() === null, 'Redis')
  const store = new RedisCacheStore(client, { clock, seal, purged: () => {} })
  closers.push(() => store.close())
  return store
}

for (const [kind, open] of Object.entries(kinds)) {
  const run = test.skipIf(kind.includes('needs redis') && !redisFound)
  describe(kind, () => {
    run(
      `gives what was put last, and nothing else (${kind.includes('redis') ? 'needs redis' : 'needs nothing'})`,
      async () => {
        const { store } = await open()
        expect(await store.get(keyOf('a'))).toBeNull()
        const [one, two] = [entry('a'), entry('a', { body: Buffer.from('second') })]
        store.put(one)
        store.put(two)
        store.put(entry('b'))
        const found = await eventually(() => store.get(keyOf('a')))
        expect([Buffer.from(found.body).toString(), found.facts, found.key]).toEqual([
          'second',
          two.facts,
          two.key,
        ])
        expect(Buffer.from((await eventually(() => store.get(keyOf('b')))).body).toString()).toBe('body of b')
        expect(await store.get(keyOf('c'))).toBeNull()
      },
    )

    run(
      `any bytes come back, few and many (${kind.includes('redis') ? 'needs redis' : 'needs nothing'})`,
      async () => {
        const { store } = await open()
        for (const length of [0, 1, 4095, 4097, 100_000, 3_000_000]) {
          const body = Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 255)
          store.put(entry(`bytes ${length}`, { body }))
          const found = await eventually(() => store.get(keyOf(`bytes ${length}`)))
          expect(Buffer.compare(found.body, body)).toBe(0)
        }
      },
    )

    run(
      `purges by key, tag, model, team and all (${kind.includes('redis') ? 'needs redis' : 'needs nothing'})`,
      async () => {
        const { store, tiers } = await open()
        const fill = async () => {
          // The purge before was in an earlier millisecond.
          await Bun.sleep(3)
          store.put(entry('k'))
          store.put(entry('tagged', { tags: ['x', 'y'] }))
          store.put(entry('xy', { tags: ['xy'] }))
          store.put(entry('model', { model: 'other' }))
          store.put(entry('team', { team: 'others' }))
          for (const name of ['k', 'tagged', 'xy', 'model', 'team'])
            await eventually(() => store.get(keyOf(name)))
        }
        const left = async () => {
          const names: string[] = []
          for (const name of ['k', 'tagged', 'xy', 'model', 'team'])
            if ((await tiers.get(keyOf(name))) !== null) names.push(name)
          return names
        }
        const marks: [PurgeMark, string[]][] = [
          [{ by: 'key', value: keyOf('k') }, ['tagged', 'xy', 'model', 'team']],
          [{ by: 'tag', value: 'x' }, ['k', 'xy', 'model', 'team']],
          [{ by: 'model', value: 'other' }, ['k', 'tagged', 'xy', 'team']],
          [{ by: 'team', value: 'others' }, ['k', 'tagged', 'xy', 'model']],
          [{ by: 'all', value: '' }, []],
        ]
        for (const [mark, expected] of marks) {
          await fill()
          await Bun.sleep(3)
          await tiers.purge(mark, clock.wallMs())
          expect({ by: mark.by, left: await left() }).toEqual({ by: mark.by, left: expected })
        }
      },
    )

    run(`says how it is (${kind.includes('redis') ? 'needs redis' : 'needs nothing'})`, async () => {
      const { store } = await open()
      expect(store.stats()).toMatchObject({ store: kind.split(/[, ]/)[0], trouble: null })
    })
  })
}

test('an entry is the same packed and unpacked', () => {
  const usage = { ...zeroUsage, input: 5, reasoning: 2, total: 7 }
  const ways = [
    {},
    { tags: ['ä'] },
    { usage },
    { usage: zeroUsage, costNanoUsd: 0 },
    { pace: [3, 20], envelope: '{}' },
  ]
  for (const more of [...ways, ...ways]) {
    const one = entry('p', more)
    const again = unpackEntry(one.key, packEntry(one))
    expect([again.facts, Buffer.from(again.body).toString()]).toEqual([one.facts, 'body of p'])
    // What answers have in common is read once, and is not shared by those who write to it.
    again.facts.costNanoUsd = 77
    expect(unpackEntry(one.key, packEntry(one)).facts).toEqual(one.facts)
  }
})

test('what is no packed entry is refused, cut or changed', () => {
  const packed = packEntry(entry('p'))
  for (const length of [0, 3, 11, 12, 40])
    expect(() => unpackEntry('k', packed.subarray(0, length))).toThrow()
  const other = Buffer.from(packed)
  other[0]! ^= 1
  expect(() => unpackEntry('k', other)).toThrow(RangeError)
  const longer = Buffer.from(packed)
  longer.writeUInt32LE(0xffffffff, 8)
  expect(() => unpackEntry('k', longer)).toThrow(RangeError)
})

describe('memory', () => {
  test('is bounded by bytes, and the least recently used goes first', () => {
    const time = new MovedClock()
    let nowMs = 10_000
    time.nowMs = () => nowMs
    const store = new MemoryStore(100_000, time)
    for (let number = 0; number < 50; number++) {
      nowMs += 2000
      store.put(entry(`m${number}`, { body: new Uint8Array(5000) }))
      store.get(keyOf('m0'))
    }
    expect(store.stats().bytes).toBeLessThanOrEqual(100_000)
    expect(store.get(keyOf('m0'))).not.toBeNull()
    expect(store.get(keyOf('m1'))).toBeNull()
    expect(store.get(keyOf('m49'))).not.toBeNull()
    store.put(entry('huge', { body: new Uint8Array(90_000) }))
    expect(store.get(keyOf('huge'))).toBeNull()
    store.resize(20_000)
    expect(store.stats().bytes).toBeLessThanOrEqual(20_000)
  })
})

test('a run through many answers below does not push out of memory what is asked for all the time', () => {
  const memory = new MemoryStore(100_000, clock)
  const below = new MemoryStore(1e9, clock)
  const tiers = new Tiers(memory, [{ store: below, skewMs: 0, use: null }])
  for (let number = 0; number < 5000; number++) below.put(entry(`b${number}`, { body: new Uint8Array(5000) }))
  const ask = (name: string): void => expect(tiers.get(keyOf(name))).not.toBeNull()
  // There is room, so what is found first is kept; the rest stays below.
  for (let number = 0; number < 1000; number++) ask(`b${number}`)
  const keptOf = (from: number, to: number): number => {
    const names = Array.from({ length: to - from }, (_, at) => `b${from + at}`)
    return names.filter((name) => memory.get(keyOf(name)) !== null).length
  }
  // Two may share a place of the doorkeeper, now and then.
  expect(keptOf(0, 20)).toBeGreaterThan(10)
  expect(keptOf(20, 999)).toBeLessThan(5)
  // What is asked for twice within a while has its place.
  ask('b999')
  expect(memory.get(keyOf('b999'))).not.toBeNull()
  // A longer run than it remembers is a run of strangers again.
  for (let round = 0; round < 3; round++) for (let number = 1000; number < 5000; number++) ask(`b${number}`)
  expect(keptOf(0, 1000)).toBeGreaterThan(5)
  expect(keptOf(0, 5000)).toBeWithin(10, 20)
})

describe('disk', () => {
  test('is bounded by bytes: the longest unused goes first', async () => {
    const bytesMax = 4 * 1024 * 1024
    const at = folder()
    const store = diskStore(at, { bytesMax })
    const other = diskStore(at, { bytesMax })
    for (let number = 0; number < 400; number++) {
      store.put(entry(`d${number}`, { forMs: 1e9, body: new Uint8Array(50_000).fill(number & 255) }))
      // The minute in which an answer was used last is the one in which it is written.
      if (number % 40 === 39)
        await eventually(() => other.get(keyOf(`d${number}`)) !== null, 'them to be written')
      clock.aheadMs += 60_000
    }
    await eventually(() => (store.stats().bytes ?? Infinity) <= bytesMax && store.stats().entries! < 100)
    expect(store.get(keyOf('d0'))).toBeNull()
    expect(store.get(keyOf('d399'))).not.toBeNull()
    expect(store.stats().entries).toBeGreaterThan(20)
  })

  test('what nobody asks for, and what is past its time, is given up', async () => {
    const store = diskStore(folder(), { inactiveMs: 3_600_000 })
    const time = clock.nowMs.bind(clock)
    store.put(entry('idle', { forMs: 1e9 }))
    store.put(entry('old', { forMs: 1000 }))
    store.put(entry('used', { forMs: 1e9 }))
    await Bun.sleep(60)
    clock.aheadMs += 3_000_000
    expect(store.get(keyOf('used'))).not.toBeNull()
    await Bun.sleep(60)
    clock.aheadMs += 1_000_000
    clock.nowMs = () => time() + 60_000
    await eventually(() => store.stats().entries === 1, 'the tidying')
    clock.nowMs = time
    expect(store.get(keyOf('used'))).not.toBeNull()
  })

  test('look-ups and writes of one turn do not get in each other’s way', async () => {
    const at = folder()
    const store = diskStore(at)
    const other = diskStore(at)
    for (const name of ['a', 'b', 'c']) store.put(entry(name))
    await eventually(() => other.get(keyOf('c')) !== null)
    for (let round = 0; round < 20; round++) {
      expect(Buffer.from(store.get(keyOf('a'))!.body).toString()).toBe('body of a')
      // Written by another process while this one reads.
      other.put(entry('b', { body: Buffer.from(`round ${round}`) }))
      const written = (): boolean => Buffer.from(store.get(keyOf('b'))!.body).toString() === `round ${round}`
      await eventually(written)
      // A purge writes amid the turn of a look-up, and the next look-up sees it.
      expect(store.get(keyOf('c'))).not.toBeNull()
      store.purge({ by: 'key', value: keyOf('c') })
      expect(store.get(keyOf('c'))).toBeNull()
      store.put(entry('c'))
      await eventually(() => other.get(keyOf('c')) !== null)
    }
    expect([store.stats().trouble, other.stats().trouble]).toEqual([null, null])
  })

  test('with another key nothing is there, and nothing readable is in the file', async () => {
    const at = folder()
    const first = diskStore(at, { seal: sealWith(secret) })
    first.put(entry('s', { body: Buffer.from('a very private answer') }))
    first.close()
    const bytes = Buffer.concat([...new Bun.Glob('*').scanSync(at)].map((name) => Buffer.from(require('node:fs').readFileSync(join(at, name))))) // prettier-ignore
    expect(bytes.length).toBeGreaterThan(1000)
    expect(bytes.includes('very private')).toBe(false)
    expect(bytes.includes(Buffer.from(keyOf('s'), 'hex'))).toBe(false)
    const other = diskStore(at, {
      seal: sealWith(new Secret('another-storage-key-of-thirty-two-characters')),
    })
    expect(other.get(keyOf('s'))).toBeNull()
    other.close()
    const again = diskStore(at, { seal: sealWith(secret) })
    expect(Buffer.from(again.get(keyOf('s'))!.body).toString()).toBe('a very private answer')
    again.close()
  })

  test('an answer put in another’s place is no answer', () => {
    for (const seal of [sealWith(secret), noSeal]) {
      const [a, b] = [seal.name(keyOf('a')), seal.name(keyOf('b'))]
      const sealed = seal.close(a, Buffer.from('x'))
      if (seal !== noSeal) expect(seal.open(b, sealed)).toBeNull()
      expect(seal.open(a, sealed)?.length).toBe(1)
    }
  })
})

const withRedis = test.skipIf(!redisFound)

withRedis('Redis: values end, and are small where they can be (needs redis)', async () => {
  const store = await redisStore(noSeal)
  const client = new Redis(redis!.url)
  store.put(entry('ttl', { forMs: 50_000, body: Buffer.from('z'.repeat(100_000)) }))
  await eventually(() => store.get(keyOf('ttl')))
  const name = `headgate:cache:${Buffer.from(keyOf('ttl'), 'hex').toString('base64url')}`
  expect(await client.pttl(name)).toBeLessThanOrEqual(50_000)
  expect(await client.pttl(name)).toBeGreaterThan(40_000)
  expect(await client.strlen(name)).toBeLessThan(2000)
  client.disconnect()
})

withRedis('Redis: one that hangs or is gone is a miss, soon (needs redis)', async () => {
  const own = await startRedis()
  // Stands while Redis hangs: else the second for which it is left alone is over on a busy machine.
  let standsAtMs: number | null = null
  const ownClock = { nowMs: () => standsAtMs ?? performance.now(), wallMs: () => clock.wallMs() }
  const cache = openRedisCache([new Secret(own.url)], ownClock)
  await eventually(() => cache.trouble() === null)
  const store = new RedisCacheStore(cache, { clock: ownClock, seal: noSeal, purged: () => {} })
  store.put(entry('h'))
  await eventually(() => store.get(keyOf('h')))
  own.signal('SIGSTOP')
  standsAtMs = performance.now()
  const tookMs: number[] = []
  for (let round = 0; round < 20; round++) {
    const startedAtMs = performance.now()
    expect(await store.get(keyOf('h'))).toBeNull()
    tookMs.push(performance.now() - startedAtMs)
  }
  // The first few wait their time out; then it is left alone.
  expect(tookMs.filter((ms) => ms > 10).length).toBeLessThanOrEqual(4)
  expect(store.stats().trouble).not.toBeNull()
  own.signal('SIGCONT')
  standsAtMs = null
  await eventually(() => store.get(keyOf('h')), 'Redis to be asked again')
  await own.remove()
  expect(await store.get(keyOf('h'))).toBeNull()
  expect(store.purge({ by: 'all', value: '' })).rejects.toThrow(/Redis could not be reached/)
  store.close()
})
