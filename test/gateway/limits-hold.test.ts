// Promise: limits of the configuration hold for real clients: headers in OpenAI's formats on every answer, refusals that
// OpenAI's own SDK waits out, slots freed however a request ends, counters that survive a reload, and a page that shows it.

import { expect, test } from 'bun:test'
import OpenAI from 'openai'
import { callAdmin } from './admin-call.ts'
import { ask, clientKey, eventually, finallyClose, jsonBody, promiseTests, request, scratchFolder, startGate, upstreamAt, writeConfig, type ConfigTree } from './harness.ts' // prettier-ignore
import { dial } from './peer.ts'
import { readHead } from './message.ts'
import { reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

const chat = request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', messages: [] }))
const usage = { prompt_tokens: 30, completion_tokens: 20, total_tokens: 50 }
const ownLines = ['x-ratelimit-limit-requests: 9999', 'X-RateLimit-Remaining-Tokens: 8888', 'x-ratelimit-reset-tokens: 1s'] // prettier-ignore
const answer: Script = (_, peer) =>
  peer.write(reply(200, JSON.stringify({ id: 'c', model: 'gpt-4o', choices: [], usage }), ownLines))

function upstreamThat(script: Script, atHead = false): ScriptedUpstream {
  const upstream = ScriptedUpstream.start(script, { atHead })
  finallyClose(() => upstream.stop())
  return upstream
}

const gateWith = (limits: ConfigTree[], upstream: ScriptedUpstream, more: ConfigTree = {}) =>
  startGate({ upstreams: [upstreamAt(upstream.url)], limits, ...more })

test('answers carry the limits of the caller, and none of the operator’s account', async () => {
  const gate = await gateWith(
    [
      { name: 'rpm', per: 'key', requests: '3/1m' },
      { name: 'tpm', per: 'key', tokens: '20000/1m' },
    ],
    upstreamThat(answer),
  )
  const first = await ask(gate.port, chat, 'POST')
  const fields = (all: typeof first) => all.lines.filter((line) => /^x-ratelimit/i.test(line))
  expect(fields(first).slice(0, 2)).toEqual([
    'x-ratelimit-limit-requests: 3',
    'x-ratelimit-remaining-requests: 2',
  ])
  expect(fields(first)).toHaveLength(6)
  expect(first.header('x-ratelimit-reset-requests')).toMatch(/^(1m0s|5\d(\.\d+)?s)$/)
  // What was reserved for tokens is given back when the answer's usage is known: 50 a call.
  const second = await ask(gate.port, chat, 'POST')
  const left = Number(second.header('x-ratelimit-remaining-tokens'))
  expect(left - Number(first.header('x-ratelimit-remaining-tokens'))).toBe(-50)
  expect((await ask(gate.port, chat, 'POST')).status).toBe(200)
  const refused = await ask(gate.port, chat, 'POST')
  expect(refused.status).toBe(429)
  expect(refused.header('x-ratelimit-remaining-requests')).toBe('0')
  expect(Number(refused.header('retry-after'))).toBeGreaterThan(50)
  expect(Number(refused.header('retry-after-ms'))).toBeGreaterThan(50_000)
  expect(refused.json().error).toEqual({
    message:
      'Rate limit exceeded. Please try again later. The limit is "rpm", 3 requests per 1m, for key "client".',
    type: 'requests',
    param: null,
    code: 'rate_limit_exceeded',
  })
})

test('without limits on requests or tokens, what the upstream says of them passes', async () => {
  const gate = await gateWith([{ name: 'slots', concurrent: 5 }], upstreamThat(answer))
  expect((await ask(gate.port, chat, 'POST')).header('x-ratelimit-limit-requests')).toBe('9999')
})

test("OpenAI's SDK waits as long as it is told, and then passes", async () => {
  // The clock of the gate stands, so that the limit holds however long anything takes here.
  const time = { ms: 1000 }
  const gate = await startGate(
    {
      upstreams: [upstreamAt(upstreamThat(answer).url)],
      limits: [{ name: 'rps', per: 'key', requests: '1/2s' }],
    },
    { clock: { nowMs: () => time.ms, wallMs: () => Date.now() } },
  )
  const baseURL = `http://127.0.0.1:${gate.port}/v1`
  const client = new OpenAI({ apiKey: clientKey, baseURL, maxRetries: 1 })
  const create = () => client.chat.completions.create({ model: 'gpt-4o', messages: [] })
  await create()
  const startedAtMs = performance.now()
  const again = create()
  await gate.logged((line) => line['status'] === 429)
  time.ms += 2000
  await again
  const tookMs = performance.now() - startedAtMs
  expect(tookMs).toBeGreaterThan(1500)
  const waited = gate.lines.filter((line) => line['status'] === 429)
  expect(waited).toHaveLength(1)
  const impatient = new OpenAI({ apiKey: clientKey, baseURL, maxRetries: 0 })
  const failure = await impatient.chat.completions
    .create({ model: 'gpt-4o', messages: [] })
    .catch((cause: unknown) => cause)
  expect(failure).toBeInstanceOf(OpenAI.RateLimitError)
})

test('a WebSocket holds its slot as long as it is open', async () => {
  const upstream = upstreamThat(async (_, peer) => {
    void peer.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    await peer.until(() => peer.closed, 'the tunnel to end', 60_000)
  }, true)
  const gate = await gateWith([{ name: 'slots', per: 'key', concurrent: 1 }], upstream)
  const lines = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'] // prettier-ignore
  const open = async () => {
    const peer = await dial(gate.port)
    void peer.write(request('GET', '/v1/realtime?model=gpt-realtime', { lines }))
    await peer.until(() => readHead(peer.received) !== null, 'an answer')
    return { peer, status: Number(readHead(peer.received)!.firstLine.split(' ')[1]) }
  }
  const first = await open()
  expect(first.status).toBe(101)
  const second = await open()
  expect(second.status).toBe(429)
  second.peer.close()
  first.peer.close()
  await eventually(async () => {
    const third = await open()
    third.peer.close()
    return third.status === 101
  }, 'the slot to be free')
})

test('a reload forgets nothing', async () => {
  const upstream = upstreamThat(answer)
  const tree = (requests: string): ConfigTree => ({
    upstreams: [upstreamAt(upstream.url)],
    limits: [{ name: 'rpm', per: 'key', requests }],
  })
  const gate = await startGate(tree('2/1h'))
  for (let at = 0; at < 2; at++) expect((await ask(gate.port, chat, 'POST')).status).toBe(200)
  await gate.reload(tree('2/1h'))
  expect((await ask(gate.port, chat, 'POST')).status).toBe(429)
  await gate.reload(tree('3/1h'))
  expect((await ask(gate.port, chat, 'POST')).status).toBe(200)
  expect((await ask(gate.port, chat, 'POST')).status).toBe(429)
})

test('limits of an upstream account are stayed under, by the configuration and by what it says itself', async () => {
  const upstream = upstreamThat(
    (_, peer) =>
    peer.write(reply(200, '{}', ['x-ratelimit-limit-requests: 100', 'x-ratelimit-remaining-requests: 25', 'x-ratelimit-reset-requests: 6m0s'])), // prettier-ignore
  )
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url, { limits: { requests: '2/1h' } })] })
  for (let at = 0; at < 2; at++) expect((await ask(gate.port, chat, 'POST')).status).toBe(200)
  const refused = await ask(gate.port, chat, 'POST')
  expect(refused.status).toBe(429)
  expect(refused.json().error.message).toContain('"upstream-main", 2 requests per 1h')
  expect(upstream.requests).toHaveLength(2)
})

test('GET /api/limits: who is at what, nearest first, in pages, for viewers; and on the command line', async () => {
  const upstream = upstreamThat(answer)
  const token = 'a-viewers-token-of-thirty-two-chars'
  const admin = { listen: '127.0.0.1:0', tokens: [{ name: 'view', value: token, role: 'viewer' }] }
  const tree = {
    admin,
    upstreams: [upstreamAt(upstream.url)],
    limits: [
      { name: 'far', requests: '100/1h' },
      { name: 'near', per: ['key', 'model'], requests: '2/1h' },
    ],
  }
  const gate = await startGate(tree)
  await ask(gate.port, chat, 'POST')
  const { status, json } = await callAdmin(gate.adminPort, 'GET /api/limits?limit=1', { token })
  expect(status).toBe(200)
  expect(json.rows).toEqual([
    {
      limit: 'near', quantity: 'requests', words: '2 requests per 1h', principal: { key: 'client', model: 'gpt-4o' }, keyName: null,
      used: 1, max: 2, remaining: 1, share: 0.5, resetAt: expect.any(String), enforce: true,
    },
  ]) // prettier-ignore
  const next = await callAdmin(gate.adminPort, `GET /api/limits?limit=1&cursor=${json.next}`, { token })
  expect(next.json).toMatchObject({ rows: [{ limit: 'far', principal: {}, used: 1, max: 100 }], next: null })
  const named = await callAdmin(gate.adminPort, 'GET /api/limits?name=near&principal=gpt-4o', { token })
  expect(named.json.rows).toHaveLength(1)
  const cli = async (...words: string[]) => {
    const file = writeConfig(tree, scratchFolder())
    const run = Bun.spawn(
      [
        process.execPath,
        `${import.meta.dir}/../../src/main.ts`,
        'limits',
        'show',
        '--config',
        file,
        ...words,
      ],
      { stdout: 'pipe', stderr: 'pipe', env: { PATH: process.env['PATH'] ?? '' } },
    )
    return { code: await run.exited, out: await run.stdout.text(), err: await run.stderr.text() }
  }
  const url = `http://127.0.0.1:${gate.adminPort}`
  const shown = await cli('--admin', url, '--token', token)
  expect(shown).toMatchObject({ code: 0, err: '' })
  expect(shown.out).toMatch(
    /^LIMIT +WHO +USED +OF +SHARE +RESETS\nnear +key client, model gpt-4o +1 +2 +50% +\S+\nfar +all +1 +100 +1% +\S+\n$/,
  )
  expect(await cli('--admin', url)).toMatchObject({
    code: 1,
    err: expect.stringContaining('an admin token is needed'),
  })
  expect(await cli('--admin', url, '--token', 'wrong')).toMatchObject({
    code: 1,
    err: expect.stringContaining('answered 401'),
  })
  expect(await cli('--admin', 'http://127.0.0.1:1', '--token', token)).toMatchObject({ code: 1, err: expect.stringContaining('no gateway answers') }) // prettier-ignore
})
