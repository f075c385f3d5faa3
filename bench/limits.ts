// What limits cost a request: ten limits with 100,000 active principals, in this process, and ten over Redis where a URL is
// given. Run it with `bun bench/limits.ts [principals] [redis://…]`. Times are medians over batches.

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
const rounds = 200_000
const batchSize = 200

const count = (text: string) => parseSpan(text, 'count')!
const limits: LimitParts['limits'] = [
  { name: 'burst', per: ['key'], requests: count('1000/1s'), burst: 1000 },
  { name: 'key-minute', per: ['key'], requests: count('100000/1m') },
  { name: 'key-day', per: ['key'], requests: count('100000/day') },
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
  return at(values, 0.5)
}

function at(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!
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

const before = process.memoryUsage().rss
const local = stage(null)
for (let at = 0; at < principals; at++) {
  const x = exchange(at)
  void local.reserve(x)
  local.settle(x)
}
Bun.gc(true)
const heldMb = (process.memoryUsage().rss - before) / 1048576
/** Thread time of batches: making their requests does not count, and the collector's own threads do not either. */
const figures: number[] = []
for (let batch = 0; batch < rounds / batchSize; batch++) {
  const all = Array.from({ length: batchSize }, (_, at) => exchange(at + batch * batchSize))
  const from = performance.now()
  for (const x of all) {
    void local.reserve(x)
    local.settle(x)
  }
  figures.push(((performance.now() - from) * 1000) / batchSize)
}
console.log(`${limits.length} limits, ${principals} principals`)
console.log(
  `  reserve and settle, in this process   ${at(figures, 0.1).toFixed(2)} µs a request (p10 of batches; median ${median(figures).toFixed(2)}), then some ${heldMb.toFixed(0)} MB`,
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
