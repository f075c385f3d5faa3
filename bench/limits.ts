// What limits cost a request: ten limits with 100,000 active principals, in this process, and ten over Redis where a URL is
// given. Run it with `bun bench/limits.ts [principals] [redis://…]`. Times are processor time of the thread that counts, so
// that what else the machine does shows less; medians over rounds.

import { dlopen, FFIType } from 'bun:ffi'
import { parseSpan } from '../src/base/allowance.ts'
import { systemClock } from '../src/base/clock.ts'
import { Secret } from '../src/base/secret.ts'
import { Exchange, nobody, type Principal } from '../src/exchange.ts'
import { HeaderBlock } from '../src/net/wire/headers.ts'
import { findEndpoint } from '../src/openai/endpoints.ts'
import { createLimit, LimitMemory, type LimitParts } from '../src/stages/3-limit/limit.ts'
import { RedisStore } from '../src/storage/redis.ts'

const principals = Number(process.argv[2] ?? 100_000)
const redisUrl = process.argv[3]
const rounds = 15
const batches = 100
/** Requests that exist at a time: few, since those of a gateway are warm when they are counted. */
const batchSize = 200

const count = (text: string) => parseSpan(text, 'count')!
const limits: LimitParts['limits'] = [
  { name: 'burst', per: ['key'], requests: count('100000/1s'), burst: 1000 },
  { name: 'key-minute', per: ['key'], requests: count('10000000/1m') },
  { name: 'key-day', per: ['key'], requests: count('10000000/day') },
  { name: 'user-tokens', per: ['user'], tokens: count('100000000/1m') },
  { name: 'user-input', per: ['user'], inputTokens: count('100000000/1h') },
  { name: 'parallel', per: ['key'], concurrent: 100_000 },
  { name: 'team-tokens', per: ['team'], tokens: count('100000000000/1m') },
  { name: 'team-model', per: ['team', 'endpoint'], requests: count('100000000/1m') },
  { name: 'month', per: ['app'], tokens: count('100000000000/month') },
  { name: 'all', requests: count('100000000/1m') },
]
const costs = {
  estimate: () => ({ inputTokens: 100, outputTokens: 100, costNanoUsd: 1000 }),
  spent: () => ({ requests: 1, inputTokens: 50, outputTokens: 50, costNanoUsd: 500 }),
}
const endpoint = findEndpoint('POST', '/v1/chat/completions')
const owners: Principal[] = Array.from({ length: principals }, (_, at) => ({
  ...nobody,
  kind: 'key',
  key: `key-${at}`,
  user: `user-${at}`,
  team: `team-${at % 1000}`,
  app: `app-${at % 5000}`,
}))
const request = { method: 'POST', path: '/v1/chat/completions', query: '', headers: HeaderBlock.empty, body: null, peerAddress: '', upgrade: null } // prettier-ignore

function exchange(at: number): Exchange {
  const x = new Exchange(`hgx_${at}`, request, systemClock)
  x.principal = owners[(at * 7919) % principals]!
  x.endpoint = endpoint
  return x
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!
}

const threadClock = 3
const libc = dlopen('libc.so.6', {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
})
const time = new BigInt64Array(2)

/** Processor time of this thread; the collector and the compiler have threads of their own. */
function threadUs(): number {
  libc.symbols.clock_gettime(threadClock, time)
  return Number(time[0]) * 1e6 + Number(time[1]) / 1000
}

function spentUs(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from)
  return user + system
}

function stage(shared: LimitParts['shared']) {
  return createLimit({
    limits,
    upstreams: new Map(),
    clock: systemClock,
    memory: new LimitMemory(systemClock),
    costs,
    shared,
    whenRedisDown: 'local',
    spend: null,
    warn: () => {},
  })
}

Bun.gc(true)
await Bun.sleep(1500)
/** What the collector has left, once it has given pages back. */
const before = process.memoryUsage().rss
const local = stage(null)
for (let at = 0; at < principals; at++) {
  const x = exchange(at)
  void local.reserve(x)
  local.settle(x)
}
Bun.gc(true)
await Bun.sleep(1500)
Bun.gc(true)
const heldMb = (process.memoryUsage().rss - before) / 1048576
/** Making the requests does not count. */
const figures: number[] = []
let made = 0
for (let round = 0; round < rounds; round++) {
  let us = 0
  for (let batch = 0; batch < batches; batch++) {
    const all = Array.from({ length: batchSize }, () => exchange(made++))
    const fromUs = threadUs()
    for (const x of all) {
      void local.reserve(x)
      local.settle(x)
    }
    us += threadUs() - fromUs
  }
  figures.push(us / batches / batchSize)
}
console.log(`${limits.length} limits, ${principals} principals`)
console.log(
  `  reserve and settle, in this process   ${median(figures).toFixed(2)} µs a request (best round ${Math.min(...figures).toFixed(2)}), then some ${heldMb.toFixed(0)} MB`,
)

if (redisUrl !== undefined) {
  const redis = new RedisStore({
    urls: [new Secret(redisUrl)],
    clock: systemClock,
    event: () => {},
    waitMs: 1000,
  })
  await redis.open(2000)
  const shared = stage(redis)
  const tookMs: number[] = []
  const from = process.cpuUsage()
  for (let at = 0; at < 2000; at++) {
    const x = exchange(at)
    const askedAtMs = performance.now()
    await shared.reserve(x)
    tookMs.push(performance.now() - askedAtMs)
    shared.settle(x)
  }
  console.log(
    `  over Redis: ${(spentUs(from) / 2000).toFixed(0)} µs of this process, median wait ${median(tookMs).toFixed(2)} ms`,
  )
  shared.close()
  await redis.close()
}
process.exit(0)
