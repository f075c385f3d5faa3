// A gateway in a process of its own in which every request costs a dollar: for budgets over several processes. Its arguments:
// configuration file, then URL of Redis, then for how long what it holds outlives it, in ms. Prints its port.

import { Secret } from '../../src/base/secret.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Gateway } from '../../src/gateway.ts'
import type { LogStage } from '../../src/stages/9-log/log.ts'
import { RedisStore } from '../../src/storage/redis.ts'
import { dollarCosts } from './dollar-costs.ts'

const [file, redisUrl, leaseMs] = process.argv.slice(2)
const log: LogStage = {
  write: () => {},
  bug: (cause) => console.error('bug', cause),
  event: (level, text) => console.error(level, text),
  flush: () => Promise.resolve(),
  reopen: () => {},
  close: () => Promise.resolve(),
}
const { config } = await loadConfig({ file: file!, env: {} })
const redis = new RedisStore({
  urls: [new Secret(redisUrl!)],
  clock: systemClock,
  event: log.event,
  waitMs: 3000,
})
await redis.open(5000)
const gateway = await Gateway.start(config, {
  clock: systemClock,
  log,
  sandbox: () => Promise.reject(new Error('no sandbox here')),
  costs: dollarCosts,
  redis,
  leaseMs: Number(leaseMs),
})
console.log(gateway.addresses.proxy[0]!.port)
