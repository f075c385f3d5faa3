// `headgate limits show`: what it makes of the admin API's rows; that the API gives them is shown with a gateway, in
// test/gateway/limits-hold.test.ts.

import { expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'

setDefaultTimeout(60_000)

async function shownOf(rows: readonly object[]): Promise<string[]> {
  const full = { quantity: 'requests', principal: {}, keyName: null, used: 1, max: 2, share: 0.5, resetAt: null, enforce: true } // prettier-ignore
  const admin = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => Response.json({ rows: rows.map((row) => ({ ...full, ...row })), next: null }),
  })
  try {
    const words = ['limits', 'show', '--admin', `http://127.0.0.1:${admin.port}`, '--token', 't']
    const child = Bun.spawn([process.execPath, join(import.meta.dir, '..', 'main.ts'), ...words], {
      env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' },
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    return out.trimEnd().split('\n').slice(1)
  } finally {
    await admin.stop(true)
  }
}

test('keys go by their names, with the id where two bear the same', async () => {
  const lines = await shownOf([
    { limit: 'a', principal: { key: 'key_1' }, keyName: 'web' },
    { limit: 'b', principal: { key: 'key_1', model: 'o3' }, keyName: 'web' },
    { limit: 'c', principal: { key: 'key_2' }, keyName: 'app' },
    { limit: 'd', principal: { key: 'key_3' }, keyName: 'app' },
    { limit: 'e', principal: { key: 'static' } },
    { limit: 'f', principal: { key: null, team: 'core' } },
  ])
  expect(lines.map((line) => line.replace(/ {2,}/g, ' | ').split(' | ')[1])).toEqual([
    'key web',
    'key web, model o3',
    'key app (key_2)',
    'key app (key_3)',
    'key static',
    'key -, team core',
  ])
})

test('money is written as in other reports', async () => {
  const money = { limit: 'm', quantity: 'cost', max: 1_500_000_000_000 }
  const lines = await shownOf([
    { ...money, used: 412_100_000_000 },
    { ...money, used: 4_500_000 },
    { ...money, used: 450 },
  ])
  expect(lines.map((line) => line.split(/ {2,}/).slice(2, 4))).toEqual([
    ['$412.10', '$1,500.00'],
    ['$0.0045', '$1,500.00'],
    ['$0.00000045', '$1,500.00'],
  ])
})
