// Both databases under one suite, and what each does by itself: how it starts, what it says when it cannot, and what
// happens when it goes away.

import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../src/base/secret.ts'
import { openKeys } from '../../src/keys/open-keys.ts'
import { openStorage, StorageFailure } from '../../src/storage/open.ts'
import { keysContract, type Opened, type World } from './contract.ts'
import { postgresPrograms, startCluster, type Cluster } from './postgres-cluster.ts'

setDefaultTimeout(60_000)

const closers: (() => Promise<void>)[] = []
let cluster: Cluster | null = null
const folders: string[] = []
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})
afterAll(async () => {
  await cluster?.remove()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-store-'))
  folders.push(folder)
  return folder
}

interface Place {
  readonly path: string
  readonly postgres: Secret | null
  readonly pepper?: Secret
}

async function open(place: Place, time = { ms: Date.now() }, pollMs = 20): Promise<Opened> {
  const clock = { nowMs: () => performance.now(), wallMs: () => time.ms }
  const storage = await openStorage(place, clock)
  const revoked: string[] = []
  const events: string[] = []
  try {
    const keys = await openKeys(storage, {
      path: place.path,
      pepper: place.pepper ?? null,
      clock,
      pollMs,
      events: { event: (_, text) => void events.push(text), revoked: (id) => void revoked.push(id) },
    })
    closers.push(async () => {
      await keys.close()
      await storage.close().catch(() => {})
    })
    return { storage, keys, revoked, events }
  } catch (cause) {
    await storage.close()
    throw cause
  }
}

async function refusal(place: Place): Promise<string> {
  const cause = await open(place).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(cause).toBeInstanceOf(StorageFailure)
  const { message } = cause as Error
  expect(message).not.toContain('\n')
  return message
}

function worldOf(place: Place, dump: (opened: Opened) => Promise<string>): World {
  const time = { ms: Date.now() }
  return {
    time,
    open: () => open(place, time),
    dump: async () => dump(await open(place, time)),
  }
}

async function everyRow({ storage: { db } }: Opened): Promise<string> {
  const tables = ['keys', 'key_digests', 'audit', 'facts', 'counters', 'migrations'] as const
  return JSON.stringify(await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute())))
}

const sqlitePlace: Place = { path: scratch(), postgres: null }
const sqliteWorld = worldOf(sqlitePlace, async (opened) => {
  const files = readdirSync(sqlitePlace.path).filter((name) => name.startsWith('headgate.db'))
  return (
    (await everyRow(opened)) +
    files.map((name) => readFileSync(join(sqlitePlace.path, name), 'latin1')).join('')
  )
})
keysContract('SQLite', () => sqliteWorld)

describe('the SQLite file', () => {
  test('and the pepper can be read by their owner alone', async () => {
    const path = join(scratch(), 'made')
    const { keys } = await open({ path, postgres: null })
    await keys.create({ name: 'a' }, 'x')
    expect(statSync(path).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(path))
      expect(`${name} ${(statSync(join(path, name)).mode & 0o777).toString(8)}`).toBe(`${name} 600`)
    expect(readFileSync(join(path, 'pepper'), 'utf8')).toMatch(/^[A-Za-z0-9]{64}\n$/)
  })

  test('that is no database, or a place that cannot be had, is one clear line', async () => {
    const path = scratch()
    writeFileSync(join(path, 'headgate.db'), 'this is not a database, however long it may be'.repeat(100))
    expect(await refusal({ path, postgres: null })).toContain('it is not a database')
    const file = join(scratch(), 'file')
    writeFileSync(file, '')
    expect(await refusal({ path: join(file, 'below'), postgres: null })).toContain('not a directory')
  })

  test('of a newer version is not touched', async () => {
    const place: Place = { path: scratch(), postgres: null }
    const { storage } = await open(place)
    await storage.db.insertInto('migrations').values({ number: 999, name: 'later', at_ms: 0 }).execute()
    expect(await refusal(place)).toContain('made by a newer version')
  })

  test('locked by another process for a while makes a change wait, not fail, and never stops this one', async () => {
    const place: Place = { path: scratch(), postgres: null }
    const { keys } = await open(place)
    const holder = await open(place)
    const locked = Promise.withResolvers<void>()
    const enough = Promise.withResolvers<void>()
    let turns = 0
    // Until this process has done other things: one that stood still in its waiting would wait in vain.
    const held = holder.storage.db.transaction().execute(async (tx) => {
      await tx.updateTable('counters').set({ value: 0 }).where('name', '=', 'nothing').execute()
      locked.resolve()
      await enough.promise
    })
    await locked.promise
    const timer = setInterval(() => {
      if (++turns === 20) enough.resolve()
    }, 1)
    await keys.create({ name: 'waits' }, 'x')
    clearInterval(timer)
    expect(turns).toBeGreaterThanOrEqual(20)
    await held
  })
})

describe('the pepper', () => {
  test('that is missing, changed, short or open to others stops the start once there are keys', async () => {
    const place: Place = { path: scratch(), postgres: null }
    const { keys } = await open(place)
    const { secret } = await keys.create({ name: 'a' }, 'x')
    const file = join(place.path, 'pepper')
    const good = readFileSync(file, 'utf8')

    rmSync(file)
    expect(await refusal(place)).toContain(`the pepper ${file} is missing`)
    expect(readdirSync(place.path)).not.toContain('pepper')
    writeFileSync(file, 'x'.repeat(64), { mode: 0o600 })
    expect(await refusal(place)).toContain('is not the one the keys in the store were made with')
    writeFileSync(file, 'short')
    expect(await refusal(place)).toContain('must have 32 to 4096 characters, but has 5')
    writeFileSync(file, '')
    expect(await refusal(place)).toContain('but has 0')
    writeFileSync(file, good)
    chmodSync(file, 0o644)
    expect(await refusal(place)).toContain(`run chmod 600 ${file}`)
    chmodSync(file, 0o600)
    expect((await open(place)).keys.lookup(secret.reveal())).toMatchObject({ key: 'a' })
  })

  test('may come from the configuration, and then no file is made', async () => {
    const place: Place = { path: scratch(), postgres: null, pepper: new Secret('p'.repeat(40)) }
    const { keys } = await open(place)
    const { secret } = await keys.create({ name: 'a' }, 'x')
    expect(readdirSync(place.path)).not.toContain('pepper')
    expect((await open(place)).keys.lookup(secret.reveal())).toMatchObject({ key: 'a' })
    expect(await refusal({ ...place, pepper: new Secret('q'.repeat(40)) })).toContain(
      'storage.pepper is not the one',
    )
  })

  test('that two processes make at once is one pepper', async () => {
    const place: Place = { path: scratch(), postgres: null }
    const opened = await Promise.all(Array.from({ length: 4 }, () => open(place)))
    const made = await Promise.all(opened.map(({ keys }, at) => keys.create({ name: `k${at}` }, 'x')))
    const { keys } = await open(place)
    for (const { id, secret } of made) expect(keys.lookup(secret.reveal())).toMatchObject({ keyId: id })
  })
})

describe.skipIf(postgresPrograms() === null)('PostgreSQL (needs postgresql)', () => {
  const place = { path: scratch(), postgres: new Secret('') }
  const world = worldOf(place, everyRow)

  test('starts', async () => {
    cluster = await startCluster()
    place.postgres = new Secret(await cluster.database('keys'))
    expect((await open(place)).storage.kind).toBe('postgres')
  })

  keysContract('with the same suite', () => world)

  test('several gateways that start at once make the tables once', async () => {
    const fresh: Place = { path: scratch(), postgres: new Secret(await cluster!.database('race')) }
    const opened = await Promise.all(Array.from({ length: 6 }, () => open(fresh)))
    expect(await opened[0]!.storage.db.selectFrom('migrations').selectAll().execute()).not.toEqual([])
  })

  test('a gateway with another pepper cannot start, nor make keys that others refuse', async () => {
    const url = new Secret(await cluster!.database('peppers'))
    const [one, two]: [Place, Place] = [
      { path: scratch(), postgres: url },
      { path: scratch(), postgres: url },
    ]
    const early = await open(two)
    await (await open(one)).keys.create({ name: 'a' }, 'x')
    expect(await refusal({ path: scratch(), postgres: url })).toContain('copy it from another gateway')
    expect(await refusal(two)).toContain('is not the one the keys in the store were made with')
    const cause = await early.keys.create({ name: 'b' }, 'x').catch((thrown: unknown) => thrown)
    expect(cause).toMatchObject({ code: 'conflict' })
    const warned = () => early.events.filter((line) => line.includes('with another pepper'))
    for (let left = 2000; warned().length === 0 && left > 0; left--) await Bun.sleep(10)
    expect(warned()).toHaveLength(1)
  })

  test('what is wrong with a server is one clear line without its password', async () => {
    const lines = [
      await refusal({
        path: scratch(),
        postgres: new Secret('postgres://headgate:a-canary-password@127.0.0.1:1/x'),
      }),
      await refusal({
        path: scratch(),
        postgres: new Secret(place.postgres.reveal().replace(/keys$/, 'nothing')),
      }),
    ]
    expect(lines[0]).toBe('cannot use the store at PostgreSQL 127.0.0.1:1/x: nothing listens there')
    expect(lines[1]).toContain('there is no such database')
    expect(lines.join()).not.toContain('canary')
  })

  test('a server that goes away leaves known keys working, changes fail clearly, and it resumes alone', async () => {
    const far: Place = { path: scratch(), postgres: new Secret(await cluster!.database('outage')) }
    const time = { ms: Date.now() }
    const { keys, events } = await open(far, time)
    const { id, secret } = await keys.create({ name: 'a' }, 'x')
    await cluster!.stop()
    const changes = [
      () => keys.create({ name: 'b' }, 'x'),
      () => keys.revoke(id, 'x'),
      () => keys.list({ limit: 1, cursor: null }),
    ]
    for (const change of changes) {
      const cause = await change().catch((thrown: unknown) => thrown)
      expect(cause).toMatchObject({ code: 'unavailable' })
      expect((cause as Error).message).not.toMatch(/canary|\n/)
    }
    expect(keys.lookup(secret.reveal())).toMatchObject({ keyId: id })
    const until = async (text: string) => {
      for (let left = 2000; !events.some((line) => line.includes(text)) && left > 0; left--)
        await Bun.sleep(10)
      expect(events.filter((line) => line.includes(text))).toHaveLength(1)
    }
    await until('the store does not answer')
    await cluster!.start()
    await until('the store answers again')
    await keys.revoke(id, 'x')
    expect(keys.lookup(secret.reveal())).toBe('revoked')
  })
})
