// Promise: what is kept survives restarts and crashes, is never wrong, never readable where it is sealed, and can be forgotten
// by key, tag, model and team, everywhere.

import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTiming } from '../running-time.ts'
import { redisFound, startRedis } from '../storage/redis-server.ts'
import { filesOf } from '../canary/search.ts'
import { callAdmin } from './admin-call.ts'
import { asks, call, chat, completion, completionFrames, status, textOf } from './cache-calls.ts'
import {
  access,
  eventually,
  promiseTests,
  scratchFolder,
  served,
  startGate,
  upstreamAt,
  type ConfigTree,
  type Served,
} from './harness.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

const root = join(import.meta.dir, '..', '..')
const adminToken = 'hga_test-cache-admin-00000000000000000001'

/** Answers with what was asked: an answer that is somebody else's shows. */
const echo: Script = async (seen, peer) => {
  const text = `to ${asks(seen).messages[0].content}`
  if (asks(seen).stream !== true) return void (await peer.write(reply(200, completion(text))))
  await peer.write(eventsHead)
  for (const frame of completionFrames(text, true)) await peer.write(chunk(frame))
  await peer.write(lastChunk)
}
const upstream = ScriptedUpstream.start(echo)

function tree(cache: ConfigTree = {}, more: ConfigTree = {}): ConfigTree {
  return {
    upstreams: [upstreamAt(upstream.url)],
    admin: { listen: '127.0.0.1:0', token: adminToken },
    cache: { mode: 'exact', jitter: 0, ...cache },
    ...more,
  }
}

const onDisk = { store: { memory: '1MB', disk: '1GB' } }

async function stop(gate: Served): Promise<void> {
  gate.signal('SIGTERM')
  await gate.exited
}

/** Answers in the file of a gateway that runs. */
function countOnDisk(folder: string): number {
  const db = new Database(join(folder, 'data', 'cache.db'), { readonly: true })
  try {
    return db.query<{ count: number }, []>('select count(*) count from answers').get()!.count
  } finally {
    db.close()
  }
}

async function headgate(
  folder: string,
  ...words: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, join(root, 'src/main.ts'), ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, NO_COLOR: '1' },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { code: await child.exited, stdout, stderr }
}

describe('on disk', () => {
  test('answers survive a restart, with their age', async () => {
    const folder = scratchFolder()
    const first = await served({ tree: tree(onDisk), folder })
    expect(status(await call(first.port, chat('restart')))).toBe('MISS')
    await stop(first)
    const second = await served({ tree: tree(onDisk), folder })
    const answer = await call(second.port, chat('restart'))
    expect([status(answer), textOf(answer)]).toEqual(['HIT', 'to restart'])
    expect(Number(answer.header('age'))).toBeGreaterThanOrEqual(0)
    expect(statSync(join(folder, 'data', 'cache.db')).mode & 0o077).toBe(0)
    await stop(second)
  })

  test('killed amid writes, again and again: what is there afterwards is right', async () => {
    const folder = scratchFolder()
    let hits = 0
    for (let round = 0; round < 4; round++) {
      const gate = await served({ tree: tree(onDisk), folder })
      const names = Array.from(
        { length: 80 },
        (_, index) => `r${round} n${index} ${'x'.repeat((index * 97) % 5000)}`,
      )
      for (const name of names.slice(0, 40)) await call(gate.port, chat(name))
      for (const name of names.slice(40)) call(gate.port, chat(name)).catch(() => {})
      await Bun.sleep(10 + round * 7)
      gate.signal('SIGKILL')
      await gate.exited
      const again = await served({ tree: tree(onDisk), folder })
      for (const name of names) {
        const answer = await call(again.port, chat(name))
        expect(textOf(answer)).toBe(`to ${name}`)
        if (status(answer) === 'HIT') hits++
      }
      expect(again.output().stderr).not.toContain('damaged')
      await stop(again)
    }
    expect(hits).toBeGreaterThan(50)
  })

  test('a damaged file is set aside and begun anew, whatever of it is damaged', async () => {
    const folder = scratchFolder()
    const file = join(folder, 'data', 'cache.db')
    const damages: (() => void)[] = [
      () => writeFileSync(file, 'this is no database at all, but a text of some length'),
      () => {
        const bytes = readFileSync(file)
        for (let at = 4096; at < bytes.length; at += 1024) bytes.fill(0xa5, at, at + 700)
        writeFileSync(file, bytes)
      },
      () => truncateSync(file, Math.floor(statSync(file).size / 2)),
    ]
    for (const damage of damages) {
      const first = await served({ tree: tree(onDisk), folder })
      for (let number = 0; number < 40; number++)
        await call(first.port, chat(`d${number} ${'y'.repeat(3000)}`))
      await stop(first)
      new Database(file).run('PRAGMA wal_checkpoint(TRUNCATE)')
      damage()
      const second = await served({ tree: tree(onDisk), folder })
      for (let number = 0; number < 40; number++) {
        const name = `d${number} ${'y'.repeat(3000)}`
        expect(textOf(await call(second.port, chat(name)))).toBe(`to ${name}`)
      }
      await eventually(() => existsSync(`${file}.damaged`))
      await Bun.sleep(50)
      await stop(second)
      const third = await served({ tree: tree(onDisk), folder })
      expect(status(await call(third.port, chat(`d0 ${'y'.repeat(3000)}`)))).toBe('HIT')
      await stop(third)
    }
  })

  test('a page that went astray is a miss, never somebody else’s answer', async () => {
    const folder = scratchFolder()
    const first = await served({ tree: tree(onDisk), folder })
    await call(first.port, chat('mine'))
    await call(first.port, chat('yours'))
    await stop(first)
    const db = new Database(join(folder, 'data', 'cache.db'))
    const [a, b] = db
      .query<{ id: number; body: Uint8Array; sum: number }, []>('select id, body, sum from answers')
      .all()
    // Each is whole and sound, in the other's place.
    const place = db.query('update answers set body = ?, sum = ? where id = ?')
    place.run(b!.body, b!.sum, a!.id)
    place.run(a!.body, a!.sum, b!.id)
    db.close()
    const second = await served({ tree: tree(onDisk), folder })
    const answer = await call(second.port, chat('mine'))
    expect([status(answer), textOf(answer)]).toEqual(['MISS', 'to mine'])
    await stop(second)
  })

  test('streams are kept too, and given after a restart whole and as streams', async () => {
    const folder = scratchFolder()
    const first = await served({ tree: tree(onDisk), folder })
    await call(first.port, chat('a stream', { stream: true }))
    await stop(first)
    const second = await served({ tree: tree(onDisk), folder })
    for (const more of [{ stream: true }, {}]) {
      const answer = await call(second.port, chat('a stream', more))
      expect([status(answer), textOf(answer)]).toEqual(['HIT', 'to a stream'])
    }
    await stop(second)
  })

  test('a file that another version wrote is begun anew, and nobody calls it damaged', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'data'))
    const db = new Database(join(folder, 'data', 'cache.db'))
    db.run('create table answers (id integer primary key, key blob not null unique, body blob not null)')
    db.run('PRAGMA user_version = 1')
    db.close()
    const gate = await served({ tree: tree(onDisk), folder })
    expect(status(await call(gate.port, chat('m')))).toBe('MISS')
    expect(gate.output().stderr).toContain('written by another version: the cache begins anew')
    await stop(gate)
    const again = await served({ tree: tree(onDisk), folder })
    expect(status(await call(again.port, chat('m')))).toBe('HIT')
    expect(existsSync(join(folder, 'data', 'cache.db.damaged'))).toBe(false)
    await stop(again)
  })

  test('with storage.key neither question nor answer is readable; without, they are', async () => {
    for (const key of [null, 'a-storage-key-of-thirty-two-characters-or-more']) {
      const folder = scratchFolder()
      const storage = { path: join(folder, 'data'), ...(key === null ? {} : { key }) }
      const gate = await served({ tree: tree(onDisk, { storage }), folder })
      await call(gate.port, chat('a question about zebras'))
      await stop(gate)
      const found = filesOf(join(folder, 'data')).some(
        ({ name, bytes }) => name.includes('cache.db') && Buffer.from(bytes).includes('zebras'),
      )
      expect({ key, found }).toEqual({ key, found: key === null })
    }
  })

  test('a data directory that cannot be written is told, and the cache works from memory', async () => {
    const folder = scratchFolder()
    writeFileSync(join(folder, 'a file'), '')
    const gate = await startGate(tree(onDisk, { storage: { path: join(folder, 'a file', 'data') } }))
    expect([status(await call(gate.port, chat('m'))), status(await call(gate.port, chat('m')))]).toEqual([
      'MISS',
      'HIT',
    ])
    const { json } = await callAdmin(gate.adminPort, 'GET /api/cache', { token: adminToken })
    expect(json.stores[1].trouble).toContain('cache.db cannot be used')
  })
})

describe('purging', () => {
  const tagged = (port: number, text: string, tag: string, model = 'm') =>
    call(port, { ...chat(text), model }, { lines: [`x-headgate-cache-tag: ${tag}, all`] })

  test('over the API: by tag, model, team, key and all, and in the audit log', async () => {
    const gate = await served({
      tree: tree(onDisk, { access: { keys: [{ ...access.keys[0], team: 'core' }] } }),
    })
    const admin = (what: `${string} /${string}`) => callAdmin(gate.adminPort, what, { token: adminToken })
    const fill = async () => {
      await Bun.sleep(5)
      await tagged(gate.port, 'a', 'one')
      await tagged(gate.port, 'b', 'two')
      await tagged(gate.port, 'c', 'two', 'other')
    }
    const left = async () => {
      const lines = ['Cache-Control: only-if-cached']
      const found = [await call(gate.port, { ...chat('a'), model: 'm' }, { lines }), await call(gate.port, { ...chat('b'), model: 'm' }, { lines }), await call(gate.port, { ...chat('c'), model: 'other' }, { lines })] // prettier-ignore
      return found.map(({ status: code }, index) => (code === 200 ? 'abc'[index] : '-')).join('')
    }
    for (const [query, expected] of [
      ['tag=one', '-bc'],
      ['tag=two', 'a--'],
      ['model=other', 'ab-'],
      ['team=core', '---'],
      ['team=none', 'abc'],
      ['all=true', '---'],
    ] as const) {
      // prettier-ignore
      await fill()
      await Bun.sleep(5)
      expect((await admin(`DELETE /api/cache?${query}`)).status).toBe(200)
      expect({ query, left: await left() }).toEqual({ query, left: expected })
    }
    for (const bad of ['', '?tag=a&team=b', '?key=abc', '?all=false', '?tag=']) {
      expect((await admin(`DELETE /api/cache${bad}`)).status).toBe(400)
    }
    const { json } = await admin('GET /api/audit')
    expect(json.rows.find((row: any) => row.target === 'tag:one')).toMatchObject({
      action: 'cache.purge',
      by: 'admin:admin',
    })
    const view = (await admin('GET /api/cache')).json
    expect(view.requests.MISS).toBeGreaterThan(5)
    expect(view.stores.map(({ store }: any) => store)).toEqual(['memory', 'disk'])
    await stop(gate)
  })

  test('from the command line: a running gateway follows, and one that starts later too', async () => {
    const folder = scratchFolder()
    const gate = await served({ tree: tree(onDisk), folder })
    await tagged(gate.port, 'a', 'one')
    await tagged(gate.port, 'b', 'two')
    await eventually(() => countOnDisk(folder) === 2, 'both to be written')
    const purge = await headgate(folder, 'cache', 'purge', '--tag', 'one', '--config', gate.file)
    expect([purge.code, purge.stderr]).toEqual([0, ''])
    expect(purge.stdout).toContain('purged, 1 answers')
    const lines = ['Cache-Control: only-if-cached']
    const isThere = async (text: string) =>
      (await call(gate.port, { ...chat(text), model: 'm' }, { lines })).status === 200
    await eventually(async () => !(await isThere('a')), 'the gateway to follow')
    expect(await isThere('b')).toBe(true)
    await stop(gate)
    expect((await headgate(folder, 'cache', 'purge', '--all', '--config', gate.file)).code).toBe(0)
    const again = await served({ tree: tree(onDisk), folder })
    expect((await call(again.port, { ...chat('b'), model: 'm' }, { lines })).status).toBe(504)
    await stop(again)
    for (const wrong of [[], ['--all', '--tag', 'x'], ['--key', 'xyz']]) {
      const said = await headgate(folder, 'cache', 'purge', ...wrong, '--config', gate.file)
      expect([wrong, said.code]).toEqual([wrong, 2])
    }
  })
})

test('stats and simulate read what was recorded, with no body in it', async () => {
  const folder = scratchFolder()
  const gate = await served({ tree: tree(onDisk), folder })
  for (const text of ['a', 'b', 'a', 'a', 'c', 'b']) await call(gate.port, chat(`simulated ${text}`))
  await Bun.sleep(50)
  await stop(gate)
  const stats = JSON.parse(
    (await headgate(folder, 'cache', 'stats', '--format', 'json', '--config', gate.file)).stdout,
  )
  expect(stats).toMatchObject({
    mode: 'exact',
    disk: { answers: 3 },
    recent: { requests: 6, answeredFromCache: 3, byStatus: { MISS: 3, HIT: 3 } },
  })
  expect((await headgate(folder, 'cache', 'stats', '--config', gate.file)).stdout).toMatch(
    /6 requests, 3 answered from the cache \(50\.0 %\)/,
  )
  const simulated = JSON.parse(
    (
      await headgate(
        folder,
        'cache',
        'simulate',
        '--ttl',
        '1h,1ms',
        '--format',
        'json',
        '--config',
        gate.file,
      )
    ).stdout,
  )
  expect(simulated.rows[0]).toMatchObject({ ttl: '1h', requests: 6, hits: 3, savedTokens: 30 })
  expect(simulated.rows[1].hits).toBeLessThan(3)
  expect((await headgate(folder, 'cache', 'simulate', '--ttl', 'soon', '--config', gate.file)).code).toBe(2)
  expect(
    (await headgate(folder, 'cache', 'simulate', '--from', '1d', '--config', gate.file)).stdout,
  ).toContain('50.0 %')
  // Recorded also without a cache, where that is asked for.
  const other = scratchFolder()
  const plain = await served({ tree: tree({ mode: 'off', record: true }), folder: other })
  for (const text of ['a', 'a']) expect(status(await call(plain.port, chat(text)))).toBe('BYPASS')
  await Bun.sleep(50)
  await stop(plain)
  const off = JSON.parse(
    (await headgate(other, 'cache', 'simulate', '--format', 'json', '--config', plain.file)).stdout,
  )
  expect(off.rows[0]).toMatchObject({ requests: 2, hits: 1 })
})

test.skipIf(!redisFound)(
  'two gateways share answers and purges by Redis, and do without when it is lost (needs redis)',
  async () => {
    const redis = await startRedis()
    const shared = (folder: string) => tree({}, { storage: { path: folder, redis: redis.url } })
    const one = await startGate(shared(join(scratchFolder(), 'data')))
    const two = await startGate(shared(join(scratchFolder(), 'data')))
    await eventually(async () => {
      const text = `warm ${Math.random()}`
      await call(one.port, chat(text))
      await Bun.sleep(20)
      return status(await call(two.port, chat(text))) === 'HIT'
    })
    const lines = ['x-headgate-cache-tag: t']
    await call(one.port, chat('shared'), { lines })
    await eventually(
      async () =>
        (await call(two.port, chat('shared'), { lines: ['Cache-Control: only-if-cached'] })).status === 200,
    )
    expect((await callAdmin(one.adminPort, 'DELETE /api/cache?tag=t', { token: adminToken })).status).toBe(
      200,
    )
    await eventually(
      async () =>
        (await call(two.port, chat('shared'), { lines: ['Cache-Control: only-if-cached'] })).status === 504,
    )
    // Identical calls while the store is asked are one call all the same.
    const before = upstream.requests.length
    await Promise.all(Array.from({ length: 20 }, () => call(two.port, chat('together'))))
    expect(upstream.requests.length).toBe(before + 1)
    redis.signal('SIGSTOP')
    const sinceAskedMs = startTiming()
    expect(status(await call(two.port, chat('frozen')))).toBe('MISS')
    expect(sinceAskedMs()).toBeLessThan(1000)
    redis.signal('SIGCONT')
    await redis.remove()
    expect([status(await call(two.port, chat('lost'))), status(await call(two.port, chat('lost')))]).toEqual([
      'MISS',
      'HIT',
    ])
    expect((await callAdmin(one.adminPort, 'DELETE /api/cache?all=true', { token: adminToken })).status).toBe(
      503,
    )
  },
)
