// Promise: our books can be held against the provider's, day by day and model by model, and what differs can be booked, once.

import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { loadPrices } from '../../src/prices/keeper.ts'
import { zeroUsage } from '../../src/openai/usage.ts'
import { addRows } from '../../src/reports/add-rows.ts'
import { providerBooks } from '../../src/reports/provider-books.ts'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { readAudit } from '../../src/storage/audit.ts'
import type { LedgerTable } from '../../src/storage/database.ts'
import { openStorage } from '../../src/storage/open.ts'
import { runCaptured } from '../storage/cli-capture.ts'
import { ledgerRow } from '../storage/ledger-row.ts'
import { promiseTests, scratchFolder } from './harness.ts'

promiseTests()
setDefaultTimeout(60_000)

const dayMs = 86_400_000
const yesterday = new Date(Date.now() - dayMs).toISOString().slice(0, 10)
const adminKey = 'sk-admin-canary-0123456789abcdef'
const open: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

/** A provider whose clock says yesterday, asked a few times. */
async function provider(): Promise<Sandbox> {
  const sandbox = await startSandbox({
    clock: { nowMs: () => performance.now(), wallMs: () => Date.parse(`${yesterday}T10:00:00Z`) },
  })
  open.push(() => sandbox.close())
  const ask = (path: string, body: unknown) =>
    fetch(`${sandbox.url}/${path}`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-x', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).then((answer) => answer.text())
  for (const model of ['gpt-4o', 'gpt-4o-mini', 'gpt-4o-mini'])
    await ask('chat/completions', {
      model,
      messages: [{ role: 'user', content: 'tell me of the gates of Rome' }],
    })
  await ask('embeddings', { model: 'text-embedding-3-small', input: 'gate' })
  return sandbox
}

/** The ledger as it would be had every call gone through the gate, but for what `change` does. */
async function ledgerOf(
  sandbox: Sandbox,
  change: (row: LedgerTable, index: number) => LedgerTable | null,
): Promise<{ config: string; data: string }> {
  const folder = scratchFolder()
  const config = join(folder, 'headgate.yaml')
  const upstream = { name: 'main', provider: 'openai', baseUrl: sandbox.url, keys: ['sk-up-x'], adminKey }
  writeFileSync(config, JSON.stringify({ upstreams: [upstream], access: { keys: [] } }))
  const data = join(folder, 'data')
  const prices = loadPrices({ file: null, upstreams: [{ name: 'main', provider: 'openai', baseUrl: null }] })
  const rows = sandbox.books().map(({ usage, servedModel, path }, index) => {
    const { input, cachedInput, output, reasoning } = usage!
    const counted = { ...zeroUsage, input, cachedInput, output, reasoning, total: input + output }
    const asked = { provider: 'openai', upstream: 'main', model: servedModel, serviceTier: null, atMs: 0, units: null, batch: false }
    const cost = prices.price({ ...asked, usage: counted }).costNanoUsd
    const row = ledgerRow({
      id: `r${index}`, at_ms: Date.parse(`${yesterday}T10:00:00Z`), upstream_model: servedModel, endpoint: path, input,
      cached_input: cachedInput, output, total: input + output, cost_nano: cost, billed_nano: cost,
    })
    return change(row, index)
  }) // prettier-ignore
  const storage = await openStorage({ path: data, postgres: null }, systemClock)
  await addRows(storage, rows.filter((row) => row !== null)) // prettier-ignore
  await storage.close()
  return { config, data }
}

const reconcile = ({ config, data }: { config: string; data: string }, ...args: string[]) =>
  runCaptured(
    'usage',
    'reconcile',
    '--upstream',
    'main',
    '--from',
    '2d',
    '--config',
    config,
    '--data',
    data,
    ...args,
  )

describe('rule 14: reconcile', () => {
  test('books that are equal have no drift', async () => {
    const place = await ledgerOf(await provider(), (row) => row)
    const { code, out, err } = await reconcile(place, '--format', 'json', '--tolerance', '0%')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const { rows } = JSON.parse(out)
    expect(rows.map((row: any) => [row.day, row.model, row.drift, row.costDriftNanoUsd])).toEqual([
      [yesterday, 'gpt-4o-2024-08-06', 0, 0],
      [yesterday, 'gpt-4o-mini-2024-07-18', 0, 0],
      [yesterday, 'text-embedding-3-small', 0, 0],
    ])
    expect((await reconcile(place)).out).toContain('All within 1%.')
  })

  test('what is missing is shown, marked, and booked once', async () => {
    const place = await ledgerOf(await provider(), (row, index) => (index === 1 ? null : row))
    const before = await reconcile(place)
    expect(before.code).toBe(1)
    expect(before.out).toMatch(/gpt-4o-mini-2024-07-18 .* 50\.00% {2}!\n/)
    const booked = await reconcile(place, '--book')
    expect(booked.err).toContain('1 correction rows were booked')
    expect((await reconcile(place, '--book')).err).toContain('there is nothing to book')
    const storage = await openStorage({ path: place.data, postgres: null }, systemClock)
    open.push(() => storage.close())
    const rows = await storage.db
      .selectFrom('ledger')
      .selectAll()
      .where('endpoint', '=', 'correction')
      .execute()
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({
      id: `correction-main-${yesterday}-gpt-4o-mini-2024-07-18-1`, price_version: 'provider', billed_nano: 0, is_last: 0, attempt: 0,
    }) // prettier-ignore
    expect(rows[0]!.cost_nano).toBeGreaterThan(0)
    const [entry, ...rest] = await readAudit(storage.db, { limit: 9, before: null })
    expect(rest).toEqual([])
    expect(entry).toMatchObject({
      action: 'usage.book',
      target: 'main',
      details: { rows: 1, nanoUsd: rows[0]!.cost_nano },
    })
    const after = JSON.parse((await reconcile(place, '--format', 'json')).out)
    const line = after.rows.find((row: any) => row.model.startsWith('gpt-4o-mini'))
    expect(line).toMatchObject({ costDriftNanoUsd: 0, ours: { requests: 1 }, theirs: { requests: 2 } })
  })

  test('a model named without its date is the one with it', async () => {
    const undated = (row: LedgerTable) => ({ ...row, upstream_model: row.upstream_model!.replace(/-\d{4}-\d\d-\d\d$/, '') })
    const { code, out } = await reconcile(await ledgerOf(await provider(), undated), '--format', 'csv')
    expect(code).toBe(0)
    expect(out.trimEnd().split('\r\n')).toHaveLength(4)
  }) // prettier-ignore
})

describe('the provider’s books, when they are odd', () => {
  const period = { fromMs: 0, toMs: dayMs }
  const books = async (answer: (url: URL) => Response | Promise<Response>) => {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => answer(new URL(request.url)) })
    open.push(() => server.stop(true))
    const source = { baseUrl: `http://127.0.0.1:${server.port}/v1`, adminKey: new Secret(adminKey), project: 'proj_1', caFile: null, proxy: null }
    return providerBooks(source, period).catch((cause: unknown) => (cause as Error).message)
  } // prettier-ignore
  const page = (results: unknown[], more: object = {}) =>
    Response.json({
      object: 'page',
      data: [{ start_time: 0, end_time: 86_400, results }],
      has_more: false,
      ...more,
    })

  test.each([
    ['a refused key', () => Response.json({ error: { message: adminKey } }, { status: 401 }), 'refused the admin key (401)'],
    ['too many requests', () => new Response('', { status: 429, headers: { 'retry-after': '7' } }), 'try again in 7 s'],
    ['an old server', () => new Response('', { status: 404 }), 'keeps no such books'],
    ['a way elsewhere', () => Response.redirect('http://127.0.0.1:1/', 302), 'which is not followed'],
    ['a failure', () => new Response('', { status: 500 }), 'answered 500'],
    ['no JSON', () => new Response('<html>'), 'no JSON'],
    ['another shape', () => Response.json({ data: {} }), 'something else than its page (data)'],
    ['a negative count', () => page([{ input_tokens: -1 }]), 'data.0.results.0.input_tokens'],
    ['a fraction', () => page([{ input_tokens: 1.5 }]), 'data.0.results.0.input_tokens'],
    ['a page that names itself', () => page([], { has_more: true, next_page: 'a' }), 'the same page again'],
  ] as const)('%s', async (_, answer, message) => {
    const said = await books(answer)
    expect(said).toContain(message)
    expect(said).not.toContain('canary')
  }) // prettier-ignore

  test('pages are followed, other currencies refused, amounts may be text', async () => {
    const paged = await books((url) => {
      expect(url.searchParams.getAll('project_ids')).toEqual(['proj_1'])
      if (url.pathname.endsWith('/costs'))
        return page([{ amount: { value: '0.1', currency: 'usd' }, line_item: 'm, input' }, { amount: { value: 0.2, currency: 'usd' }, line_item: 'm, output' }])
      if (!url.pathname.endsWith('/completions')) return page([])
      const second = url.searchParams.get('page') === 'two'
      return page([{ model: 'm', input_tokens: 5, input_audio_tokens: 2, num_model_requests: 1 }], second ? {} : { has_more: true, next_page: 'two' })
    })
    expect(paged).toEqual([{ day: '1970-01-01', model: 'm', requests: 2, input: 14, cachedInput: 0, output: 0, costNanoUsd: 300_000_000 }])
    const euros = await books((url) => page(url.pathname.endsWith('/costs') ? [{ amount: { value: 1, currency: 'eur' } }] : []))
    expect(euros).toContain('not in usd')
  }) // prettier-ignore
})

test('the books of the sandbox ask for an admin key, and come in pages', async () => {
  const sandbox = await provider()
  const ask = async (query: string, key = adminKey): Promise<any> =>
    (
      await fetch(`${sandbox.url}/organization/${query}`, { headers: { authorization: `Bearer ${key}` } })
    ).json()
  const start = Date.parse(`${yesterday}T00:00:00Z`) / 1000 - 86_400
  expect((await ask(`costs?start_time=${start}`, 'sk-project')).error.code).toBe('missing_scope')
  expect((await ask('costs')).error.param).toBe('start_time')
  const first = await ask(`usage/completions?start_time=${start}&limit=1&group_by=model`)
  expect(first).toMatchObject({ has_more: true, data: [{ results: [] }] })
  const second = await ask(
    `usage/completions?start_time=${start}&limit=1&group_by=model&page=${first.next_page}`,
  )
  expect(second.data[0].results).toHaveLength(2)
  expect(second.has_more).toBe(false)
})
