// Promise: a key made by `headgate keys create` opens a gateway that already runs, within what its bounds allow; one that
// is revoked, expired or rotated away is refused within seconds, and its text is nowhere but where it was printed once.

import { describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClientKey } from '../../src/base/client-key.ts'
import { startTiming } from '../running-time.ts'
import {
  ask,
  clientKey,
  eventually,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  serve,
  served,
  upstreamAt,
  type Served,
} from './harness.ts'
import { readReply } from './message.ts'
import { dial } from './peer.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const main = join(import.meta.dir, '..', '..', 'src', 'main.ts')
const path = '/v1/chat/completions'
const body = jsonBody({ model: 'gpt-4o', messages: [] })

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function keys(folder: string, ...args: string[]): Promise<Ran> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, USER: 'ann' }
  const run = Bun.spawn([process.execPath, main, 'keys', ...args], {
    cwd: folder,
    env,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited])
  return { code, out, err }
}

interface Made {
  readonly id: string
  readonly secret: string
}

async function made(folder: string, ...args: string[]): Promise<Made> {
  const { code, out, err } = await keys(folder, ...args, '--format', 'json')
  expect({ code, err }).toEqual({ code: 0, err: expect.not.stringContaining('headgate:') })
  return JSON.parse(out) as Made
}

async function status(gate: Served, key: string): Promise<number> {
  return (await ask(gate.port, request('POST', path, { ...body, key }))).status
}

const becomes = (gate: Served, key: string, wanted: number) =>
  eventually(async () => (await status(gate, key)) === wanted, `status ${wanted}`, 10_000)

const tree = { upstreams: [upstreamAt(upstream.url)] }

const gate = await served({ tree })
const { folder } = gate

describe('a gateway that runs', () => {
  test('takes a key made beside it, and the log names its owner', async () => {
    const { secret } = await made(
      folder,
      'create',
      '--name',
      'web',
      '--team',
      'core',
      '--app',
      'shop',
      '--user',
      'bo',
      '--env',
      'prod',
    )
    expect(secret).toMatch(/^hg_prod_[A-Za-z0-9]{46}$/)
    await becomes(gate, secret, 200)
    const line = await gate.logged((each) => each['key'] === 'web' && each['status'] === 200)
    expect(line).toMatchObject({ team: 'core', app: 'shop', user: 'bo', env: 'prod' })
    expect(await status(gate, clientKey)).toBe(200)
  })

  test('holds it to its models and endpoints', async () => {
    const { secret } = await made(
      folder,
      'create',
      '--name',
      'narrow',
      '--models',
      'gpt-4o-mini,o3*',
      '--endpoints',
      'embeddings,chat.*',
    )
    await becomes(gate, secret, 403)
    const mini = jsonBody({ model: 'gpt-4o-mini', messages: [] })
    expect((await ask(gate.port, request('POST', path, { ...mini, key: secret }))).status).toBe(200)
    expect((await ask(gate.port, request('GET', '/v1/models', { key: secret }))).status).toBe(403)
  })

  test('refuses a revoked key within seconds, whichever secret of it, in the words for any bad key', async () => {
    const { id, secret } = await made(folder, 'create', '--name', 'gone')
    const { secret: second } = await made(folder, 'rotate', id)
    await becomes(gate, second, 200)
    expect(await status(gate, secret)).toBe(200)
    expect((await keys(folder, 'revoke', id)).code).toBe(0)
    const sinceRevokedMs = startTiming()
    await becomes(gate, secret, 401)
    expect(sinceRevokedMs()).toBeLessThan(5000)
    const answers = await Promise.all(
      [secret, second, createClientKey('dev'), `${secret.slice(0, -1)}!`].map(async (key) => {
        const { status: code, body: text } = await ask(gate.port, request('POST', path, { ...body, key }))
        return `${code} ${Buffer.from(text).toString()}`
      }),
    )
    expect(new Set(answers).size).toBe(1)
    expect(await keys(folder, 'revoke', id)).toMatchObject({
      code: 1,
      err: `headgate: the key ${id} is revoked already\n`,
    })
  })

  test('refuses a key from the moment it expires, and a rotated secret when its grace is over', async () => {
    const short = await made(folder, 'create', '--name', 'short', '--expires', '3s')
    const turned = await made(folder, 'create', '--name', 'turned')
    await becomes(gate, turned.secret, 200)
    const { secret: second } = await made(folder, 'rotate', turned.id, '--grace', '2s')
    await becomes(gate, second, 200)
    await becomes(gate, short.secret, 401)
    await becomes(gate, turned.secret, 401)
    expect(await status(gate, second)).toBe(200)
  })

  test('lets an answer under way end when its key is revoked, unless told otherwise', async () => {
    let end = Promise.withResolvers<void>()
    const slow = ScriptedUpstream.start(async (seen, reply) => {
      if (seen.method === 'GET') return fine(seen, reply)
      void reply.write(
        'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n',
      )
      await end.promise
      void reply.write('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n')
    })
    for (const onRevoke of ['finish', 'abort'] as const) {
      end = Promise.withResolvers()
      const own = await served({ tree: { upstreams: [upstreamAt(slow.url)], access: { onRevoke } } })
      const { id, secret } = await made(own.folder, 'create', '--name', 'streams')
      const other = await made(own.folder, 'create', '--name', 'bystander')
      // One that is under way when its key is revoked may be cut as well.
      const statusOf = (key: string) =>
        ask(own.port, request('GET', '/v1/models', { key })).then(
          (answer) => answer.status,
          () => 0,
        )
      for (const key of [secret, other.secret])
        await eventually(async () => (await statusOf(key)) === 200, 'the key to be known')
      const before = slow.requests.length
      const peers = await Promise.all(
        [secret, other.secret].map(async (key) => {
          const peer = await dial(own.port)
          void peer.write(request('POST', path, { ...body, key }))
          return peer
        }),
      )
      const replies = Promise.all(peers.map((peer) => readReply(peer, 'POST')))
      await eventually(() => slow.requests.length === before + 2, 'the calls upstream')
      for (const peer of peers) await peer.untilText('data: 1')
      await keys(own.folder, 'revoke', id)
      await eventually(async () => (await statusOf(secret)) === 401, 'the key to be refused')
      if (onRevoke === 'abort') await own.says(/[1-9] answers under way were cut/)
      end.resolve()
      const [mine, bystander] = await replies
      expect(bystander!.complete).toBe(true)
      expect(mine!.complete).toBe(onRevoke === 'finish')
      if (onRevoke === 'abort') {
        await own.logged((line) => line['key'] === 'streams' && line['failure'] === 'invalid_api_key')
      }
      for (const peer of peers) peer.close()
    }
  })

  test('has written no secret anywhere', async () => {
    const { secret } = await made(folder, 'create', '--name', 'canary')
    await becomes(gate, secret, 200)
    const random = secret.slice('hg_dev_'.length)
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    const written = files
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
      .join('\n')
    const { stdout, stderr } = gate.output()
    for (let at = 0; at + 8 <= random.length; at++) {
      expect(written).not.toContain(random.slice(at, at + 8))
      expect(stdout + stderr).not.toContain(random.slice(at, at + 8))
    }
  })
})

describe('the command line', () => {
  test('works without a gateway and without a configuration', async () => {
    const folder = scratchFolder()
    const first = await keys(
      folder,
      'create',
      '--name',
      'first key',
      '--budget',
      '$50/month',
      '--addresses',
      '10.0.0.0/8',
      '--may-name',
    )
    expect(first.code).toBe(0)
    expect(first.out).toMatch(
      /^Key {6}hg_dev_[A-Za-z0-9]{46}\n {9}shown this once[^\n]*\nId {7}key_[A-Za-z0-9]{20}\nName {5}first key\n$/,
    )
    expect(first.err).toBe('')
    const { out: quiet } = await keys(folder, 'create', '--name', 'second', '--quiet')
    expect(quiet).toMatch(/^hg_dev_[A-Za-z0-9]{46}\n$/)

    const list = await keys(folder, 'list')
    expect(
      list.out
        .split('\n')
        .slice(0, -1)
        .map((line) => line.replace(/^\S+ +/, '')),
    ).toEqual([
      expect.stringMatching(/^NAME +ENV +TEAM +STATE +EXPIRES +CREATED$/),
      expect.stringMatching(/^second +dev +- +active +- +\d{4}-\d{2}-\d{2}$/),
      expect.stringMatching(/^first key +dev +- +active +- +\d{4}-\d{2}-\d{2}$/),
    ])
    const rows = JSON.parse((await keys(folder, 'list', '--format', 'json')).out) as {
      id: string
      name: string
    }[]
    expect(rows).toEqual([
      expect.objectContaining({ name: 'second' }),
      expect.objectContaining({
        name: 'first key',
        addresses: ['10.0.0.0/8'],
        mayName: true,
        createdBy: 'cli:ann',
      }),
    ])
    const shown = await keys(folder, 'show', rows[1]!.id)
    expect(shown.out).toContain('Addresses  10.0.0.0/8')
    expect(shown.out + list.out).not.toContain('hg_')
  })

  test('only the making of a key makes a store', async () => {
    const folder = scratchFolder()
    const id = `key_${'0'.repeat(20)}`
    const nowhere = join(folder, 'no-where')
    for (const args of [['list'], ['show', id], ['rotate', id, '--grace', '0s'], ['revoke', id]]) {
      const { code, out, err } = await keys(folder, ...args, '--data', nowhere)
      expect({ args, code, out }).toEqual({ args, code: 1, out: '' })
      expect(err).toContain(`there is no store here: ${nowhere} (`)
    }
    const { code, err } = await keys(folder, 'list')
    expect(code).toBe(0)
    expect(err).toContain('there are no keys yet')
    expect([existsSync(nowhere), existsSync(join(folder, '.headgate'))]).toEqual([false, false])
  })

  test('says what is wrong in one line', async () => {
    const folder = scratchFolder()
    await keys(folder, 'create', '--name', 'taken')
    for (const [args, code, text] of [
      [['create', '--name', 'taken'], 1, 'has this name already'],
      [
        ['create', '--name', 'x', '--env', 'PROD'],
        2,
        '--env: expected 1 to 16 lower-case letters and digits',
      ],
      [['create', '--name', 'x', '--endpoints', 'chat'], 2, '--endpoints: no endpoint has this name'],
      [['create', '--name', 'x', '--addresses', '10.1'], 2, '--addresses: '],
      [
        ['create', '--name', 'x', '--expires', 'soon'],
        2,
        '--expires: expected a duration such as 90d, or a date',
      ],
      [['create', '--name', 'x', '--expires', '2020-01-01'], 2, '--expires: must lie ahead'],
      [['create', '--name', 'x', '--budget', '50'], 2, '--budget: expected an amount and a time'],
      [['create', '--name', 'x', '--metadata', 'a'], 2, '--metadata: expected NAME=VALUE'],
      [['create'], 2, "required option '-n, --name <name>' not specified"],
      [['rotate', `key_${'0'.repeat(20)}`, '--grace', '1'], 2, '--grace: expected a duration'],
      [['show', `key_${'0'.repeat(20)}`], 1, 'no key has the id'],
      [['list', '--config', 'none.yaml'], 1, 'no such file'],
    ] as const) {
      const { code: ended, out, err } = await keys(folder, ...args)
      expect({ args, ended, out }).toEqual({ args, ended: code, out: '' })
      expect(err).toContain(text)
      expect(err.trimEnd().split('\n')).toHaveLength(1)
    }
  })

  test('scan finds keys by shape and checksum, and tells them by fingerprint', async () => {
    const folder = scratchFolder()
    const { id, secret } = await made(folder, 'create', '--name', 'leaked')
    const revoked = await made(folder, 'create', '--name', 'old')
    await keys(folder, 'revoke', revoked.id)
    const stranger = createClientKey('prod')
    const source = join(folder, 'source')
    mkdirSync(join(source, 'deep'), { recursive: true })
    writeFileSync(join(source, 'a.env'), `\nKEY=${secret}\n# hg_dev_${'a'.repeat(46)}\n`)
    writeFileSync(join(source, 'deep', 'b.bin'), `\u0000\u00ff${revoked.secret}\n\n"${stranger}"`)
    // Across the edge of the pieces a big file is read in.
    const far = `${'x\n'.repeat(524_270)}${' '.repeat(20)}${stranger}`
    writeFileSync(join(source, 'big.log'), far)

    const { code, out } = await keys(folder, 'scan', 'source')
    const print = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex').slice(0, 8)
    expect(out.trimEnd().split('\n').toSorted()).toEqual(
      [
        `source/a.env:2: client key ${print(secret)} (active, ${id})`,
        `source/big.log:524271: client key ${print(stranger)} (well formed; not in the store)`,
        `source/deep/b.bin:1: client key ${print(revoked.secret)} (revoked, ${revoked.id})`,
        `source/deep/b.bin:3: client key ${print(stranger)} (well formed; not in the store)`,
      ].toSorted(),
    )
    expect([code, out.includes('hg_')]).toEqual([1, false])
    const clean = scratchFolder()
    writeFileSync(join(clean, 'fine.txt'), `hg_dev_${'b'.repeat(46)}`)
    expect(await keys(clean, 'scan', '.')).toEqual({ code: 0, out: 'no client key in .\n', err: '' })
    expect(readdirSync(clean)).not.toContain('.headgate')
    expect((await keys(clean, 'scan', 'nothing')).code).toBe(1)
  })
})

describe('a store that cannot be opened', () => {
  test('is one clear line and exit code 1 at the start', async () => {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'data', 'headgate.db'), 'not a database at all, whoever wrote this'.repeat(50))
    const ended = await serve({ tree, folder })
    expect(ended).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^headgate: cannot open the store [^\n]*it is not a database[^\n]*\n$/),
    })
  })

  test('nor is a pepper that is gone ever replaced', async () => {
    const folder = scratchFolder()
    const { secret } = await made(folder, 'create', '--name', 'a', '--data', 'data')
    const gate = await served({ tree, folder })
    await becomes(gate, secret, 200)
    gate.signal('SIGTERM')
    await gate.exited
    rmSync(join(folder, 'data', 'pepper'))
    expect(await serve({ tree, folder })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the pepper'),
    })
    expect(readdirSync(join(folder, 'data'))).not.toContain('pepper')
  })
})
