// The ledger as the stages use it, over both databases, with a process that is killed at random moments.

import { Database } from 'bun:sqlite'
import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import fc from 'fast-check'
import { Secret } from '../../src/base/secret.ts'
import { checkLedger } from '../../src/ledger/check.ts'
import { crashEstimator } from '../../src/ledger/columns.ts'
import { LedgerFailure } from '../../src/ledger/ledger.ts'
import { journalsOf, openLedger, type LedgerOptions, type OpenLedger } from '../../src/ledger/open-ledger.ts'
import { forget } from '../../src/ledger/retention.ts'
import { openStorage, type Storage } from '../../src/storage/open.ts'
import { postgresPrograms, startCluster, type Cluster } from '../storage/postgres-cluster.ts'
import { ledgerRow, reservation, usage } from './rows.ts'

setDefaultTimeout(120_000)

const folders: string[] = []
const closers: (() => Promise<void>)[] = []
let cluster: Cluster | null = null
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})
afterAll(async () => {
  await cluster?.remove()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-ledger-'))
  folders.push(folder)
  return folder
}

interface Opened {
  readonly storage: Storage
  readonly ledger: OpenLedger
  readonly events: string[]
}

async function open(
  path: string,
  more: Partial<LedgerOptions> & { postgres?: Secret } = {},
): Promise<Opened> {
  const { postgres = null, ...options } = more
  const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() }
  const storage = await openStorage({ path, postgres }, clock)
  const events: string[] = []
  const ledger = await openLedger(storage, {
    path,
    durability: () => 'process',
    retentionMs: () => 400 * 86_400_000,
    clock,
    event: (level, text) => void events.push(`${level}: ${text}`),
    segmentBytes: 256 * 1024,
    ...options,
  })
  closers.push(async () => {
    await ledger.close()
    await storage.close()
  })
  return { storage, ledger, events }
}

function rowsOf(storage: Storage) {
  return storage.db.selectFrom('ledger').selectAll().orderBy('id').execute()
}

async function booksAgree(storage: Storage): Promise<void> {
  expect(await checkLedger(storage)).toEqual([])
}

let databases = 0
const places = [
  { name: 'SQLite', postgres: () => Promise.resolve(undefined) },
  {
    name: 'PostgreSQL (needs postgresql)',
    postgres: async () =>
      new Secret(await (cluster ??= await startCluster()).database(`ledger${databases++}`)),
  },
]

for (const place of places) {
  describe.skipIf(place.name !== 'SQLite' && postgresPrograms() === null)(place.name, () => {
    const opened = async (more: Partial<LedgerOptions> = {}): Promise<Opened> => {
      const postgres = await place.postgres()
      return open(scratch(), { ...more, ...(postgres === undefined ? {} : { postgres }) })
    }

    test('control characters of names are kept as U+FFFD, in rows and in metadata', async () => {
      const { storage, ledger } = await opened()
      const name = 'a\u0000b\u001f\u007f\nc'
      const kept = 'a\ufffdb\ufffd\ufffd\ufffdc'
      const owner = { key: name, keyId: null, team: name, app: name, user: name, env: null }
      const names = { model: name, upstreamModel: name, owner }
      ledger.reserve(reservation('one-1', names))
      void ledger.settle(
        ledgerRow('one-1', { ...names, endUser: name, metadata: { [name]: name, plain: 'é' } }),
      )
      expect(await ledger.flush()).toBe(true)
      const [row] = await rowsOf(storage)
      const all = {
        model: kept,
        upstream_model: kept,
        key_name: kept,
        team: kept,
        app: kept,
        user_name: kept,
      }
      expect(row).toMatchObject({ ...all, end_user: kept })
      expect(JSON.parse(row!.metadata!)).toEqual({ [kept]: kept, plain: 'é' })
      // For SQLite a text ends at a NUL.
      const lengths = await storage.db
        .selectFrom('ledger')
        .select(sql<number>`length(model) + length(user_name) + length(end_user)`.as('all'))
        .execute()
      expect(lengths).toEqual([{ all: 3 * kept.length }])
      await booksAgree(storage)
    })

    test('what is settled is in the database, once, with its sums', async () => {
      const { storage, ledger, events } = await opened()
      for (let number = 0; number < 1000; number++) {
        const id = `op${String(number).padStart(4, '0')}-1`
        ledger.reserve(reservation(id))
        void ledger.settle(
          ledgerRow(id, { usage: usage(number, 1), costNanoUsd: number % 7 === 0 ? null : number }),
        )
      }
      expect(await ledger.flush()).toBe(true)
      expect(events).toEqual([])
      const rows = await rowsOf(storage)
      expect(rows).toHaveLength(1000)
      expect(rows[3]).toMatchObject({
        id: 'op0003-1',
        operation_id: 'op0003',
        input: 3,
        output: 1,
        cost_nano: 3,
      })
      expect(rows[3]).toMatchObject({
        team: 'core',
        key_name: 'web',
        user_name: null,
        state: 'settled',
        is_last: 1,
      })
      const days = await storage.db.selectFrom('ledger_days').selectAll().execute()
      expect(days).toHaveLength(1)
      expect(days[0]).toMatchObject({
        at_ms: Date.UTC(2026, 10, 25),
        operations: 1000,
        input: 499_500,
        unpriced: 143,
      })
      await booksAgree(storage)
    })

    test('a row that comes twice counts once', async () => {
      const { storage, ledger } = await opened()
      void ledger.settle(ledgerRow('response-1'))
      void ledger.settle(ledgerRow('response-1'))
      await ledger.flush()
      void ledger.settle(ledgerRow('response-1'))
      void ledger.settle(ledgerRow('response-2'))
      await ledger.flush()
      expect((await rowsOf(storage)).map(({ id }) => id)).toEqual(['response-1', 'response-2'])
      await booksAgree(storage)
    })

    test('sums equal rows whatever the rows are, and the checker sees one that does not', async () => {
      const { storage, ledger } = await opened()
      const text = fc.option(fc.constantFrom('a', 'b', '', 'ü,"\n'), { nil: null })
      const amount = fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: null })
      const row = fc.record({
        atMs: fc.integer({ min: Date.UTC(2026, 9, 24), max: Date.UTC(2026, 9, 27) }),
        model: text,
        upstreamModel: text,
        owner: fc.record({ key: text, keyId: text, team: text, app: text, user: text, env: text }),
        state: fc.constantFrom('settled' as const, 'estimated' as const, 'void' as const),
        costNanoUsd: amount,
        billedNanoUsd: amount,
        status: fc.constantFrom(0, 200, 429, 499, 500),
        failure: fc.constantFrom(null, 'upstream_timeout'),
        last: fc.boolean(),
        attempt: fc.integer({ min: 0, max: 3 }),
        cache: fc.constantFrom('BYPASS', 'MISS', 'HIT', 'STALE'),
        usage: fc.constantFrom(null, usage(3, 4, { cachedInput: 2, audioOutput: 1 })),
      })
      let number = 0
      await fc.assert(
        fc.asyncProperty(fc.array(row, { maxLength: 300 }), async (rows) => {
          for (const one of rows) void ledger.settle(ledgerRow(`r${number++}-1`, one))
          await ledger.flush()
          await booksAgree(storage)
        }),
        { numRuns: 15 },
      )
      void ledger.settle(ledgerRow('x-1'))
      await ledger.flush()
      await sql`update ledger_hours set cost_nano = cost_nano + 5 where model = 'gpt-4o-mini'`.execute(
        storage.db,
      )
      const found = await checkLedger(storage)
      expect(found).toHaveLength(1)
      expect(found[0]).toMatchObject({ table: 'ledger_hours', sum: 'cost_nano', kept: 13_505, real: 13_500 })
      expect(found[0]!.of).toContain('team=core')
    })

    test('the checker sees sums of a day and of a quarter that are wrong, too many, or not there', async () => {
      const { storage, ledger } = await opened()
      const dayMs = 86_400_000
      const atMs = Date.UTC(2026, 9, 24, 5, 20)
      for (let day = 0; day < 4; day++)
        void ledger.settle(ledgerRow(`d${day}-1`, { atMs: atMs + day * dayMs, usage: usage(7, 1, { audioInput: 2 }) })) // prettier-ignore
      await ledger.flush()
      await booksAgree(storage)
      const quarter = atMs - (atMs % 900_000)
      await sql`update ledger_days set audio_input = 3 where at_ms < ${atMs}`.execute(storage.db)
      await sql`update ledger_quarters set errors = 1 where at_ms = ${quarter + dayMs}`.execute(storage.db)
      await sql`delete from ledger_quarters where at_ms = ${quarter + 2 * dayMs}`.execute(storage.db)
      await sql`update ledger_days set team = 'other' where at_ms > ${atMs + 2 * dayMs}`.execute(storage.db)
      const seen = (await checkLedger(storage)).map(({ table, atMs: at, sum, kept, real }) => [table, at, sum, kept, real]) // prettier-ignore
      const midnight = Date.UTC(2026, 9, 24)
      expect(seen.slice(0, 3)).toEqual([
        ['ledger_days', midnight, 'audio_input', 3, 2],
        ['ledger_quarters', quarter + dayMs, 'errors', 1, 0],
        ['ledger_quarters', quarter + 2 * dayMs, 'operations', 0, 1],
      ])
      expect(seen.slice(3).toSorted((a, b) => Number(a[3]) - Number(b[3]))).toEqual([
        ['ledger_days', midnight + 3 * dayMs, 'operations', 0, 1],
        ['ledger_days', midnight + 3 * dayMs, 'operations', 1, 0],
      ])
      expect(await checkLedger(storage, midnight + dayMs)).toHaveLength(4)
    })

    test('rows go away after their time, days stay, and the books still agree', async () => {
      const { storage, ledger } = await opened()
      const first = Date.UTC(2025, 0, 1, 5)
      for (let day = 0; day < 5; day++)
        for (let number = 0; number < 300; number++)
          void ledger.settle(ledgerRow(`d${day}n${number}-1`, { atMs: first + day * 86_400_000 + number }))
      await ledger.flush()
      await forget(storage, Date.UTC(2025, 0, 4, 7))
      const rows = await rowsOf(storage)
      expect(rows).toHaveLength(600)
      expect(await storage.db.selectFrom('ledger_days').selectAll().execute()).toHaveLength(5)
      expect(await storage.db.selectFrom('ledger_hours').selectAll().execute()).toHaveLength(2)
      await booksAgree(storage)
    })

    test('a call that outlives many segments keeps its reservation', async () => {
      const { storage, ledger, events } = await opened({ segmentBytes: 64 * 1024 })
      ledger.reserve(reservation('long-1'))
      for (let number = 0; number < 3000; number++) {
        ledger.reserve(reservation(`s${number}-1`))
        void ledger.settle(ledgerRow(`s${number}-1`))
        if (number % 100 === 0) await ledger.flush()
      }
      expect(ledger.openCalls()).toBe(1)
      void ledger.settle(ledgerRow('long-1'))
      await ledger.flush()
      expect(await rowsOf(storage)).toHaveLength(3001)
      expect(events).toEqual([])
    })

    test('texts of any kind and length come back', async () => {
      const { storage, ledger } = await opened()
      const model = `a"\\\u0085'; drop table ledger; --ü😀`
      void ledger.settle(
        ledgerRow('t-1', { model, metadata: { trace: 'x'.repeat(500) }, units: { audioSeconds: 1.5 } }),
      )
      void ledger.settle(ledgerRow('u-1', { model: 'm'.repeat(100_000) }))
      await ledger.flush()
      const [one, two] = await rowsOf(storage)
      expect(one!.model).toBe(model)
      expect(JSON.parse(one!.units!)).toEqual({ audioSeconds: 1.5 })
      expect(two!.model).toHaveLength(256)
    })
  })
}

describe('what rows have in common goes when the last of them does', () => {
  const day = 86_400_000
  const first = Date.UTC(2025, 0, 1, 5)
  const owned = (user: string) => ({ key: 'web', keyId: null, team: 'core', app: null, user, env: null })
  const users = async ({ db }: Storage): Promise<string[]> => {
    const { rows } = await sql<{ user: string }>`select user_name as user from ledger_dimensions order by 1`.execute(db) // prettier-ignore
    return rows.map(({ user }) => user)
  }
  const seen = async (storage: Storage) => (await rowsOf(storage)).map((row) => [row.id, row.user_name])

  test('however many there are; what is in memory of it is not used again', async () => {
    const path = scratch()
    const one = await open(path)
    const other = await open(path)
    for (let number = 0; number < 1200; number++)
      void one.ledger.settle(ledgerRow(`a${number}-1`, { atMs: first, owner: owned(`u${number}`) }))
    for (const days of [3, 0]) void one.ledger.settle(ledgerRow(`s${days}-1`, { atMs: first + days * day, owner: owned('stays') })) // prettier-ignore
    await one.ledger.flush()
    void other.ledger.settle(ledgerRow('b-1', { atMs: first, owner: owned('u7') }))
    await other.ledger.flush()
    await forget(one.storage, first + 2 * day)
    expect(await users(one.storage)).toEqual(['stays'])
    // This takes the number that u7 had for the other, or one near it.
    for (let number = 0; number < 20; number++)
      void one.ledger.settle(ledgerRow(`c${number}-1`, { atMs: first + 3 * day, owner: owned(`v${number}`) }))
    await one.ledger.flush()
    void other.ledger.settle(ledgerRow('d-1', { atMs: first, owner: owned('u7') }))
    await other.ledger.flush()
    const rows = await seen(one.storage)
    expect(rows).toHaveLength(22)
    expect(rows).toContainEqual(['d-1', 'u7'])
    await booksAgree(one.storage)
  })

  test('a row that comes late, and one put into the view, keep theirs', async () => {
    const { storage, ledger } = await open(scratch())
    void ledger.settle(ledgerRow('a-1', { atMs: first, owner: owned('ann') }))
    void ledger.settle(ledgerRow('b-1', { atMs: first, owner: owned('bob') }))
    await ledger.flush()
    const whole = await storage.db.selectFrom('ledger').selectAll().where('id', '=', 'b-1').executeTakeFirstOrThrow() // prettier-ignore
    await storage.db.insertInto('ledger').values({ ...whole, id: 'b2-1', operation_id: 'b2', at_ms: first + 5 * day }).execute() // prettier-ignore
    await forget(storage, first + day)
    expect(await users(storage)).toEqual(['bob'])
    void ledger.settle(ledgerRow('late-1', { atMs: first, owner: owned('ann') }))
    await ledger.flush()
    expect(await seen(storage)).toEqual([['b2-1', 'bob'], ['late-1', 'ann']]) // prettier-ignore
    await forget(storage, first + 3 * day)
    expect(await seen(storage)).toEqual([['b2-1', 'bob']])
    expect(await users(storage)).toEqual(['bob'])
  })

  test('a row that comes between the end of the others and theirs keeps them all', async () => {
    const { storage, ledger } = await open(scratch())
    void ledger.settle(ledgerRow('a-1', { atMs: first, owner: owned('ann') }))
    await ledger.flush()
    for (const statement of [
      'create table held as select * from ledger_rows',
      'create trigger comes after delete on ledger_quarters begin insert into ledger_rows select * from held; end',
    ])
      await sql.raw(statement).execute(storage.db)
    await forget(storage, first + day)
    expect(await seen(storage)).toEqual([['a-1', 'ann']])
    await forget(storage, first + 2 * day)
    expect(await seen(storage)).toEqual([])
    expect(await users(storage)).toEqual([])
  })

  test('while rows come in all the time, no row loses them', async () => {
    const path = scratch()
    const gateways = [await open(path), await open(path)]
    const count = 40
    for (let step = 0; step < count; step++) {
      const forgotten = forget(gateways[step % 2]!.storage, first + (step - 2) * day)
      for (let number = 0; number < 30; number++)
        for (const [index, { ledger }] of gateways.entries())
          void ledger.settle(ledgerRow(`${index}s${step}n${number}-1`, { atMs: first + (step - (number % 4)) * day, owner: owned(`u${step - (number % 4)}`) })) // prettier-ignore
      await Promise.all([forgotten, ...gateways.map(({ ledger }) => ledger.flush())])
    }
    const { storage } = gateways[0]!
    const { rows } = await sql`select id from ledger_rows where dimensions not in (select id from ledger_dimensions)`.execute(storage.db) // prettier-ignore
    expect(rows).toEqual([])
    await forget(storage, first + (count + 5) * day)
    expect(await users(storage)).toEqual([])
  })
})

test('a database whose rows were one table is opened with every row as it was', async () => {
  const path = scratch()
  const { storage, ledger } = await open(path)
  const rare = { usage: usage(9, 8, { audioInput: 3 }), units: { images: 2 }, endUser: 'ann' }
  void ledger.settle(ledgerRow('old-1', rare))
  void ledger.settle(ledgerRow('named', { operationId: 'named', attempt: 0 }))
  void ledger.settle(ledgerRow('void-2', { usage: null, state: 'void', attempt: 2 }))
  await ledger.flush()
  const before = await rowsOf(storage)
  await closers.pop()!()
  const file = new Database(join(path, 'headgate.db'))
  for (const statement of [
    'create table before as select * from ledger',
    'drop view ledger',
    'drop table ledger_rows',
    'drop table ledger_dimensions',
    'drop table ledger_named',
    'alter table before rename to ledger',
    'create index ledger_at on ledger (at_ms)',
    'drop table ledger_quarters',
    'delete from migrations where number >= 6',
  ])
    file.run(statement)
  file.close()
  const again = await open(path)
  expect(await rowsOf(again.storage)).toEqual(before)
  expect(before).toHaveLength(3)
  void again.ledger.settle(ledgerRow('named', { operationId: 'named', attempt: 0 }))
  await again.ledger.flush()
  expect(await rowsOf(again.storage)).toEqual(before)
  expect(
    await again.storage.db.selectFrom('ledger_quarters').select(['at_ms', 'rows', 'audio_input']).execute(),
  ).toEqual([{ at_ms: before[0]!.at_ms - (before[0]!.at_ms % 900_000), rows: 3, audio_input: 3 }])
  await booksAgree(again.storage)
})

describe('after a crash', () => {
  interface Child {
    readonly began: Set<string>
    readonly done: Set<string>
  }

  /** Lets a process book calls until it is killed, `ms` after so many of them were answered. */
  async function killed(
    path: string,
    ms: number,
    { durability = 'process', answered = 1 } = {},
  ): Promise<Child> {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'child.ts'), path, durability], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const reader = child.stdout.getReader()
    let text = ''
    const decoder = new TextDecoder()
    while (!text.includes('ready')) text += decoder.decode((await reader.read()).value)
    let timer: ReturnType<typeof setTimeout> | undefined
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += decoder.decode(value)
      if (timer === undefined && text.split('\ndone ').length > answered)
        timer = setTimeout(() => child.kill('SIGKILL'), ms)
    }
    clearTimeout(timer)
    await child.exited
    const lines = text.split('\n')
    const ids = (word: string) =>
      new Set(lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1)))
    return { began: ids('began'), done: ids('done') }
  }

  async function recovered(path: string, children: readonly Child[]): Promise<void> {
    const { storage, ledger } = await open(path)
    const rows = await rowsOf(storage)
    const byId = new Map(rows.map((row) => [row.id, row]))
    expect(byId.size).toBe(rows.length)
    for (const { began, done } of children) {
      for (const id of done) expect(byId.get(id)?.state).toBe('settled')
      for (const id of began) expect(byId.has(id)).toBe(true)
    }
    for (const row of rows.filter(({ estimator }) => estimator === crashEstimator))
      expect(row).toMatchObject({ state: 'estimated', input: 10, output: 0, cost_nano: 1500, is_last: 1 })
    await booksAgree(storage)
    expect(readdirSync(journalsOf(path))).toHaveLength(1)
    expect(ledger.openCalls()).toBe(0)
  }

  test('rule 2: 30 times killed at random moments: every answered call has its row, none has two', async () => {
    const path = scratch()
    const children: Child[] = []
    const answered = () => children.reduce((sum, { done }) => sum + done.size, 0)
    // On a busy machine a process may do little until it is killed: then there are more of them.
    for (let round = 0; round < 30 || (answered() <= 500 && round < 100); round++)
      children.push(await killed(path, (round * 37) % 180))
    expect(answered()).toBeGreaterThan(500)
    expect(children.some(({ began, done }) => began.size > done.size)).toBe(true)
    await recovered(path, children)
  })

  test('a damaged journal: what is whole is recovered, the rest is told, and the file is kept', async () => {
    const path = scratch()
    const { done } = await killed(path, 60, { answered: 20 })
    const [name] = readdirSync(journalsOf(path))
    const file = join(journalsOf(path), name!, '1.journal')
    const bytes = readFileSync(file)
    // In the midst of a record, between others.
    bytes.fill(0x5a, 2000, 2008)
    writeFileSync(file, bytes)
    const { storage, ledger, events } = await open(path)
    const rows = await rowsOf(storage)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatch(
      /^error: The journal of a process that died is damaged: \d+ rows .* It is kept in /,
    )
    const kept = readdirSync(join(path, 'ledger-damaged', name!))
    expect(kept).toContain('1.journal')
    // At most the record that was hit is missing.
    const found = new Set(rows.map(({ id }) => id))
    expect([...done].filter((id) => !found.has(id)).length).toBeLessThanOrEqual(1)
    expect(ledger.recovered.rows).toBeGreaterThan(0)
    await booksAgree(storage)
  })

  test('what was in the database already does not count as recovered', async () => {
    const path = scratch()
    const child = await killed(path, 100)
    const again = scratch()
    cpSync(path, again, { recursive: true })
    const first = await open(path)
    expect(first.ledger.recovered.rows).toBeGreaterThan(0)
    await closers.pop()!()
    // The same journal once more, over the database that has its rows.
    const [name] = readdirSync(journalsOf(again))
    cpSync(join(journalsOf(again), name!), join(journalsOf(path), name!), { recursive: true })
    const { ledger, events } = await open(path)
    expect(ledger.recovered).toMatchObject({ rows: 0, damaged: [] })
    expect(events).toEqual([])
    expect(child.began.size).toBeGreaterThan(0)
  })

  test('rule 2: durability power, killed', async () => {
    const path = scratch()
    await recovered(path, [await killed(path, 300, { durability: 'power' })])
  })

  test('a process that still lives keeps its journal, and one that starts takes only what is left by the dead', async () => {
    const path = scratch()
    const first = await open(path)
    first.ledger.reserve(reservation('living-1'))
    const child = await killed(path, 100)
    const second = await open(path)
    const rows = await rowsOf(second.storage)
    for (const id of child.done) expect(rows.some((row) => row.id === id)).toBe(true)
    expect(rows.some(({ id }) => id === 'living-1')).toBe(false)
    expect(first.ledger.openCalls()).toBe(1)
    void first.ledger.settle(ledgerRow('living-1'))
    await first.ledger.flush()
    expect((await rowsOf(second.storage)).find(({ id }) => id === 'living-1')?.state).toBe('settled')
    await booksAgree(second.storage)
  })
})

test('all files of a ledger are for its owner alone', async () => {
  const path = scratch()
  const { ledger } = await open(path)
  ledger.reserve(reservation('one-1'))
  const names = readdirSync(journalsOf(path), { recursive: true, withFileTypes: true })
  const files = names.filter((name) => name.isFile())
  expect(files.map(({ name }) => name)).toContain('lock.db')
  for (const { parentPath, name } of files)
    expect([name, statSync(join(parentPath, name)).mode & 0o777]).toEqual([name, 0o600])
})

describe('a store that takes no rows', () => {
  test('new calls are refused while the database is locked for long, calls under way are kept', async () => {
    const path = scratch()
    const { storage, ledger } = await open(path, { segmentBytes: 64 * 1024, waitingBytesMax: 512 * 1024 })
    // Another process that holds the file.
    const other = new Database(join(path, 'headgate.db'))
    other.run('begin exclusive')
    let number = 0
    const refusal = (): unknown => {
      try {
        for (;;) {
          ledger.reserve(reservation(`w${number}-1`))
          number++
          void ledger.settle(ledgerRow(`w${number - 1}-1`))
        }
      } catch (cause) {
        return cause
      }
    }
    expect(refusal()).toBeInstanceOf(LedgerFailure)
    expect(ledger.trouble()).toBe('the database takes no rows')
    expect(number).toBeGreaterThan(300)
    other.run('rollback')
    other.close()
    while (!(await ledger.flush()) || ledger.trouble() !== null) await Bun.sleep(10)
    ledger.reserve(reservation('after-1'))
    void ledger.settle(ledgerRow('after-1'))
    await ledger.flush()
    expect(await rowsOf(storage)).toHaveLength(number + 1)
    await booksAgree(storage)
  })
})
