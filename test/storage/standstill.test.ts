// A process that stood still takes no Redis for away that had answered meanwhile: it is stopped amid its questions.

import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { redisFound, startRedis } from './redis-server.ts'

const waitMs = 500
/** So that the process is stopped while it waits, and hardly ever otherwise. */
const takesLong = `
local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local till = now() + 30
while now() < till do end
return 1`
const source = join(import.meta.dir, '..', '..', 'src')

/** Asks without a pause until its input ends; then says how often there was no answer. */
const program = `
const { RedisStore } = await import('${source}/storage/redis.ts')
const { systemClock } = await import('${source}/base/clock.ts')
const { Secret } = await import('${source}/base/secret.ts')
const urls = [new Secret(process.argv.at(-1))]
const store = new RedisStore({ urls, clock: systemClock, event: () => {}, waitMs: ${waitMs} })
await store.open(10_000)
const call = { script: { name: 'headgateStandstill', lua: \`${takesLong}\` }, keys: ['{headgate}'], args: [] }
let over = false
process.stdin.on('end', () => (over = true)).resume()
let missed = 0
process.stdout.write('asks ')
while (!over) await store.run(call).catch(() => (missed++, Bun.sleep(5)))
process.stdout.write('missed ' + missed)
process.exit(0)`

test.skipIf(!redisFound)(
  'a Redis that answered while this process stood still is not taken for away (needs redis)',
  async () => {
    const redis = await startRedis()
    const child = Bun.spawn([process.execPath, '-e', program, redis.url], { stdin: 'pipe', stdout: 'pipe' })
    try {
      let said = ''
      const begun = Promise.withResolvers<void>()
      const ended = (async () => {
        for await (const bytes of child.stdout) {
          said += Buffer.from(bytes).toString()
          begun.resolve()
        }
      })()
      await begun.promise
      for (let round = 0; round < 4; round++) {
        await Bun.sleep(20)
        child.kill('SIGSTOP')
        await Bun.sleep(waitMs + 100)
        child.kill('SIGCONT')
      }
      await Bun.sleep(20)
      void child.stdin.end()
      await ended
      expect(said).toBe('asks missed 0')
    } finally {
      child.kill('SIGKILL')
      await child.exited
      await redis.remove()
    }
  },
  60_000,
)
