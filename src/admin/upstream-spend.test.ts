import { expect, test } from 'bun:test'
import type { AdminWorld } from './route.ts'
import { spendOfUpstreams } from './upstream-spend.ts'

const wallMs = Date.parse('2026-11-25T12:00:00Z')

function world(usage: (query: { fromMs: number }) => Promise<unknown>): AdminWorld {
  return {
    clock: { nowMs: () => 0, wallMs: () => wallMs },
    reports: { usage },
  } as unknown as AdminWorld
}

test('today and the month are those of UTC, each upstream by itself', async () => {
  const asked: number[] = []
  const rows = [
    { upstream: 'a', day: '2026-11-01', costNanoUsd: 5 },
    { upstream: 'a', day: '2026-11-24', costNanoUsd: 20 },
    { upstream: 'a', day: '2026-11-25', costNanoUsd: 300 },
    { upstream: 'b', day: '2026-11-24', costNanoUsd: Number.MAX_SAFE_INTEGER },
    { upstream: 'b', day: '2026-11-25', costNanoUsd: 7 },
    { upstream: null, day: '2026-11-25', costNanoUsd: 9 },
  ]
  const spent = await spendOfUpstreams(
    world(({ fromMs }) => {
      asked.push(fromMs)
      return Promise.resolve({ rows })
    }),
  )
  expect(asked).toEqual([Date.parse('2026-11-01T00:00:00Z')])
  expect(Object.fromEntries(spent!)).toEqual({
    a: { todayNanoUsd: 300, monthNanoUsd: 325 },
    b: { todayNanoUsd: 7, monthNanoUsd: Number.MAX_SAFE_INTEGER },
  })
})

test('a ledger that is away, or does not answer, takes nothing else away', async () => {
  expect(await spendOfUpstreams(world(() => Promise.reject(new Error('away'))))).toBeNull()
  expect(await spendOfUpstreams(world(() => new Promise(() => {})))).toBeNull()
  expect(await spendOfUpstreams({ ...world(() => Promise.resolve()), reports: null })).toBeNull()
})
