// Reports over a ledger of millions of rows in SQLite: `bun bench/reports.ts [--rows 10000000] [--folder DIR]`. First makes a
// database of 200 combinations of groups an hour (gigabytes, minutes), which is kept where a folder is named. Then measures
// how long it takes to open and to answer. Not one of the suite of benches: it needs the disk, and no load.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Database as File } from 'bun:sqlite'
import { systemClock } from '../src/base/clock.ts'
import { requestRows } from '../src/reports/requests.ts'
import { usageReport, type UsageQuery } from '../src/reports/usage.ts'
import { openStorage, type Storage } from '../src/storage/open.ts'
import { rollupGroups, rollupSums } from '../src/storage/ledger-tables.ts'

const combinations = 200
const rowsEach = 5
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const endMs = Date.parse('2026-11-25T00:00:00Z')
const repeats = 5

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '10000000' }, folder: { type: 'string' } },
})
const days = Math.ceil(Number(values.rows) / (24 * combinations * rowsEach))
const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'headgate-bench-reports-'))

/** Groups of combination c, as SQL. */
const groups: Record<(typeof rollupGroups)[number], string> = {
  endpoint: `'chat.completions'`,
  model: `'model-' || (c % 5)`,
  upstream_model: `'model-' || (c % 5) || '-2026-01-01'`,
  upstream: `'up-' || (c % 2)`,
  key_name: `'key-' || (c % 40)`,
  key_id: `''`,
  team: `'team-' || (c % 10)`,
  app: `'app-' || (c % 20)`,
  user_name: `'user-' || c`,
  env: `'prod'`,
  price_version: `'genai-prices@0.1.8-1'`,
}
const one: Partial<Record<(typeof rollupSums)[number], number>> = {
  operations: 1, attempts: 1, input: 1200, cached_input: 300, output: 400, cost_nano: 375_000, billed_nano: 375_000, rows: 1,
} // prettier-ignore

function counted(name: string, until: number): string {
  return `${name}(${name[0]}) as (select 0 union all select ${name[0]} + 1 from ${name} where ${name[0]} + 1 < ${until})`
}

async function fill(): Promise<void> {
  const storage = await openStorage({ path: folder, postgres: null }, systemClock)
  await storage.close()
  const db = new File(join(folder, 'headgate.db'))
  db.run('PRAGMA synchronous = OFF')
  db.run('PRAGMA cache_size = -200000')
  const start = endMs - days * dayMs
  const rollup = (table: string, lengthMs: number, count: number): void => {
    const sums = rollupSums.map((name) => (one[name] ?? 0) * rowsEach * (lengthMs / hourMs))
    db.run(`with recursive ${counted('slots', count)}, ${counted('combos', combinations)}
      insert into ${table} (at_ms, ${rollupGroups.join(', ')}, ${rollupSums.join(', ')})
      select ${start} + s * ${lengthMs}, ${rollupGroups.map((name) => groups[name]).join(', ')}, ${sums.join(', ')}
      from slots cross join combos`)
  }
  rollup('ledger_days', dayMs, days)
  rollup('ledger_hours', hourMs, days * 24)
  const quarters = `with recursive ${counted('slots', days * 96)}`
  const sums = rollupSums.map((name) => ((one[name] ?? 0) * rowsEach * combinations) / 4)
  db.run(
    `${quarters} insert into ledger_quarters select ${start} + s * ${hourMs / 4}, ${sums.join(', ')} from slots`,
  )
  db.run(`with recursive ${counted('combos', combinations)}
    insert into ledger_dimensions (id, list, ${rollupGroups.join(', ')}, method, state, cache, attempt, is_last, status, stream,
      client_gone, retry_count, unmetered)
    select c + 1, c, ${rollupGroups.map((name) => groups[name]).join(', ')}, 'POST', 'settled', 'MISS', 1, 1, 200, 0, 0, 0, 0
    from combos`)
  for (let day = 0; day < days; day++) {
    const at = `(${start + day * dayMs} + s * ${hourMs} + (c * ${rowsEach} + r) * 3600)`
    db.run(`with recursive ${counted('slots', 24)}, ${counted('combos', combinations)}, ${counted('rows_', rowsEach)}
      insert into ledger_rows (id, at_ms, input, cached_input, cache_write, output, reasoning, total, cost_nano, billed_nano,
        saved_nano, duration_us, dimensions)
      select ${at} || '-operation-1', ${at}, 1200, 300, 0, 400, 0, 1600, 375000, 375000, 0, 900000, c + 1
      from slots cross join combos cross join rows_`)
  }
  db.run('PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const startMs = performance.now()
  const result = await work()
  return { ms: performance.now() - startMs, result }
}

async function measure(name: string, work: () => Promise<{ rows: readonly unknown[] }>): Promise<void> {
  const times: number[] = []
  const cpu: number[] = []
  let lines = 0
  for (let i = 0; i < repeats; i++) {
    const before = process.cpuUsage()
    const { ms, result } = await timed(work)
    times.push(ms)
    const { user, system } = process.cpuUsage(before)
    cpu.push((user + system) / 1000)
    lines = result.rows.length
  }
  const first = times[0]!
  const median = (all: readonly number[]): string => {
    const ms = all.toSorted((a, b) => a - b)[Math.floor(repeats / 2)]!
    return ms.toFixed(0).padStart(5)
  }
  console.log(
    `${name.padEnd(58)} ${String(lines).padStart(6)} lines  first ${first.toFixed(0).padStart(5)} ms  median ${median(times)} ms  processor ${median(cpu)} ms`,
  )
}

function queries(): [string, Omit<UsageQuery, 'filter'>][] {
  const last = (count: number) => ({ fromMs: endMs - count * dayMs, toMs: endMs })
  const all = { fromMs: 0, toMs: endMs + dayMs }
  return [
    ['everything, by key and model', { by: ['key', 'model'], ...all, zone: 'UTC' }],
    ['everything, by month and team', { by: ['month', 'team'], ...all, zone: 'UTC' }],
    ['everything, by day', { by: ['day'], ...all, zone: 'UTC' }],
    ['30 days, by user', { by: ['user'], ...last(30), zone: 'UTC' }],
    ['30 days, by day and key', { by: ['day', 'key'], ...last(30), zone: 'UTC' }],
    ['30 days, by day in Berlin', { by: ['day'], ...last(30), zone: 'Europe/Berlin' }],
    ['30 days, by day in Kolkata (half an hour)', { by: ['day'], ...last(30), zone: 'Asia/Kolkata' }],
    ['7 days, by hour', { by: ['hour'], ...last(7), zone: 'UTC' }],
    ['30 days to the millisecond, by team', { by: ['team'], fromMs: endMs - 30 * dayMs + 1234, toMs: endMs - 4321, zone: 'UTC' }],
    ['everything, by month and team in Berlin', { by: ['month', 'team'], ...all, zone: 'Europe/Berlin' }],
    ['everything, by day in Berlin', { by: ['day'], ...all, zone: 'Europe/Berlin' }],
    ['everything, by day in Los Angeles', { by: ['day'], ...all, zone: 'America/Los_Angeles' }],
    ['everything, by day in Kolkata (half an hour)', { by: ['day'], ...all, zone: 'Asia/Kolkata' }],
  ] // prettier-ignore
}

async function run(storage: Storage): Promise<void> {
  for (const [name, query] of queries())
    await measure(name, () => usageReport(storage, { ...query, filter: {} }))
  const page = { limit: 100, cursor: null }
  await measure('newest 100 requests', () => requestRows(storage, {}, page))
  await measure('newest 100 requests of a key', () => requestRows(storage, { key: 'key-7' }, page))
  await measure('requests of a key that has none', () => requestRows(storage, { key: 'nobody' }, page))
}

try {
  if (!existsSync(join(folder, 'headgate.db'))) {
    const { ms } = await timed(fill)
    const size = Bun.file(join(folder, 'headgate.db')).size
    console.log(
      `${days * 24 * combinations * rowsEach} rows in ${days} days, ${(size / 2 ** 30).toFixed(1)} GB, made in ${(ms / 1000).toFixed(0)} s`,
    )
  }
  const opened = await timed(() => openStorage({ path: folder, postgres: null }, systemClock))
  const before = process.memoryUsage.rss()
  console.log(`opened in ${opened.ms.toFixed(0)} ms`)
  await run(opened.result)
  const after = process.memoryUsage.rss()
  console.log(`memory ${(before / 2 ** 20).toFixed(0)} MB before, ${(after / 2 ** 20).toFixed(0)} MB after`)
  await opened.result.close()
} finally {
  if (values.folder === undefined) rmSync(folder, { recursive: true, force: true })
}
