// Promise: what was used and what it cost can be asked of the admin API and of the command line while the gateway runs, and
// both say the same.

import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { addRows } from '../../src/reports/add-rows.ts'
import { openStorage } from '../../src/storage/open.ts'
import { runCaptured } from '../storage/cli-capture.ts'
import { ledgerRow } from '../storage/ledger-row.ts'
import { callAdmin } from './admin-call.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import {
  ask,
  clientKey,
  finallyClose,
  promiseTests,
  request,
  scratchFolder,
  served,
  startGate,
  upstreamAt,
} from './harness.ts'

promiseTests()

const token = 'hga_test-token-0000000000000000000000000001'
const tree = {
  upstreams: [{ name: 'main', provider: 'sandbox' }],
  admin: { listen: '127.0.0.1:0', token },
}
const gate = await served({ tree })
const data = join(gate.folder, 'data')
const storage = await openStorage({ path: data, postgres: null }, systemClock)
const atMs = Date.parse('2026-11-03T12:00:00Z')
await addRows(
  storage,
  Array.from({ length: 25 }, (_, i) =>
    ledgerRow({
      id: `row-${String(i).padStart(2, '0')}`,
      at_ms: atMs + Math.floor(i / 5),
      team: i % 2 === 0 ? 'core' : 'data',
      user_name: i < 4 ? 'ann' : null,
      status: i === 7 ? 429 : 200,
      failure: i === 7 ? 'rate_limit_exceeded' : null,
      state: i === 8 ? 'estimated' : 'settled',
      cost_nano: i === 9 ? null : 100 + i,
      units: i === 3 ? '{"images":2}' : null,
      metadata: i === 3 ? '{"job":"nightly"}' : null,
    }),
  ),
)
await storage.close()

test('a video counts once, however often it is read, after a restart too; searches and containers are in the sums', async () => {
  const sandbox = await startSandbox()
  finallyClose(() => sandbox.close())
  const folder = scratchFolder()
  const own = { ...tree, upstreams: [upstreamAt(sandbox.url, { provider: 'openai' })] }
  const send = async (port: number, method: string, path: string, sent?: object) => {
    const body =
      sent === undefined ? {} : { body: JSON.stringify(sent), lines: ['Content-Type: application/json'] }
    const answer = await ask(port, request(method, `/v1/${path}`, { key: clientKey, ...body }))
    expect(answer.status).toBe(200)
    return JSON.parse(answer.body.toString())
  }
  const first = await served({ tree: own, folder })
  const { id } = await send(first.port, 'POST', 'videos', {
    model: 'sora-2',
    prompt: 'a gate',
    seconds: '12',
  })
  const read = await send(first.port, 'GET', `videos/${id}`)
  expect(read).toMatchObject({ status: 'completed', seconds: '12' })
  await send(first.port, 'POST', 'containers', { name: 'c', memory_limit: '4g' })
  const said = await send(first.port, 'POST', 'responses', {
    model: 'gpt-4.1',
    input: 'gates',
    tools: [{ type: 'web_search' }],
  })
  first.signal('SIGTERM')
  await first.exited
  const second = await served({ tree: own, folder })
  await send(second.port, 'GET', `videos/${id}`)
  const { json } = await callAdmin(second.adminPort, 'GET /api/requests', { token })
  const units = json.rows.filter((row: any) => row.units != null).map((row: any) => [row.id, row.units])
  expect(units.map(([, unit]: any) => unit)).toEqual([
    { webSearches: 1 },
    { 'containers/4g': 1 },
    { 'videoSeconds/720x1280': 12 },
  ])
  expect(units.filter(([rowId]: any) => rowId === `video-${id}`)).toHaveLength(1)
  const tokensNano = said.usage.input_tokens * 2000 + said.usage.output_tokens * 8000
  const sums = await callAdmin(second.adminPort, 'GET /api/usage?by=model', { token })
  const cost = Object.fromEntries(sums.json.rows.map((row: any) => [row.model, row.costNanoUsd]))
  expect(sums.json.totals.costNanoUsd).toBe(1_200_000_000 + 120_000_000 + 10_000_000 + tokensNano)
  expect(cost['sora-2']).toBe(1_200_000_000)
  await send(second.port, 'POST', 'videos', { model: 'sora-2', prompt: 'a gate', size: '9x9' })
  await second.says('No price is known for videoSeconds/9x9 of the model \\"sora-2\\" at the upstream main')
  second.signal('SIGTERM')
  await second.exited
  const file = join(folder, 'other.yaml')
  writeFileSync(
    file,
    'prices:\n  - { model: sora-2, perVideoSecond: 1 }\n  - { model: container, perContainer: 0.5 }\n',
  )
  const words = ['--prices', file, '--from', '1d', '--config', second.file, '--data', join(folder, 'data')]
  const repriced = await runCaptured('usage', 'reprice', '--dry-run', '--format', 'json', ...words)
  expect(repriced.err).toBe('')
  expect(JSON.parse(repriced.out).total).toMatchObject({
    oldNanoUsd: sums.json.totals.costNanoUsd,
    oldUnpriced: 1,
    newUnpriced: 0,
    newNanoUsd: 16_000_000_000 + 500_000_000 + 10_000_000 + tokensNano,
  })
})

const get = async (path: string) =>
  callAdmin(gate.adminPort, `GET /api/${path}` as `GET /${string}`, { token })
const november = 'from=2026-11-01&to=2026-11-30'

test('a call has its price at once, in the list and in the sums', async () => {
  const live = await served({ tree })
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello there' }] })
  const lines = ['Content-Type: application/json']
  const answer = await ask(
    live.port,
    request('POST', '/v1/chat/completions', { key: clientKey, lines, body }),
  )
  expect(answer.status).toBe(200)
  const { usage } = JSON.parse(answer.body.toString())
  const costNanoUsd = usage.prompt_tokens * 150 + usage.completion_tokens * 600
  const { json } = await callAdmin(live.adminPort, 'GET /api/requests', { token })
  const upstreams = await callAdmin(live.adminPort, 'GET /api/upstreams', { token })
  expect(upstreams.json.rows[0].spend).toEqual({ todayNanoUsd: costNanoUsd, monthNanoUsd: costNanoUsd })
  expect(json.rows).toEqual([
    expect.objectContaining({
      endpoint: 'chat.completions', model: 'gpt-4o-mini', state: 'settled', costNanoUsd, billedNanoUsd: costNanoUsd,
      usage: expect.objectContaining({ input: usage.prompt_tokens, output: usage.completion_tokens }),
      priceVersion: expect.stringMatching(/^genai-prices@/),
    }),
  ]) // prettier-ignore
  const sums = await callAdmin(live.adminPort, 'GET /api/usage?by=key,model', { token })
  expect(sums.json.rows).toMatchObject([{ key: 'client', model: 'gpt-4o-mini', operations: 1, attempts: 1, costNanoUsd, unpriced: 0 }]) // prettier-ignore
})

describe('GET /api/usage', () => {
  test('sums by groups, as the command line does', async () => {
    const { status, json } = await get(`usage?by=team,day&${november}`)
    expect(status).toBe(200)
    expect(json.rows).toEqual([
      expect.objectContaining({ team: 'core', day: '2026-11-03', operations: 13, estimated: 1, unpriced: 0 }),
      expect.objectContaining({ team: 'data', day: '2026-11-03', operations: 12, errors: 1, unpriced: 1 }),
    ])
    expect(json).toMatchObject({
      next: null,
      totals: { operations: 25, attempts: 25, costNanoUsd: 2691, input: 250 },
    })
    const config = join(gate.folder, 'headgate.yaml')
    const args = ['--by', 'team,day', '--from', '2026-11-01', '--to', '2026-11-30', '--format', 'json']
    const cli = await runCaptured('usage', ...args, '--config', config, '--data', data)
    expect({ code: cli.code, report: JSON.parse(cli.out) }).toEqual({ code: 0, report: json })
  })

  test('by the key, the model and the team that is asked for', async () => {
    expect((await get(`usage?team=data&${november}`)).json.totals.operations).toBe(12)
    expect((await get(`usage?key=nobody&${november}`)).json.rows).toEqual([])
  })

  test('as CSV', async () => {
    const { headers, text } = await get(`usage?by=team&format=csv&${november}`)
    expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(text.split('\r\n').map((line) => line.split(',').slice(0, 2).join())).toEqual(['team,operations', 'core,13', 'data,12', '']) // prettier-ignore
  })

  test.each([
    ['usage?by=taem', 'by', 'Did you mean team?'],
    ['usage?from=soon', 'from', 'expected a date'],
    ['usage?from=2026-11-02&to=2026-11-01', 'to', 'lies before from'],
    ['usage?tz=Mars/Base', 'tz', 'expected a time zone'],
    ['usage?format=xml', 'format', 'expected json or csv'],
    ['usage?form=csv', 'form', 'Did you mean from?'],
    ['usage?by=key&by=team', 'by', 'given twice'],
    [`usage?team=${'x'.repeat(300)}`, 'team', 'longer than 256'],
  ])('%s is refused', async (path, param, message) => {
    const { status, json } = await get(path)
    expect({ status, param: json.error.param }).toEqual({ status: 400, param })
    expect(json.error.message).toContain(message)
  })

  test('says so where there is no ledger', async () => {
    const alone = await startGate(tree)
    expect((await callAdmin(alone.adminPort, 'GET /api/usage', { token })).status).toBe(503)
  })
})

describe('GET /api/requests', () => {
  test('lists rows of the ledger, newest first, in pages that hold each once', async () => {
    const seen: string[] = []
    let path = 'requests?limit=7'
    for (let pages = 0; pages < 10; pages++) {
      const { json } = await get(path)
      seen.push(...json.rows.map((row: any) => row.id))
      if (json.next === null) break
      path = `requests?limit=7&cursor=${json.next}`
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `row-${String(24 - i).padStart(2, '0')}`))
  })

  test('with what they cost', async () => {
    const { rows } = (await get('requests')).json
    const row = (number: number) =>
      rows.find(({ id }: any) => id === `row-${String(number).padStart(2, '0')}`)
    expect(row(3)).toMatchObject({
      operationId: 'op-row-03', at: '2026-11-03T12:00:00.000Z', state: 'settled', costNanoUsd: 103, units: { images: 2 },
      metadata: { job: 'nightly' }, usage: { input: 10, output: 5, total: 15 }, priceVersion: 'genai-prices@0.1.8-1',
    }) // prettier-ignore
    expect(row(3)).not.toHaveProperty('unpriced')
    expect(row(9)).toMatchObject({ unpriced: true, costNanoUsd: null })
  })

  test('by team, user, state, status, model and time', async () => {
    const count = async (query: string) => (await get(`requests?${query}`)).json.rows.length
    expect(await count('team=core')).toBe(13)
    expect(await count('user=ann')).toBe(4)
    expect(await count('user=ann&team=core')).toBe(2)
    expect(await count('user=nobody')).toBe(0)
    expect(await count('state=estimated')).toBe(1)
    expect(await count('status=4xx')).toBe(1)
    expect(await count('status=200&team=data')).toBe(11)
    expect(await count('model=gpt-4o-mini-2024-07-18')).toBe(25)
    expect(await count('key=nobody')).toBe(0)
    expect(await count('from=2026-11-03T12:00:00.004Z&to=2026-11-04')).toBe(5)
    expect((await get('requests?cursor=bm9uc2Vuc2U')).status).toBe(400)
    expect((await get('requests?state=lost')).status).toBe(400)
  })

  test('or the exchanges of this process', async () => {
    expect((await get('requests?source=recent')).json.rows).toEqual([])
    for (const only of ['team', 'user'])
      expect((await get(`requests?source=recent&${only}=core`)).json.error.message).toContain('source=ledger')
  })
})
