// Sums of what was spent, from the hourly roll-ups and the rows of a first part of an hour.

import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import { rollupGroups, rollupSums } from '../storage/ledger-tables.ts'
import { openStorage } from '../storage/open.ts'
import { spentSince } from './spend.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-spend-'))
const storage = await openStorage({ path: folder, postgres: null }, systemClock)
afterAll(async () => {
  await storage.close()
  rmSync(folder, { recursive: true })
})

const hourMs = 3_600_000
const start = Date.UTC(2026, 10, 1)

async function rollUp(atMs: number, groups: object, sums: object): Promise<void> {
  const row = {
    at_ms: atMs,
    ...Object.fromEntries(rollupGroups.map((name) => [name, ''])),
    ...Object.fromEntries(rollupSums.map((name) => [name, 0])),
    ...groups,
    ...sums,
  }
  await storage.db
    .insertInto('ledger_hours')
    .values(row as never)
    .execute()
}

async function row(id: string, atMs: number, more: object): Promise<void> {
  const numbers = { saved_nano: 0, attempt: 1, is_last: 1, status: 200, duration_us: 1, stream: 0, client_gone: 0, retry_count: 0, unmetered: 0 } // prettier-ignore
  const texts = { operation_id: id, endpoint: 'chat.completions', method: 'POST', state: 'settled', cache: 'MISS' } // prettier-ignore
  await storage.db
    .insertInto('ledger')
    .values({ id, at_ms: atMs, ...texts, ...numbers, ...more } as never)
    .execute()
}

test('whole hours from the sums, the part before them from the rows, by the dimensions asked for', async () => {
  await rollUp(start - hourMs, { team: 'core' }, { cost_nano: 1e15 })
  await rollUp(
    start + hourMs,
    { team: 'core', model: 'gpt-4o' },
    { cost_nano: 5, operations: 2, input: 10, output: 3 },
  )
  await rollUp(start + 2 * hourMs, { team: 'core', model: 'o3' }, { cost_nano: 7, operations: 1 })
  await rollUp(start + 2 * hourMs, { team: 'web' }, { cost_nano: 11 })
  await row('a', start + hourMs / 2 - 1, { team: 'core', cost_nano: 1e15 })
  await row('b', start + hourMs / 2, { team: 'core', cost_nano: 100, input: 1, output: null })
  await row('c', start + hourMs - 1, { team: 'core', cost_nano: null })

  const fromMs = start + hourMs / 2
  const byTeam = await spentSince(storage.db, { fromMs, by: ['team'], hourly: false })
  const cost = (team: string) =>
    byTeam.filter((one) => one.team === team).reduce((sum, one) => sum + one.costNanoUsd, 0)
  expect([cost('core'), cost('web')]).toEqual([112, 11])
  expect(byTeam.reduce((sum, { requests }) => sum + requests, 0)).toBe(5)
  expect(byTeam.reduce((sum, { inputTokens }) => sum + inputTokens, 0)).toBe(11)

  const all = await spentSince(storage.db, { fromMs: start + hourMs, by: [], hourly: false })
  expect(all.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0)).toBe(23)

  const hours = await spentSince(storage.db, { fromMs: start + hourMs, by: ['key', 'model'], hourly: true })
  expect(hours.filter(({ costNanoUsd }) => costNanoUsd > 0).map(({ atMs }) => (atMs - start) / hourMs).toSorted((a, b) => a - b)).toEqual([1, 2, 2]) // prettier-ignore
})
