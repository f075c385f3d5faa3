// Reports against a plain sum over the rows, on both databases, over made-up ledgers, periods and zones.

import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { postgresPrograms, startCluster, type Cluster } from '../../test/storage/postgres-cluster.ts'
import { Secret } from '../base/secret.ts'
import type { LedgerTable } from '../storage/database.ts'
import { openStorage, type Storage } from '../storage/open.ts'
import { addRows } from './add-rows.ts'
import { ledgerRow } from '../../test/storage/ledger-row.ts'
import { periodOf, readPeriod } from './period.ts'
import { piecesOf, type Part } from './pieces.ts'
import { usageReport, type Group, type UsageQuery } from './usage.ts'
import { isZone, Zone } from './zone.ts'

setDefaultTimeout(60_000)

const clock = { nowMs: () => 0, wallMs: () => Date.parse('2026-11-25T12:00:00Z') }
const folder = mkdtempSync(join(tmpdir(), 'headgate-reports-'))
const stores: Storage[] = []
let cluster: Cluster | null = null
let count = 0
afterAll(async () => {
  for (const store of stores) await store.close()
  await cluster?.remove()
  rmSync(folder, { recursive: true })
})

async function sqliteStore(): Promise<Storage> {
  const storage = await openStorage({ path: join(folder, String(count++)), postgres: null }, clock)
  stores.push(storage)
  return storage
}

async function postgresStore(): Promise<Storage> {
  cluster ??= await startCluster()
  const url = await cluster.database(`reports${count++}`)
  const storage = await openStorage({ path: folder, postgres: new Secret(url) }, clock)
  stores.push(storage)
  return storage
}

const base = Date.parse('2026-10-23T00:00:00Z')
const anyRow = fc
  .record({
    at_ms: fc.integer({ min: 0, max: 5 * 86_400_000 }).map((ms) => base + ms),
    key_name: fc.constantFrom('a', 'b', null),
    team: fc.constantFrom('core', null),
    model: fc.constantFrom('gpt-4o', 'gpt-4o-mini'),
    state: fc.constantFrom('settled' as const, 'estimated' as const, 'void' as const),
    input: fc.option(fc.nat(1000)),
    cost_nano: fc.option(fc.nat(1_000_000)),
    billed_nano: fc.nat(1_000_000),
    attempt: fc.nat(2),
    is_last: fc.constantFrom(0, 1),
    status: fc.constantFrom(200, 429, 500),
    cache: fc.constantFrom('MISS', 'HIT'),
  })
  .map((given) => ledgerRow({ id: `r${count++}`, ...given }))

/** The report as anyone would write it down who had all the rows. */
function plainly(rows: readonly LedgerTable[], { by, fromMs, toMs, zone, filter }: UsageQuery) {
  const local = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  const group = (row: LedgerTable, name: Group): string | null => {
    const text = local.format(row.at_ms)
    if (name === 'day') return text.slice(0, 10)
    if (name === 'month') return text.slice(0, 7)
    if (name === 'hour') return new Zone(zone).label(row.at_ms, 'hour')
    return row[name === 'key' ? 'key_name' : (name as 'team' | 'model')]
  }
  const lines = new Map<string, [number, number, number, number, number, number]>()
  for (const row of rows) {
    if (row.at_ms < fromMs || row.at_ms >= toMs) continue
    if (filter.key !== undefined && row.key_name !== filter.key) continue
    const key = JSON.stringify(by.map((name) => group(row, name)))
    const line = lines.get(key) ?? [0, 0, 0, 0, 0, 0]
    line[0] += row.is_last
    line[1] += row.cost_nano ?? 0
    line[2] += row.input ?? 0
    line[3] += row.cost_nano === null ? 1 : 0
    line[4] += row.state === 'estimated' ? row.billed_nano! : 0
    line[5] += row.is_last === 1 && row.cache === 'HIT' ? 1 : 0
    lines.set(key, line)
  }
  return Object.fromEntries([...lines].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

async function reported(storage: Storage, query: UsageQuery) {
  const { rows } = await usageReport(storage, query)
  const lines = rows.map((row): [string, number[]] => [
    JSON.stringify(query.by.map((name) => row[name])),
    [row.operations, row.costNanoUsd, row.input, row.unpriced, row.estimatedNanoUsd, row.cached],
  ])
  return Object.fromEntries(lines.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const zones = [
  'UTC',
  'Europe/Berlin',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Auckland',
  'Pacific/Chatham',
  'America/Los_Angeles',
]
const anyQuery = fc
  .record({
    by: fc.oneof(
      fc.uniqueArray(fc.constantFrom<Group>('key', 'team', 'model', 'day', 'hour', 'month'), {
        maxLength: 3,
      }),
      // Over all groups, which other sums answer.
      fc.constantFrom<Group[]>(['day'], ['hour'], ['month'], ['day', 'hour'], []),
    ),
    ends: fc.tuple(fc.nat(6 * 86_400_000), fc.nat(6 * 86_400_000)),
    round: fc.constantFrom(1, 3_600_000, 86_400_000),
    zone: fc.constantFrom(...zones),
    filter: fc.constantFrom({}, { key: 'a' }),
  })
  .map(({ ends, round, ...rest }): UsageQuery => {
    const [from, to] = ends.map((ms) => base + Math.floor(ms / round) * round).toSorted((a, b) => a - b) as [
      number,
      number,
    ]
    return { ...rest, fromMs: from, toMs: to }
  })

async function sameAsPlain(open: () => Promise<Storage>, numRuns: number): Promise<void> {
  const storage = await open()
  const rows = fc.sample(anyRow, { numRuns: 400, seed: 7 })
  expect(await addRows(storage, rows)).toHaveLength(400)
  await fc.assert(
    fc.asyncProperty(anyQuery, async (query) => {
      expect(await reported(storage, query)).toEqual(plainly(rows, query))
    }),
    { numRuns },
  )
}

describe('a report is the sum of the rows', () => {
  test('in SQLite', () => sameAsPlain(sqliteStore, 300))
  test.skipIf(postgresPrograms() === null)('in PostgreSQL (needs postgres)', () =>
    sameAsPlain(postgresStore, 60),
  )

  test('from sums of days where the days are whole, and rows for no more than the edges', () => {
    const label = () => ''
    const day = 86_400_000
    const at = (days: number, hours = 0) => base + days * day + hours * 3_600_000
    const grains = (fromMs: number, toMs: number, zone = 'UTC', part: Part = 'ledger_hours') =>
      piecesOf({
        fromMs,
        toMs,
        keptFromMs: 0,
        hourly: false,
        part,
        label: zone === 'UTC' ? label : (ms) => new Zone(zone).label(ms, 'day'),
      }).map(({ grain, moved }) => (moved ? `${grain}, moved` : grain))
    expect(grains(at(0), at(3))).toEqual(['ledger_days'])
    expect(grains(at(0, 22), at(3, 1))).toEqual(['ledger_hours', 'ledger_days', 'ledger_hours'])
    expect(grains(at(0) + 1, at(1))).toEqual(['ledger', 'ledger_hours'])
    expect(grains(at(0), at(1), 'Europe/Berlin')).toEqual(['ledger_days', 'ledger_hours, moved'])
    expect(grains(at(0), at(1), 'Asia/Kolkata')).toEqual([
      'ledger_days',
      'ledger, moved',
      'ledger_hours, moved',
    ])
    const all = (fromMs: number, toMs: number, zone?: string) => grains(fromMs, toMs, zone, 'ledger_quarters')
    expect(all(at(0), at(1), 'Asia/Kathmandu')).toEqual(['ledger_days', 'ledger_quarters, moved'])
    expect(all(at(0, 22.75), at(3, 1) + 1)).toEqual([
      'ledger_quarters',
      'ledger_days',
      'ledger_quarters',
      'ledger',
    ])
  })

  test('where rows were let go, whole days are counted and it is said', async () => {
    const storage = await sqliteStore()
    await addRows(storage, [ledgerRow({ id: 'old', at_ms: base + 5, cost_nano: 7 })])
    await storage.db.deleteFrom('ledger').execute()
    await storage.db.deleteFrom('ledger_hours').execute()
    await storage.db.insertInto('facts').values({ name: 'ledger.kept_from_ms', value: String(base + 86_400_000) }).execute() // prettier-ignore
    const query = {
      by: ['day'],
      fromMs: base,
      toMs: base + 90_000_000,
      zone: 'Asia/Kolkata',
      filter: {},
    } as const
    const report = await usageReport(storage, query)
    expect(report.rows).toMatchObject([{ costNanoUsd: 7 }])
    expect(report.coarseBeforeMs).toBe(base + 86_400_000)
  })

  test('days of another zone over all groups read no sum of an hour, and no row', async () => {
    const storage = await sqliteStore()
    const at = base + (18 * 60 + 20) * 60_000
    await addRows(storage, [ledgerRow({ id: 'a', at_ms: at, cost_nano: 7 }), ledgerRow({ id: 'b', at_ms: at + 900_000, cost_nano: 9 })]) // prettier-ignore
    await storage.db.deleteFrom('ledger_hours').execute()
    await storage.db.deleteFrom('ledger').execute()
    const query = { by: ['day'], fromMs: base, toMs: base + 86_400_000, zone: 'Asia/Kolkata', filter: {} } as const // prettier-ignore
    const { rows } = await usageReport(storage, query)
    expect(rows.map(({ day, costNanoUsd }) => [day, costNanoUsd])).toEqual([['2026-10-23', 7], ['2026-10-24', 9]]) // prettier-ignore
  })

  test('a sum beyond what is exact stays at the bound and is said', async () => {
    const storage = await sqliteStore()
    const most = Number.MAX_SAFE_INTEGER
    const rows = Array.from({ length: 1100 }, (_, i) => ledgerRow({ id: `m${i}`, at_ms: base + i, billed_nano: most, cost_nano: 1 }))
    await storage.db.insertInto('ledger').values(rows.slice(0, 500)).execute()
    await storage.db.insertInto('ledger').values(rows.slice(500)).execute()
    const query = { by: [], fromMs: base, toMs: base + 1099, zone: 'UTC', filter: {} }
    const report = await usageReport(storage, query)
    expect(report.totals).toMatchObject({ billedNanoUsd: most, costNanoUsd: 1099 })
    expect(report.saturated).toBe(true)
  }) // prettier-ignore

  test('rows twice are counted once', async () => {
    const storage = await sqliteStore()
    const row = ledgerRow({ id: 'one', at_ms: base, cost_nano: 5, is_last: 1 })
    expect(await addRows(storage, [row])).toEqual(['one'])
    expect(await addRows(storage, [row])).toEqual([])
    const query = { by: [], fromMs: base, toMs: base + 86_400_000, zone: 'UTC', filter: {} }
    expect((await usageReport(storage, query)).totals).toMatchObject({ operations: 1, costNanoUsd: 5 })
  })
})

describe('periods', () => {
  const now = Date.parse('2026-11-25T12:34:56Z')
  const berlin = new Zone('Europe/Berlin')
  const shown = (text: string, zone = berlin) => {
    const period = readPeriod(text, zone, now)
    return period === null ? null : [period.fromMs, period.toMs].map((ms) => new Date(ms).toISOString())
  }

  test.each([
    ['2026-11-01', ['2026-10-31T23:00:00.000Z', '2026-11-01T23:00:00.000Z']],
    ['2026-10-25', ['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z']],
    ['2026-11', ['2026-10-31T23:00:00.000Z', '2026-11-30T23:00:00.000Z']],
    ['today', ['2026-11-24T23:00:00.000Z', '2026-11-25T23:00:00.000Z']],
    ['yesterday', ['2026-11-23T23:00:00.000Z', '2026-11-24T23:00:00.000Z']],
    ['last-month', ['2026-09-30T22:00:00.000Z', '2026-10-31T23:00:00.000Z']],
    ['7d', ['2026-11-18T12:34:56.000Z', '2026-11-25T12:34:56.000Z']],
    ['2026-11-01T12:00:00+02:00', ['2026-11-01T10:00:00.000Z', '2026-11-01T10:00:00.000Z']],
    ['2026-02-30', null],
    ['2026-13', null],
    ['tomorrow', null],
    ['', null],
    ['1e9', null],
  ] as const)('%s', (text, expected) => {
    expect(shown(text)).toEqual(expected as any)
  })

  test('a day named as the end is included, a word alone is that stretch, and the end is not before the start', () => {
    const of = (from?: string, to?: string) => periodOf({ from, to }, new Zone('UTC'), now)
    expect(of('2026-11-01', '2026-11-02')).toEqual({
      fromMs: Date.parse('2026-11-01'),
      toMs: Date.parse('2026-11-03'),
    })
    expect(of('last-month')).toEqual({ fromMs: Date.parse('2026-10-01'), toMs: Date.parse('2026-11-01') })
    expect(of('2026-11-02', '2026-11-01')).toEqual({ wrong: 'to', message: 'lies before from' })
    expect(of('soon')).toMatchObject({ wrong: 'from' })
    expect(of()).toEqual({ fromMs: now - 30 * 86_400_000, toMs: now })
  })

  test('a day without midnight begins with the jump', () => {
    expect(new Date(new Zone('Africa/Cairo').startOf(2026, 4, 24)).toISOString()).toBe(
      '2026-04-23T22:00:00.000Z',
    )
    expect(['Europe/Berlin', 'UTC', 'Mars/Base', '../etc', '', 'a'.repeat(99)].map(isZone)).toEqual([
      true, true, false, false, false, false,
    ]) // prettier-ignore
  })
})
