// Promise: the admin port is closed to all but those who hold a token, its token is made and kept safely, and what it
// changes is in force at once and stands in the audit log.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callAdmin } from './admin-call.ts'
import {
  ask,
  eventually,
  finallyClose,
  promiseTests,
  request,
  scratchFolder,
  serve,
  served,
  startGate,
  upstreamAt,
  writeConfig,
  type ConfigTree,
  type Served,
} from './harness.ts'
import { ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const token = 'hga_test-token-0000000000000000000000000001'
const other = 'hga_test-token-0000000000000000000000000002'
const sandbox: ConfigTree = { upstreams: [{ name: 'main', provider: 'sandbox' }] }
const withToken = (value = token): ConfigTree => ({
  ...sandbox,
  admin: { listen: '127.0.0.1:0', token: value },
})
const status = async (port: number, key: string, path = '/v1/models') =>
  (await ask(port, request('GET', path, { key }))).status
const shownToken = (gate: Served) => /hga_[A-Za-z0-9]{46}/.exec(gate.output().stderr)?.[0] ?? null

describe('a token that is made at the first start', () => {
  test('is printed once, kept as a hash for this user alone, and works after a restart', async () => {
    const folder = scratchFolder()
    const first = await served({ tree: sandbox, folder })
    const made = shownToken(first)!
    expect(made).not.toBeNull()
    const file = join(folder, 'data', 'admin-token')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const kept = readFileSync(file, 'utf8')
    expect(kept).toMatch(/^hmac-sha256:[0-9a-f]{64}\n$/)
    expect(kept).not.toContain(createHash('sha256').update(made).digest('hex'))
    expect((await callAdmin(first.adminPort, 'GET /api/keys', { token: made })).status).toBe(200)
    first.signal('SIGTERM')
    expect(await first.exited).toBe(0)
    const second = await served({ tree: sandbox, folder })
    expect(shownToken(second)).toBeNull()
    expect((await callAdmin(second.adminPort, 'GET /api/keys', { token: made })).status).toBe(200)
    second.signal('SIGTERM')
    await second.exited
    rmSync(file)
    const third = await served({ tree: sandbox, folder })
    expect(shownToken(third)).not.toBe(made)
    expect((await callAdmin(third.adminPort, 'GET /api/keys', { token: made })).status).toBe(401)
  })

  test('counts no more once one is configured, and is not made then', async () => {
    const folder = scratchFolder()
    const gate = await served({ tree: sandbox, folder })
    const made = shownToken(gate)!
    writeConfig(withToken(), folder)
    gate.signal('SIGHUP')
    await gate.says('configuration reloaded')
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token: made })).status).toBe(401)
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token })).status).toBe(200)
    const fresh = await served({ tree: withToken() })
    expect(shownToken(fresh)).toBeNull()
    expect(() => statSync(join(fresh.folder, 'data', 'admin-token'))).toThrow()
  })

  test('is refused where its file is damaged', async () => {
    const folder = scratchFolder()
    const gate = await served({ tree: sandbox, folder })
    gate.signal('SIGTERM')
    await gate.exited
    writeFileSync(join(folder, 'data', 'admin-token'), 'hello')
    const refused = await serve({ tree: sandbox, folder })
    expect(refused).toMatchObject({ code: 1 })
    expect((refused as { stderr: string }).stderr).toContain('admin-token is damaged: delete it')
  })
})

describe('where no token is configured', () => {
  test.each(['0.0.0.0:0', '[::]:0', '192.0.2.1:8081'])('it does not listen on %s', async (listen) => {
    const refused = await serve({ tree: { ...sandbox, admin: { listen } } })
    expect(refused).toMatchObject({ code: 1 })
    expect((refused as { stderr: string }).stderr).toContain('no admin token is configured')
  })

  test('HEADGATE_ADMIN_TOKEN is one', async () => {
    const tree = { ...sandbox, admin: { listen: '0.0.0.0:0' } }
    const gate = await served({ tree, env: { HEADGATE_ADMIN_TOKEN: token } })
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token })).status).toBe(200)
    expect(shownToken(gate)).toBeNull()
  })
})

describe('the Host', () => {
  const hosts = async (tree: ConfigTree, wanted: Record<string, number>) => {
    const gate = await startGate(tree)
    for (const [host, code] of Object.entries(wanted)) {
      for (const path of ['/healthz', '/api/upstreams'] as const) {
        const answer = await callAdmin(gate.adminPort, `GET ${path}`, { token, headers: { host } })
        expect({ host, path, status: answer.status }).toEqual({ host, path, status: code })
      }
    }
  }

  test('on loopback names this machine, or a configured name', async () => {
    await hosts(
      { ...sandbox, admin: { listen: '127.0.0.1:0', token, publicHosts: ['Admin.example.com'] } },
      {
        localhost: 200,
        'localhost:8081': 200,
        '127.0.0.1:9999': 200,
        '[::1]:1': 200,
        'admin.example.com': 200,
        'ADMIN.example.com:443': 200,
        'evil.example.com': 421,
        'localhost.evil.example.com': 421,
        '127.0.0.1.evil.example.com': 421,
        'admin.example.com.': 421,
        '0.0.0.0:8081': 421,
        '192.0.2.1': 421,
      },
    )
  })

  test('elsewhere is any, or one of the configured names', async () => {
    await hosts({ ...sandbox, admin: { listen: '0.0.0.0:0', token } }, { 'x.example.com': 200 })
    await hosts(
      { ...sandbox, admin: { listen: '0.0.0.0:0', token, publicHosts: ['a.example.com'] } },
      { 'x.example.com': 421, 'a.example.com': 200, localhost: 200 },
    )
  })
})

test('wrong tokens are counted by address, and a good one gets in all the same', async () => {
  const gate = await startGate(withToken())
  const guess = async (from: string, key: string | null) =>
    (await callAdmin(gate.adminPort, 'GET /api/keys', { token: key, from })).status
  const seen: number[] = []
  for (let count = 0; count < 13; count++) seen.push(await guess('127.0.0.9', 'hga_wrong'))
  expect(seen.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401))
  expect(seen.at(-1)).toBe(429)
  const late = await callAdmin(gate.adminPort, 'GET /api/keys', { from: '127.0.0.9' })
  expect({ status: late.status, code: late.json.error.code }).toEqual({
    status: 429,
    code: 'rate_limit_exceeded',
  })
  expect(Number(late.headers['retry-after'])).toBeGreaterThan(0)
  // 503: this gateway runs without a store.
  expect(await guess('127.0.0.9', token)).toBe(503)
  expect(await guess('127.0.0.10', 'hga_wrong')).toBe(401)
})

describe('keys', () => {
  test('work from the moment they are made until they are revoked', async () => {
    const gate = await served({ tree: withToken() })
    const call = (what: `${string} /${string}`, body?: unknown) =>
      callAdmin(gate.adminPort, what, { token, body })
    const made = await call('POST /api/keys', { name: 'web', team: 'core', env: 'prod', models: ['gpt-4o*'] })
    expect({ ...made.json, secret: null, id: null, createdAt: null }).toEqual({
      id: null, secret: null, createdAt: null, name: 'web', env: 'prod', team: 'core', app: null, user: null, models: ['gpt-4o*'],
      endpoints: null, addresses: null, userAgents: null, budget: null, metadata: {}, mayName: false, state: 'active',
      createdBy: 'admin:admin', expiresAt: null, rotatedAt: null, previousUntil: null, revokedAt: null,
    }) // prettier-ignore
    const { id, secret } = made.json as { id: string; secret: string }
    expect(secret).toMatch(/^hg_prod_[A-Za-z0-9]{46}$/)
    expect(await status(gate.port, secret)).toBe(200)
    expect((await call('POST /api/keys', { name: 'web' })).status).toBe(409)

    const turned = await call(`POST /api/keys/${id}/rotate`, { grace: '1h' })
    expect({ status: turned.status, id: turned.json.id }).toEqual({ status: 201, id })
    expect(await status(gate.port, secret)).toBe(200)
    expect(await status(gate.port, turned.json.secret)).toBe(200)
    const last = await call(`POST /api/keys/${id}/rotate`, { grace: '0s' })
    expect(await status(gate.port, turned.json.secret)).toBe(401)
    expect(await status(gate.port, last.json.secret)).toBe(200)

    const gone = await call(`DELETE /api/keys/${id}`)
    expect({ status: gone.status, state: gone.json.state }).toEqual({ status: 200, state: 'revoked' })
    expect(await status(gate.port, last.json.secret)).toBe(401)
    expect((await call(`DELETE /api/keys/${id}`)).json).toEqual(gone.json)
    expect((await call(`GET /api/keys/${id}`)).json).toEqual(gone.json)
    expect((await call(`POST /api/keys/${id}/rotate`, {})).status).toBe(409)
    for (const what of ['GET', 'DELETE'] as const)
      expect((await call(`${what} /api/keys/key_none`)).status).toBe(404)
    const { rows } = (await call('GET /api/audit')).json
    expect(rows.map(({ by, action }: Record<string, string>) => `${by} ${action}`)).toEqual([
      'admin:admin key.revoke',
      'admin:admin key.rotate',
      'admin:admin key.rotate',
      'admin:admin key.create',
    ])
  })

  test('are listed newest first, in pages', async () => {
    const gate = await served({ tree: withToken() })
    for (let count = 0; count < 5; count++)
      await callAdmin(gate.adminPort, 'POST /api/keys', { token, body: { name: `k${count}` } })
    const names: string[] = []
    let next: string | null = null
    let pages = 0
    do {
      const query: string = next === null ? '' : `&cursor=${next}`
      const { json } = await callAdmin(gate.adminPort, `GET /api/keys?limit=2${query}`, { token })
      names.push(...json.rows.map(({ name }: { name: string }) => name))
      next = json.next
      pages++
    } while (next !== null)
    expect({ names, pages }).toEqual({ names: ['k4', 'k3', 'k2', 'k1', 'k0'], pages: 3 })
  })

  const wrong: [string, unknown, string | null, string][] = [
    ['no name', {}, 'name', 'is required'],
    ['a name that is none', { name: 1 }, 'name', 'expected string'],
    ['a name with a line break', { name: 'a\nb' }, 'name', 'control characters'],
    ['a mistyped member', { name: 'a', modles: ['x'] }, 'modles', 'Did you mean models?'],
    ['a member of an object’s prototype', JSON.parse('{"name":"a","__proto__":1}'), '__proto__', 'unknown'],
    ['an empty list', { name: 'a', models: [] }, 'models', 'empty list'],
    ['a list that is none', { name: 'a', models: 'gpt-4o' }, 'models', 'expected array'],
    ['an item that is none', { name: 'a', models: [1] }, 'models.0', 'expected string'],
    ['a duration without a unit', { name: 'a', expires: '90' }, 'expires', 'such as 24h or 90d'],
    ['a moment that is none', { name: 'a', expiresAt: 'tomorrow' }, 'expiresAt', '2027-01-31T12:00:00Z'],
    ['two ends', { name: 'a', expires: '1d', expiresAt: '2099-01-01T00:00:00Z' }, 'expiresAt', 'either'],
    ['a past end', { name: 'a', expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt', ''],
    ['too many pairs', { name: 'a', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])) }, 'metadata', '16'],
    ['a list as body', [], null, 'must be a JSON object'],
    ['text as body', 'x', null, 'must be a JSON object'],
    ['null as body', null, null, 'must be a JSON object'],
  ] // prettier-ignore
  test('are refused with one clear message where they are malformed', async () => {
    const gate = await served({ tree: withToken() })
    for (const [what, body, param, message] of wrong) {
      const answer = await callAdmin(gate.adminPort, 'POST /api/keys', {
        token,
        headers: { 'content-type': 'application/json' },
        text: JSON.stringify(body),
      })
      const { error } = answer.json
      expect({ what, status: answer.status, code: error.code }).toEqual({
        what,
        status: 400,
        code: 'bad_request',
      })
      expect({ what, message: error.message as string }).toEqual({
        what,
        message: expect.stringContaining(message),
      })
      if (what !== 'a past end') expect({ what, param: error.param }).toEqual({ what, param })
    }
    for (const text of ['', '{', '{"name":"a"}x', '\u0000', Buffer.from([0x22, 0xff, 0x22])]) {
      const headers = { 'content-type': 'application/json; charset=utf-8' }
      const answer = await callAdmin(gate.adminPort, 'POST /api/keys', { token, text, headers })
      expect({ status: answer.status, code: answer.json.error.code }).toEqual({
        status: 400,
        code: 'invalid_json',
      })
    }
    for (const text of [
      '{"name":"a","models":["x"],"models":null}',
      '{"name":"a","metadata":{"a":"b","a":"c"}}',
    ]) {
      const headers = { 'content-type': 'application/json' }
      const answer = await callAdmin(gate.adminPort, 'POST /api/keys', { token, text, headers })
      expect({ status: answer.status, code: answer.json.error.code }).toEqual({
        status: 400,
        code: 'bad_request',
      })
    }
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=x',
      'limit=-1',
      'limit=1&limit=2',
      'cursor=%00',
      'cursro=1',
    ]) {
      const answer = await callAdmin(gate.adminPort, `GET /api/keys?${query}`, { token })
      expect({ query, status: answer.status }).toEqual({ query, status: 400 })
    }
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token })).json.rows).toEqual([])
  })
})

describe('recent requests', () => {
  test('are listed newest first, in pages, by key, model and status', async () => {
    const gate = await startGate({
      ...withToken(),
      access: {
        keys: [
          { name: 'a', value: 'hg_test_key-of-a-000000001', team: 'core' },
          { name: 'b', value: 'hg_test_key-of-b-000000001' },
        ],
      },
    })
    for (const key of ['hg_test_key-of-a-000000001', 'hg_test_key-of-b-000000001', 'hg_test_nobody'])
      await ask(gate.port, request('GET', '/v1/models', { key }))
    const model = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] })
    const lines = ['Content-Type: application/json']
    await ask(
      gate.port,
      request('POST', '/v1/chat/completions', { key: 'hg_test_key-of-a-000000001', lines, body: model }),
    )
    const list = async (query = '') =>
      (await callAdmin(gate.adminPort, `GET /api/requests?${query}`, { token })).json
    await eventually(async () => (await list()).rows.length === 4, 'all rows')
    const all = await list()
    expect(all.next).toBeNull()
    expect(all.rows.map((row: any) => [row.endpoint, row.key, row.status])).toEqual([
      ['chat.completions', 'a', 200],
      ['models', null, 401],
      ['models', 'b', 200],
      ['models', 'a', 200],
    ])
    expect(all.rows[0]).toMatchObject({ model: 'gpt-4o', team: 'core', upstream: 'main', attempts: 1 })
    expect(all.rows[0].usage.total).toBeGreaterThan(0)
    expect(all.rows[1]).toMatchObject({ failure: 'invalid_api_key', principal: 'nobody', upstream: null })
    const sizes = async (query: string) => (await list(query)).rows.length
    expect(await sizes('key=a')).toBe(2)
    expect(await sizes('key=a&status=4xx')).toBe(0)
    expect(await sizes('status=401')).toBe(1)
    expect(await sizes('status=2xx')).toBe(3)
    expect(await sizes('model=gpt-4o')).toBe(1)
    const page = await list('limit=3')
    expect(page.rows).toHaveLength(3)
    const rest = await list(`limit=3&cursor=${page.next}`)
    expect({ rows: rest.rows, next: rest.next }).toEqual({ rows: all.rows.slice(3), next: null })
  })
})

describe('a reload', () => {
  test('puts the file in force, for tokens too, and says what is wrong with it', async () => {
    const gate = await served({ tree: withToken() })
    writeConfig(withToken(other), gate.folder)
    expect((await callAdmin(gate.adminPort, 'POST /api/reload', { token })).json).toEqual({
      status: 'reloaded',
      warnings: [],
    })
    expect((await callAdmin(gate.adminPort, 'POST /api/reload', { token })).status).toBe(401)
    writeConfig({ ...withToken(token), servr: {}, log: { rotate: 'x' } }, gate.folder)
    const refused = await callAdmin(gate.adminPort, 'POST /api/reload', { token: other })
    expect(refused.status).toBe(422)
    expect(refused.json.error).toMatchObject({
      code: 'invalid_config',
      message: 'The configuration has 2 problems; the old one stays in force.',
      problems: [
        { file: 'headgate.yaml', line: expect.any(Number), path: expect.any(String), severity: 'error' },
        { file: 'headgate.yaml', line: expect.any(Number), path: expect.any(String), severity: 'error' },
      ],
    })
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token: other })).status).toBe(200)
    gate.signal('SIGHUP')
    const { rows } = await eventually(async () => {
      const { json } = await callAdmin(gate.adminPort, 'GET /api/audit', { token: other })
      return json.rows.length === 3 ? json : null
    }, 'the signal to be noted')
    expect(rows.map(({ by, action }: Record<string, string>) => `${by} ${action}`)).toEqual([
      'signal config.reload_failed',
      'admin:admin config.reload_failed',
      'admin:admin config.reload',
    ])
  })

  test('of a wrong price file is refused with all that is wrong with it, and so is the rest', async () => {
    const gate = await served({ tree: withToken() })
    writeConfig({ ...withToken(other), meter: { prices: 'prices.yaml' } }, gate.folder)
    const file = join(gate.folder, 'prices.yaml')
    writeFileSync(file, 'prices:\n  - { model: a, inptu: 1 }\n  - { model: b, input: -1 }\n')
    const refused = await callAdmin(gate.adminPort, 'POST /api/reload', { token })
    expect(refused.status).toBe(422)
    expect(refused.json.error).toMatchObject({
      code: 'invalid_config',
      message: 'The configuration has 2 problems; the old one stays in force.',
      problems: [
        { file: 'prices.yaml', line: 2, path: 'prices[0].inptu', suggestion: 'did you mean `input`?' },
        { file: 'prices.yaml', line: 3, path: 'prices[1].input', message: 'must not be negative' },
      ],
    })
    const ready = await callAdmin(gate.adminPort, 'GET /readyz')
    expect(ready.json.reasons.join()).toContain('the price file is wrong')
    // The new token is not in force either.
    writeFileSync(file, 'prices: [{ model: a, input: 1 }]\n')
    expect((await callAdmin(gate.adminPort, 'POST /api/reload', { token })).status).toBe(200)
    expect((await callAdmin(gate.adminPort, 'GET /readyz')).json.reasons).toEqual([])
  })

  test('that moves the port is answered on the old one', async () => {
    const gate = await served({ tree: withToken() })
    writeConfig({ ...sandbox, admin: { listen: 'localhost:0', token } }, gate.folder)
    const answer = await callAdmin(gate.adminPort, 'POST /api/reload', { token })
    expect({ status: answer.status, body: answer.json.status }).toEqual({ status: 200, body: 'reloaded' })
    await eventually(
      () => callAdmin(gate.adminPort, 'GET /healthz').then(() => false, () => true),
      'the old port to close',
    ) // prettier-ignore
  })

  test('is refused while the gateway stops, and the port answers until it has', async () => {
    const upstream = ScriptedUpstream.start(() => {})
    finallyClose(() => upstream.stop())
    const gate = await served({ tree: { ...withToken(), upstreams: [upstreamAt(upstream.url)] } })
    void ask(gate.port, request('GET', '/v1/models')).catch(() => null)
    await eventually(() => upstream.requests.length > 0, 'the request to be under way')
    gate.signal('SIGTERM')
    await gate.says('draining')
    const answer = await callAdmin(gate.adminPort, 'POST /api/reload', { token })
    expect({ status: answer.status, code: answer.json.error.code }).toEqual({ status: 409, code: 'conflict' })
    const ready = await callAdmin(gate.adminPort, 'GET /readyz')
    expect({ status: ready.status, reasons: ready.json.reasons }).toEqual({
      status: 503,
      reasons: ['draining: no new requests are taken'],
    })
    expect((await callAdmin(gate.adminPort, 'GET /api/upstreams', { token })).json.rows[0].sockets.busy).toBe(
      1,
    )
    gate.signal('SIGKILL')
  })

  test('that cannot have an address is refused, and everything stays', async () => {
    const gate = await served({ tree: withToken() })
    writeConfig({ ...sandbox, admin: { listen: '192.0.2.1:9', token: other } }, gate.folder)
    const answer = await callAdmin(gate.adminPort, 'POST /api/reload', { token })
    expect(answer.status).toBe(409)
    expect(answer.json.error.message).toContain('cannot listen on 192.0.2.1:9')
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token })).status).toBe(200)
  })

  test('without tokens makes one, and shows it', async () => {
    const gate = await served({ tree: withToken() })
    writeConfig(sandbox, gate.folder)
    expect((await callAdmin(gate.adminPort, 'POST /api/reload', { token })).status).toBe(200)
    await gate.says(/admin token, shown this once: hga_/)
    const made = shownToken(gate)!
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token: made })).status).toBe(200)
    expect((await callAdmin(gate.adminPort, 'GET /api/keys', { token })).status).toBe(401)
  })
})

test('upstreams are shown without their keys', async () => {
  const gate = await startGate({
    ...withToken(),
    upstreams: [
      { name: 'main', provider: 'openai', keys: ['sk-canary-0001', { value: 'sk-canary-0002', notAfter: '2020-01-01' }], env: 'prod' },
      { name: 'sand', provider: 'sandbox', env: 'dev' },
    ],
  }) // prettier-ignore
  const { json, text } = await callAdmin(gate.adminPort, 'GET /api/upstreams', { token })
  expect(json.rows[0]).toMatchObject({
    name: 'main',
    provider: 'openai',
    host: 'api.openai.com',
    env: 'prod',
    sockets: { idle: 0, busy: 0 },
    keys: { total: 2, expired: 1, refused: 0 },
  })
  expect(json.rows[1]).toMatchObject({ name: 'sand', provider: 'sandbox', env: 'dev' })
  expect(text).not.toContain('canary')
})
