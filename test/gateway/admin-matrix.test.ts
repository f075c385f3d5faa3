// Promise: whoever has no token learns nothing of the admin API, whoever may only read changes nothing, and what the
// description says is what is there. Walked from the table of routes itself: a route that is added is tested, or fails.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { Validator } from '@seriousme/openapi-schema-validator'
import { allRoutes } from '../../src/admin/api.ts'
import type { Route } from '../../src/admin/route.ts'
import { callAdmin, type AdminCall } from './admin-call.ts'
import { promiseTests, served } from './harness.ts'

promiseTests()

const admin = 'hga_test-admin-0000000000000000000000000001'
const viewer = 'hga_test-viewer-000000000000000000000000001'
const gate = await served({
  tree: {
    upstreams: [{ name: 'main', provider: 'sandbox' }],
    admin: {
      listen: '127.0.0.1:0',
      tokens: [
        { name: 'ops', role: 'admin', value: admin },
        { name: 'watch', hash: `sha256:${createHash('sha256').update(viewer).digest('hex')}` },
      ],
    },
  },
})

let made = 0
/** A key to work on. */
async function freshKey(): Promise<string> {
  const answer = await callAdmin(gate.adminPort, 'POST /api/keys', {
    token: admin,
    body: { name: `matrix-${made++}` },
  })
  expect(answer.status).toBe(201)
  return answer.json.id as string
}

/** What a good call of each route sends. A route that is missing here fails its test. */
const good: Record<string, () => { body?: unknown; query?: string }> = {
  'GET /api/keys': () => ({}),
  'POST /api/keys': () => ({ body: { name: `matrix-${made++}`, team: 'core', expires: '90d' } }),
  'GET /api/keys/:id': () => ({}),
  'POST /api/keys/:id/rotate': () => ({ body: { grace: '1h' } }),
  'DELETE /api/keys/:id': () => ({}),
  'GET /api/requests': () => ({}),
  'GET /api/usage': () => ({}),
  'GET /api/upstreams': () => ({}),
  'POST /api/upstreams/:name/drain': () => ({}),
  'POST /api/upstreams/:name/resume': () => ({}),
  'GET /api/limits': () => ({}),
  'GET /api/audit': () => ({}),
  'POST /api/reload': () => ({}),
  'GET /api/cache': () => ({}),
  'DELETE /api/cache': () => ({ query: 'all=true' }),
  'GET /api/openapi.json': () => ({}),
}

const nameOf = (route: Route): `${string} /${string}` => `${route.method} ${route.path as `/${string}`}`
let addresses = 0
/** Another loopback address each time. */
const elsewhere = (): string => `127.0.${Math.floor(++addresses / 200) + 1}.${(addresses % 200) + 1}`

async function call(route: Route, more: AdminCall) {
  const path = nameOf(route)
    .replace(':id', await freshKey())
    .replace(':name', 'main') as `${string} /${string}`
  const { query, ...rest } = good[nameOf(route)]!()
  const whole = query === undefined ? path : (`${path}?${query}` as const)
  return callAdmin(gate.adminPort, whole, { ...rest, ...more })
}

test('every route has a good call here, and none is left over', () => {
  expect(Object.keys(good).toSorted()).toEqual(allRoutes.map(nameOf).toSorted())
})

describe.each(allRoutes.map((route) => [nameOf(route), route] as const))('%s', (_, route) => {
  test('without a token, or with a bad one, in any shape: the same 401', async () => {
    const shapes: Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer ' },
      { authorization: `Bearer ${admin}x` },
      { authorization: `Bearer ${admin.slice(0, -1)}` },
      { authorization: `Bearer ${admin} ${admin}` },
      { authorization: `Basic ${Buffer.from(`admin:${admin}`).toString('base64')}` },
      { authorization: admin },
      { authorization: `Bearer ${admin.toUpperCase()}` },
      { 'x-api-key': admin },
      { cookie: `token=${admin}` },
    ]
    const bodies = new Set<string>()
    for (const headers of shapes) {
      const answer = await call(route, { headers, from: elsewhere() })
      expect({ headers, status: answer.status }).toEqual({ headers, status: 401 })
      expect(answer.headers['www-authenticate']).toBe('Bearer')
      bodies.add(answer.text)
    }
    expect([...bodies]).toEqual([
      '{"error":{"message":"A valid admin token is needed. Send yours in the Authorization header: Bearer <token>.",' +
        '"type":"invalid_request_error","param":null,"code":"invalid_admin_token"}}',
    ])
  })

  test('a viewer reads and changes nothing', async () => {
    const before = await callAdmin(gate.adminPort, 'GET /api/audit', { token: admin })
    const answer = await call(route, { token: viewer })
    expect(answer.status).toBe(route.role === 'viewer' ? route.status : 403)
    if (route.role === 'admin') expect(answer.json.error.code).toBe('access_denied')
    const after = await callAdmin(gate.adminPort, 'GET /api/audit', { token: admin })
    const news = after.json.rows.filter(
      ({ number }: { number: number }) => number > before.json.rows[0].number,
    )
    // The one entry is the key that this test made.
    expect(news.map(({ by, action }: { by: string; action: string }) => `${by} ${action}`)).toEqual([
      'admin:ops key.create',
    ])
  })

  test('an admin may, and the answer is as described', async () => {
    const answer = await call(route, { token: admin })
    expect(answer.status).toBe(route.status)
    const checked = route.answer.safeParse(answer.json)
    expect(checked.error?.issues ?? []).toEqual([])
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test('refuses what it does not know', async () => {
    const query = await callAdmin(
      gate.adminPort,
      `${route.method} ${route.path.replace(':id', 'key_x').replace(':name', 'main') as `/${string}`}?limt=1`,
      {
        token: admin,
        ...good[nameOf(route)]!(),
      },
    )
    expect({ status: query.status, param: query.json.error.param }).toEqual({ status: 400, param: 'limt' })
    // The server leaves a GET's body unread, whatever it is.
    if (route.method === 'GET') return
    const body = await call(route, { token: admin, body: { unheardOf: 1 } })
    expect(body.status).toBe(400)
    const large = await call(route, { token: admin, body: { name: 'x'.repeat(64 * 1024) } })
    expect(large.status).toBe(413)
    const form = await call(route, { token: admin, body: undefined, text: 'name=x' })
    expect(form.status).toBe(route.body === undefined ? 400 : 415)
  })

  test('knows no other method', async () => {
    const path = route.path.replace(':id', 'key_x').replace(':name', 'main')
    const known = allRoutes.filter((one) => one.path === route.path).map((one) => one.method as string)
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
      (one) => !known.includes(one),
    )) {
      const answer = await callAdmin(gate.adminPort, `${method} ${path as `/${string}`}`, { token: admin })
      expect({ method, status: answer.status }).toEqual({ method, status: 405 })
      expect(String(answer.headers['allow']).split(', ').toSorted()).toEqual(known.toSorted())
    }
  })
})

describe('the description', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { json } = await callAdmin(gate.adminPort, 'GET /api/openapi.json', { token: viewer })
    const result = await new Validator().validate(json)
    expect({ valid: result.valid, errors: result.errors ?? null }).toEqual({ valid: true, errors: null })
    expect(json.openapi).toStartWith('3.1.')
  })

  test('names every route with its role, and nothing else', async () => {
    const { json } = await callAdmin(gate.adminPort, 'GET /api/openapi.json', { token: viewer })
    const described = Object.entries(json.paths as Record<string, Record<string, any>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(
          ([method, { 'x-role': role }]) => `${method.toUpperCase()} ${path} ${role}`,
        ),
    )
    const there = allRoutes.map((one) => `${nameOf(one).replace(/:(\w+)/, '{$1}')} ${one.role}`)
    expect(described.toSorted()).toEqual(there.toSorted())
    const ids = Object.values(json.paths as Record<string, Record<string, any>>).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId as string),
    )
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('paths that are not there', () => {
  test('are 401 without a token and 404 with one, the parts not built yet among them', async () => {
    const paths = ['/api', '/api/', '/api/nothing', '/api/alerts', '/api/keys/', '/api/keys/a/b', '/api/keys/..%2f', '/api//keys', '/api/KEYS'] as const // prettier-ignore
    for (const path of paths) {
      expect((await callAdmin(gate.adminPort, `GET ${path}`, { from: elsewhere() })).status).toBe(401)
      const answer = await callAdmin(gate.adminPort, `GET ${path}`, { token: admin })
      expect({ path, status: answer.status }).toEqual({ path, status: 404 })
    }
  })
})
