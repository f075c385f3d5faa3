// `headgate cache …` where no gateway has kept anything.

import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { redisFound, startRedis } from '../../test/storage/redis-server.ts'
import { runCaptured } from '../../test/storage/cli-capture.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-no-cache-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const data = join(folder, 'data')

function file(name: string, content: unknown): string {
  writeFileSync(join(folder, name), JSON.stringify(content))
  return join(folder, name)
}

const config = file('headgate.yaml', { upstreams: [{ name: 'main', provider: 'sandbox' }] })
const body = { model: 'gpt-4o-mini', messages: [] }
const [a, b] = [file('a.json', body), file('b.json', body)]
const place = ['--config', config, '--data', data]

describe('without a store nothing is made, and it is said', () => {
  test.each([
    [['stats'], 'cache'],
    [['stats', '--format', 'json'], 'cache'],
    [['purge', '--all'], 'cache'],
    [['simulate', '--ttl', '1h'], 'cache'],
    [['explain', a, b, '--key', 'key_1234567890'], 'store'],
  ])('%j', async (args, what) => {
    const { code, out, err } = await runCaptured('cache', ...args, ...place)
    expect([code, out]).toEqual([1, ''])
    expect(err).toStartWith(`headgate: there is no ${what} here: ${data}`)
    expect(existsSync(data)).toBe(false)
  })

  test('requests are explained without one', async () => {
    const { out, err } = await runCaptured('cache', 'explain', a, b, ...place)
    expect(err).toBe('')
    expect(out).toContain('share')
    expect(existsSync(data)).toBe(false)
  })
})

test.skipIf(!redisFound)('what is in Redis is purged all the same (needs redis)', async () => {
  const redis = await startRedis()
  try {
    const shared = file('shared.yaml', { storage: { redis: redis.url }, cache: { store: { redis: true } } })
    const { code, out, err } = await runCaptured(
      'cache',
      'purge',
      '--all',
      '--config',
      shared,
      '--data',
      data,
    )
    expect([code, err]).toEqual([0, ''])
    expect(out).toStartWith('purged in Redis')
    expect(existsSync(data)).toBe(false)
  } finally {
    await redis.remove()
  }
})
