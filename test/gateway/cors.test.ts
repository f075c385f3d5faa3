// Promise: pages of the listed origins can call the gate from a browser, whatever the answer is; no other page can, and
// nothing is opened by it that a key would not open.

import { describe, expect, test } from 'bun:test'
import {
  ask,
  clientKey,
  jsonBody,
  promiseTests,
  request,
  startGate,
  upstreamAt,
  type ConfigTree,
} from './harness.ts'
import { fieldValues, type RawReply } from './message.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start((seen, peer) => {
  if (seen.target.includes('stream'))
    return peer.write(
      Buffer.concat([
        Buffer.from(eventsHead),
        chunk('data: {}\n\n'),
        chunk('data: [DONE]\n\n'),
        Buffer.from(lastChunk),
      ]),
    )
  if (seen.target.includes('broken')) return peer.close()
  if (seen.target.includes('own'))
    return peer.write(
      reply(seen.target.includes('429') ? 429 : 200, '{"ok":true}', [
        'Access-Control-Allow-Origin: *',
        'access-control-allow-credentials: true',
        'ACCESS-CONTROL-EXPOSE-HEADERS: x-secret',
        'Vary: Accept-Encoding',
        'x-request-id: req_1',
        'openai-processing-ms: 7',
      ]),
    )
  return peer.write(reply(200, '{"ok":true}'))
})

const app = 'https://app.example.com'
const start = (cors: ConfigTree | undefined, access?: ConfigTree) =>
  startGate({
    upstreams: [upstreamAt(upstream.url)],
    ...(cors === undefined ? {} : { server: { cors } }),
    ...(access === undefined ? {} : { access: { keys: [{ name: 'client', value: clientKey }], ...access } }),
  })
const gate = await start({ origins: [app, 'http://localhost:5173'], maxAge: '1h' })
const anyone = await start({ origins: ['*'], headers: ['Authorization', 'Content-Type'] })
const without = await start(undefined)

const origin = (name: string) => `Origin: ${name}`
const wants = [
  'Access-Control-Request-Method: POST',
  'Access-Control-Request-Headers: authorization,content-type,x-stainless-os',
]

const preflight = (port: number, from: string, lines = wants, path = '/v1/chat/completions') =>
  ask(port, request('OPTIONS', path, { key: null, lines: [origin(from), ...lines] }), 'OPTIONS')
const get = (port: number, path: string, lines: string[], key: string | null = clientKey) =>
  ask(port, request('GET', path, { key, lines }))

const cors = (answer: RawReply) =>
  answer.lines
    .filter((line) => /^access-control-/i.test(line))
    .map((line) => line.toLowerCase().split(':')[0]!)

describe('a preflight', () => {
  test('of a listed origin is answered here, without a credential', async () => {
    const seen = upstream.requests.length
    for (const from of [app, 'http://localhost:5173']) {
      const answer = await preflight(gate.port, from)
      expect(answer.status).toBe(204)
      expect(answer.header('access-control-allow-origin')).toBe(from)
      expect(answer.header('access-control-allow-methods')).toContain('POST')
      expect(answer.header('access-control-allow-headers')).toBe('authorization,content-type,x-stainless-os')
      expect(answer.header('access-control-max-age')).toBe('3600')
      expect(answer.header('access-control-allow-credentials')).toBeNull()
      expect(fieldValues(answer.lines, 'vary').join(', ')).toMatch(/Origin.*Access-Control-Request-Headers/)
      expect(answer.header('content-length')).toBeNull()
    }
    expect(upstream.requests.length).toBe(seen)
    expect(await gate.logged((line) => line['method'] === 'OPTIONS' && line['status'] === 204)).toMatchObject(
      {
        path: '/v1/chat/completions',
        attempts: 0,
        address: '127.0.0.1',
      },
    )
  })

  test('is answered for unknown future endpoints too, and any origin where all are listed', async () => {
    expect((await preflight(gate.port, app, wants, '/v1/some/future/endpoint')).status).toBe(204)
    const answer = await preflight(anyone.port, 'https://whoever.test')
    expect(answer.status).toBe(204)
    expect(answer.header('access-control-allow-origin')).toBe('*')
    expect(answer.header('access-control-allow-headers')).toBe('Authorization, Content-Type')
    expect(answer.header('access-control-allow-credentials')).toBeNull()
  })

  test('of any other origin gets no such field, and no further than any request', async () => {
    for (const from of [
      'https://evil.test',
      'null',
      `${app}.evil.test`,
      'http://app.example.com',
      `${app}:444`,
    ]) {
      const answer = await preflight(gate.port, from)
      expect([answer.status, cors(answer)]).toEqual([401, []])
    }
    const two = await preflight(gate.port, app, [...wants, origin('https://evil.test')])
    expect([two.status, cors(two)]).toEqual([401, []])
  })

  test('opens nothing: without its mark, or outside of the API, it is a request like any other', async () => {
    expect((await preflight(gate.port, app, [])).status).toBe(401)
    expect((await get(gate.port, '/v1/models', [origin(app), ...wants], null)).status).toBe(401)
    expect((await preflight(gate.port, app, wants, '/elsewhere')).status).toBe(404)
    expect((await preflight(gate.port, app, wants, '/v1/../x')).status).toBe(400)
    expect((await preflight(without.port, app)).status).toBe(401)
  })

  test('leaves the connection usable', async () => {
    const two = Buffer.concat([
      request('OPTIONS', '/v1/models', { key: null, lines: [origin(app), ...wants] }),
      request('GET', '/v1/models'),
    ])
    expect((await ask(gate.port, two, 'OPTIONS')).status).toBe(204)
  })
})

describe('an answer to a listed origin', () => {
  const shown = (answer: RawReply) => [
    answer.status,
    answer.header('access-control-allow-origin'),
    answer.header('vary'),
  ]

  test('has the fields, whatever it is', async () => {
    const lines = [origin(app)]
    expect(shown(await get(gate.port, '/v1/models', lines))).toEqual([200, app, 'Origin'])
    expect(shown(await get(gate.port, '/v1/stream', lines))).toEqual([200, app, 'Origin'])
    expect(shown(await get(gate.port, '/v1/models', lines, null))).toEqual([401, app, 'Origin'])
    expect(shown(await get(gate.port, '/v1/models', lines, 'wrong'))).toEqual([401, app, 'Origin'])
    expect(shown(await get(gate.port, '/v1/broken', lines))).toEqual([502, app, 'Origin'])
    expect(shown(await get(gate.port, '/elsewhere', lines))).toEqual([404, app, 'Origin'])
    expect(shown(await get(gate.port, '/v1/a//b', lines))).toEqual([400, app, 'Origin'])
    const compressed = {
      lines: ['Content-Encoding: gzip', 'Content-Type: application/json', origin(app)],
      body: 'x',
    }
    expect(shown(await ask(gate.port, request('POST', '/v1/chat/completions', compressed)))).toEqual([
      415,
      app,
      'Origin',
    ])
  })

  test('lets a page read what it needs', async () => {
    const answer = await get(gate.port, '/v1/own', [origin(app)])
    const exposed = answer.header('access-control-expose-headers')!.split(', ')
    for (const name of ['x-request-id', 'x-headgate-id', 'x-headgate-upstream', 'x-cache-status', 'retry-after', 'retry-after-ms',
      'x-ratelimit-remaining-requests', 'x-ratelimit-limit-tokens', 'openai-processing-ms']) expect(exposed).toContain(name) // prettier-ignore
  })

  test('says it once: what the upstream says of origins is dropped', async () => {
    for (const path of ['/v1/own', '/v1/own/429']) {
      for (const lines of [[origin(app)], [origin('https://evil.test')], []]) {
        const answer = await get(gate.port, path, lines)
        expect(answer.lines.join('\n')).not.toMatch(/x-secret|credentials|origin: \*/i)
        expect(fieldValues(answer.lines, 'vary')).toEqual(['Accept-Encoding', 'Origin'])
        expect(cors(answer)).toEqual(
          lines[0] === origin(app) ? ['access-control-allow-origin', 'access-control-expose-headers'] : [],
        )
        expect(answer.json()).toEqual({ ok: true })
      }
    }
  })
})

test('any other origin is served as usual, without a field', async () => {
  const answer = await get(gate.port, '/v1/models', [origin('https://evil.test')])
  expect([answer.status, cors(answer), answer.header('vary')]).toEqual([200, [], 'Origin'])
  const none = await get(gate.port, '/v1/models', [])
  expect([none.status, cors(none), none.header('vary')]).toEqual([200, [], 'Origin'])
})

test('without server.cors nothing is added and nothing dropped', async () => {
  const answer = await get(without.port, '/v1/own', [origin(app)])
  expect(fieldValues(answer.lines, 'access-control-allow-origin')).toEqual(['*'])
  expect(answer.header('access-control-expose-headers')).toBe('x-secret')
  expect(cors(await get(without.port, '/v1/models', [origin(app)]))).toEqual([])
})

test('a refusal by address reaches the page too', async () => {
  const closed = await start({ origins: [app] }, { addresses: { deny: ['127.0.0.1'] } })
  const answer = await ask(
    closed.port,
    request('POST', '/v1/chat/completions', { ...jsonBody({}), lines: [origin(app)] }),
  )
  expect([answer.status, answer.header('access-control-allow-origin')]).toEqual([403, app])
})

test.each<[unknown, string]>([
  [[], 'is an empty list'],
  [['https://app.example.com/'], 'expected an origin'],
  [['https://app.example.com/path'], 'expected an origin'],
  [['app.example.com'], 'expected an origin'],
  [['https://*.example.com'], 'expected an origin'],
  [['https://App.example.com'], 'in lower case'],
  [['https://app.example.com:443'], 'without the usual port'],
  [['null'], 'expected an origin'],
  [['https://a.test\r\nx: y'], 'expected an origin'],
  [['https://u:p@a.test'], 'expected an origin'],
])('the configuration is refused: %j', async (origins, says) => {
  expect(await start({ origins }).then(() => 'it started', String)).toContain(says)
})
