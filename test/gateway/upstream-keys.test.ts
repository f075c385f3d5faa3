// Promise: an account's keys can be replaced without an outage: the first key is used, until its date or until the
// upstream refuses it, then the next. And a caller of one environment never spends an account of another.

import { describe, expect, test } from 'bun:test'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callAdmin } from './admin-call.ts'
import {
  access,
  ask,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  scratchFolder,
  served,
  startGate,
  upstreamAt,
  writeConfig,
} from './harness.ts'
import { fine, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

const models = request('GET', '/v1/models')
const refusal = '{"error":{"message":"Incorrect API key provided.","code":"invalid_api_key"}}'
const [first, second] = ['sk-rotation-first-00001', 'sk-rotation-second-0001']

/** An upstream that takes only some keys. */
function upstreamTaking(...keys: string[]) {
  const taken = new Set(keys)
  const script: Script = (seen, peer) =>
    taken.has(seen.header('authorization')!.slice('Bearer '.length))
      ? fine(seen, peer)
      : peer.write(reply(401, refusal))
  const upstream = ScriptedUpstream.start(script)
  finallyClose(() => upstream.stop())
  return { upstream, taken, last: () => upstream.last.header('authorization')!.slice('Bearer '.length) }
}

const ready = async (port: number) =>
  (await callAdmin(port, 'GET /readyz')).json as { status: string; reasons: string[] }

describe('a key that the upstream refuses', () => {
  test('is replaced by the next at once, within the same request, and stays so after a reload', async () => {
    const { upstream, last } = upstreamTaking(second)
    const tree = { upstreams: [upstreamAt(upstream.url, { keys: [first, second] })] }
    const gate = await startGate(tree)
    const answer = await ask(gate.port, models)
    expect({ status: answer.status, attempts: answer.header('x-headgate-attempts') }).toEqual({
      status: 200,
      attempts: '2',
    })
    for (let count = 0; count < 3; count++) {
      expect((await ask(gate.port, models)).status).toBe(200)
      expect(last()).toBe(second)
    }
    expect((await ready(gate.adminPort)).status).toBe('ready')
    await gate.reload(tree)
    expect((await ask(gate.port, models)).status).toBe(200)
    expect(
      upstream.requests.filter((seen) => seen.header('authorization') === `Bearer ${first}`),
    ).toHaveLength(1)
  })

  test('is told to the operator, by its fingerprint', async () => {
    const { upstream } = upstreamTaking(second)
    const gate = await served({ tree: { upstreams: [upstreamAt(upstream.url, { keys: [first, second] })] } })
    await ask(gate.port, models)
    const said = await gate.says('refused a key (401, fingerprint ')
    expect(said).toContain('The next one is used from now on.')
    expect(said).not.toContain(first)
  })

  test('is tried again where no other is left, and the gateway is not ready as long as it is refused', async () => {
    const { upstream, taken } = upstreamTaking()
    const gate = await startGate({ upstreams: [upstreamAt(upstream.url, { keys: [first, second] })] })
    for (let count = 0; count < 4; count++) expect((await ask(gate.port, models)).status).toBe(502)
    expect(await ready(gate.adminPort)).toMatchObject({
      status: 'not ready',
      reasons: ['upstream main: every key was refused by the upstream (401) or has expired'],
    })
    expect(upstream.requests.map((seen) => seen.header('authorization')!.slice('Bearer '.length))).toEqual([
      first,
      second,
      first,
      second,
      first,
    ])
    taken.add(second)
    expect((await ask(gate.port, models)).status).toBe(200)
    expect((await ask(gate.port, models)).status).toBe(200)
    expect((await ready(gate.adminPort)).status).toBe('ready')
  })

  test('is not set aside where it only lacks a right: any caller could bring that about', async () => {
    const { upstream } = upstreamTaking()
    upstream.script = (seen, peer) =>
      seen.target === '/v1/models'
        ? fine(seen, peer)
        : peer.write(reply(401, '{"error":{"message":"Missing scopes: model.request"}}'))
    const gate = await startGate({ upstreams: [upstreamAt(upstream.url, { keys: [first, second] })] })
    expect((await ask(gate.port, request('GET', '/v1/files'))).status).toBe(502)
    expect((await ask(gate.port, models)).status).toBe(200)
    expect(upstream.last.header('authorization')).toBe(`Bearer ${first}`)
  })

  test('whose 401 never ends, or is endless, is refused all the same', async () => {
    const { upstream, last } = upstreamTaking()
    const gate = await startGate({ upstreams: [upstreamAt(upstream.url, { keys: [first, second] })] })
    upstream.script = (_, peer) => peer.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n{')
    expect((await ask(gate.port, models)).status).toBe(502)
    upstream.script = (_, peer) =>
      peer.write(`HTTP/1.1 401 Unauthorized\r\nContent-Length: 99999999\r\n\r\n${'x'.repeat(100_000)}`)
    expect((await ask(gate.port, models)).status).toBe(502)
    // Both were tried in the first request; from then on the one refused longest ago.
    expect(last()).toBe(first)
    upstream.script = fine
    expect((await ask(gate.port, models)).status).toBe(200)
    expect(last()).toBe(second)
  })
})

describe('the environment', () => {
  const keyOf = (env: string | null) => ({
    name: env ?? 'none',
    value: `hg_test_key-of-${env}-0000001`,
    ...(env === null ? {} : { env }),
  })
  const status = async (port: number, env: string | null) =>
    (await ask(port, request('GET', '/v1/models', { key: keyOf(env).value }))).status

  test('of a key must be that of the account, where the account has one', async () => {
    const { upstream } = upstreamTaking(first)
    const gate = await startGate({
      upstreams: [upstreamAt(upstream.url, { keys: [first], env: 'prod' })],
      access: { keys: [keyOf('prod'), keyOf('dev'), keyOf(null)] },
    })
    expect(await status(gate.port, 'prod')).toBe(200)
    const count = upstream.requests.length
    expect(await status(gate.port, 'dev')).toBe(403)
    expect(await status(gate.port, null)).toBe(403)
    const refused = await ask(gate.port, request('GET', '/v1/models', { key: keyOf('dev').value }))
    expect(refused.json().error).toMatchObject({ code: 'access_denied', type: 'permission_error' })
    expect(upstream.requests).toHaveLength(count)
  })

  test('chooses among accounts, in their order; one without an environment is for all', async () => {
    const accounts = { prod: upstreamTaking(first), dev: upstreamTaking(first), any: upstreamTaking(first) }
    const at = (name: keyof typeof accounts, env?: string) =>
      upstreamAt(accounts[name].upstream.url, { name, keys: [first], ...(env === undefined ? {} : { env }) })
    const gate = await startGate({
      upstreams: [at('prod', 'prod'), at('dev', 'dev'), at('any')],
      routes: [{ pick: 'priority' }],
      access: { keys: [keyOf('prod'), keyOf('dev'), keyOf('test'), keyOf(null)] },
    })
    for (const [env, name] of [['prod', 'prod'], ['dev', 'dev'], ['test', 'any'], [null, 'any']] as const) {
      const answer = await ask(gate.port, request('POST', '/v1/embeddings', { key: keyOf(env).value, ...jsonBody({ model: 'm' }) }))
      expect({ env, upstream: answer.header('x-headgate-upstream') }).toEqual({ env, upstream: name })
    } // prettier-ignore
  })
})

describe('a secret in a file', () => {
  const tree = (url: string, folder: string) => ({
    upstreams: [
      upstreamAt(url, {
        keys: [`\${file:${join(folder, 'key')}}`, '${command:cat command; echo x >> runs}'],
      }),
    ],
    access,
  })
  const runs = (folder: string) => Bun.file(join(folder, 'runs')).text()

  test('is read again when it changes, without --watch, and without touching the rest', async () => {
    const { upstream, last } = upstreamTaking(first, second)
    const folder = scratchFolder()
    writeFileSync(join(folder, 'key'), `${first}\n`)
    writeFileSync(join(folder, 'command'), 'sk-from-command-000001')
    const gate = await served({ tree: tree(upstream.url, folder), folder })
    expect((await ask(gate.port, models)).status).toBe(200)
    expect(last()).toBe(first)
    expect(await runs(folder)).toBe('x\n')
    // The configuration's own text is being edited: that waits for a reload.
    writeFileSync(gate.file, 'servr: {')
    // As Kubernetes and editors do it.
    writeFileSync(join(folder, 'fresh'), second)
    renameSync(join(folder, 'fresh'), join(folder, 'key'))
    await gate.says('configuration reloaded: a secret changed')
    expect((await ask(gate.port, models)).status).toBe(200)
    expect(last()).toBe(second)
    // A command is run again on SIGHUP only.
    expect(await runs(folder)).toBe('x\n')
    writeConfig(tree(upstream.url, folder), folder)
    gate.signal('SIGHUP')
    await gate.says('configuration reloaded: SIGHUP')
    expect(await runs(folder)).toBe('x\nx\n')
  })

  test('that is unusable leaves the old one in force', async () => {
    const { upstream, last } = upstreamTaking(first, second)
    const folder = scratchFolder()
    writeFileSync(join(folder, 'key'), first)
    writeFileSync(join(folder, 'command'), 'sk-from-command-000001')
    const gate = await served({ tree: tree(upstream.url, folder), folder })
    writeFileSync(join(folder, 'key'), 'two words')
    const said = await gate.says('configuration not reloaded')
    expect(said).not.toContain('two words')
    expect((await ask(gate.port, models)).status).toBe(200)
    expect(last()).toBe(first)
    writeFileSync(join(folder, 'key'), second)
    await eventually(
      async () => (await ask(gate.port, models)).status === 200 && last() === second,
      'the new key',
    )
  })
})
