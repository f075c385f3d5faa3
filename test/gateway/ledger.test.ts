// Promises about rows: each call has exactly one, it is kept before its answer ends, and it says how sure it is. The
// numbers are those of the accounting rules.

import { describe, expect, test } from 'bun:test'
import type { Clock } from '../../src/base/clock.ts'
import { loadPrices } from '../../src/prices/keeper.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { callAdmin } from './admin-call.ts'
import { MovedClock } from './cache-calls.ts'
import {
  ask,
  clientKey,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  served,
  startGate,
  upstreamAt,
  type ConfigTree,
  type Gate,
} from './harness.ts'
import { KeptLedger } from './ledger-kept.ts'
import { dial } from './peer.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

interface Booked {
  readonly gate: Gate
  readonly ledger: KeptLedger
}

const priceUpstreams = [{ name: 'main', provider: 'openai', baseUrl: 'https://api.openai.com/v1' }]

async function booked(tree: ConfigTree, clock?: Clock): Promise<Booked> {
  const ledger = new KeptLedger()
  const prices = loadPrices({ file: null, upstreams: priceUpstreams })
  const pricing = {
    version: prices.version,
    price: (call: Parameters<typeof prices.price>[0]) => prices.price({ ...call, provider: 'openai' }),
    worst: () => null,
  }
  const gate = await startGate(tree, { ledger, pricing, ...(clock === undefined ? {} : { clock }) })
  finallyClose(() => expect(ledger.wrong).toEqual([]))
  return { gate, ledger }
}

async function scripted(
  script: Script,
  more: ConfigTree = {},
): Promise<Booked & { upstream: ScriptedUpstream }> {
  const upstream = ScriptedUpstream.start(script)
  finallyClose(() => upstream.stop())
  return { ...(await booked({ upstreams: [upstreamAt(upstream.url, more)] })), upstream }
}

const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Say hello' }] }
const chat = (more: Record<string, unknown> = {}): Buffer =>
  request('POST', '/v1/chat/completions', jsonBody({ ...body, ...more }))

function answer(usage: Record<string, unknown> | null, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    model: 'gpt-4o-mini-2024-07-18',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
    ...(usage === null ? {} : { usage }),
    ...more,
  })
}

function delta(content: string): string {
  return `data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`
}

const usageFrame = (input: number, output: number): string =>
  `data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${input + output}}}\n\n`
const done = 'data: [DONE]\n\n'
const rowsSettled = (ledger: KeptLedger, count = 1) =>
  eventually(() => ledger.rows.length >= count && ledger.rows, `${count} rows`)

test('rule 1: a reservation stands before the upstream sees a byte', async () => {
  let reservedThen = -1
  const { gate, ledger } = await scripted((_, peer) => {
    reservedThen = ledger.reservations.size
    void peer.write(reply(200, answer({ prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 })))
  })
  await ask(gate.port, chat())
  expect(reservedThen).toBe(1)
  const [reservation] = ledger.reservations.values()
  expect(reservation).toMatchObject({ model: 'gpt-4o-mini', upstream: 'main', endpoint: 'chat.completions' })
  expect(reservation!.owner.key).toBe('client')
  expect(reservation!.estimatedInput).toBeGreaterThan(0)
  expect(reservation!.estimatedNanoUsd).toBeGreaterThan(0)
})

test('rule 1: where rows cannot be kept nothing is sent, and the client hears 503 and when to come again', async () => {
  const { gate, ledger, upstream } = await scripted((_, peer) => void peer.write(reply(200, answer(null))))
  ledger.refusal = 'the disk is full'
  const refused = await ask(gate.port, chat())
  expect(refused.status).toBe(503)
  expect(refused.header('retry-after')).toBe('1')
  expect(JSON.parse(refused.body.toString()).error.code).toBe('overloaded')
  expect(upstream.requests).toHaveLength(0)
  expect(ledger.rows).toHaveLength(0)
  expect((await gate.logged((line) => line['status'] === 503))['detail']).toBe('the disk is full')
  ledger.refusal = null
  expect((await ask(gate.port, chat())).status).toBe(200)
})

describe('rule 2: the row is kept before the last byte goes out', () => {
  /** A disk that is done when told. */
  function slowDisk(ledger: KeptLedger): { finish: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    ledger.disk = () => promise
    return { finish: resolve }
  }

  test('of an answer in one piece', async () => {
    const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 }
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(200, answer(usage))))
    const disk = slowDisk(ledger)
    const peer = await dial(gate.port)
    void peer.write(chat())
    await rowsSettled(ledger)
    await Bun.sleep(30)
    expect(peer.received).toHaveLength(0)
    disk.finish()
    await peer.until(() => peer.received.includes('Hello.') || null, 'the answer')
    peer.close()
  })

  test('of a stream: `[DONE]` waits', async () => {
    let go!: () => void
    const said = new Promise<void>((resolve) => (go = resolve))
    const { gate, ledger } = await scripted(async (_, peer) => {
      void peer.write(eventsHead + chunk(delta('Hi')))
      await said
      void peer.write(Buffer.concat([chunk(usageFrame(9, 2)), chunk(done), Buffer.from(lastChunk)]))
    })
    const disk = slowDisk(ledger)
    const peer = await dial(gate.port)
    void peer.write(chat({ stream: true, stream_options: { include_usage: true } }))
    await peer.until(() => peer.received.includes('Hi') || null, 'the first words')
    go()
    await rowsSettled(ledger)
    await Bun.sleep(30)
    expect(peer.received.includes('[DONE]')).toBe(false)
    disk.finish()
    await peer.until(() => peer.received.includes('[DONE]') || null, 'the end')
    peer.close()
  })

  test('of a long answer in pieces: its last chunk waits', async () => {
    const usage = { prompt_tokens: 9, total_tokens: 9 }
    const text = answer(usage, { id: 'x'.repeat(3_000_000) })
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(200, text)))
    const disk = slowDisk(ledger)
    const peer = await dial(gate.port)
    void peer.write(chat())
    await rowsSettled(ledger)
    await Bun.sleep(30)
    expect(peer.received.length).toBeLessThan(text.length)
    disk.finish()
    await peer.until(() => peer.received.length > text.length || null, 'all of it')
    expect(peer.received.includes('"total_tokens":9')).toBe(true)
    expect(ledger.rows[0]).toMatchObject({ state: 'settled', status: 200 })
    peer.close()
  })
})

describe('rule 4: usage that is there is final', () => {
  test('JSON: tokens by class, model and tier of the answer, price and its version', async () => {
    const usage = {
      prompt_tokens: 1000,
      completion_tokens: 100,
      total_tokens: 1100,
      prompt_tokens_details: { cached_tokens: 800 },
      completion_tokens_details: { reasoning_tokens: 30 },
    }
    const { gate, ledger } = await scripted(
      (_, peer) => void peer.write(reply(200, answer(usage, { service_tier: 'default' }))),
    )
    const { header } = await ask(gate.port, chat({ user: 'ann' }))
    const [row] = ledger.of(header('x-headgate-id')!)
    expect(row).toMatchObject({
      state: 'settled',
      estimator: null,
      upstreamModel: 'gpt-4o-mini-2024-07-18',
      serviceTier: 'default',
      last: true,
      attempt: 1,
      status: 200,
      endUser: 'ann',
      unmetered: false,
    })
    expect(row!.usage).toMatchObject({ input: 1000, cachedInput: 800, output: 100, reasoning: 30 })
    // $0.15 a million input, $0.075 cached, $0.60 output (OpenAI's prices of gpt-4o-mini).
    expect(row!.costNanoUsd).toBe(200 * 150 + 800 * 75 + 100 * 600)
    expect(row!.billedNanoUsd).toBe(row!.costNanoUsd)
    expect(row!.priceVersion).toMatch(/^genai-prices@/)
  })

  test('an explicit 0 is not replaced by an estimate', async () => {
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(200, answer(usage))))
    await ask(gate.port, chat())
    expect(ledger.rows[0]).toMatchObject({ state: 'settled', estimator: null, costNanoUsd: 0 })
  })
})

describe('rule 5: usage that is absent is estimated, and says so', () => {
  test('JSON', async () => {
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(200, answer(null))))
    expect((await ask(gate.port, chat())).status).toBe(200)
    const [row] = ledger.rows
    expect(row).toMatchObject({ state: 'estimated', last: true, status: 200 })
    expect(row!.estimator).toMatch(/^\w+-\d+$/)
    expect(row!.usage!.input).toBeGreaterThan(0)
    // `Hello.` is what the answer says.
    expect(row!.usage!.output).toBe(2)
    expect(row!.costNanoUsd).toBeGreaterThan(0)
  })

  test('a stream that ends well', async () => {
    const { gate, ledger } = await scripted((_, peer) => {
      const said = Array.from({ length: 40 }, () => chunk(delta('hello world '))).join('')
      void peer.write(eventsHead + said + chunk(done) + lastChunk)
    })
    const { header, body: bytes } = await ask(gate.port, chat({ stream: true }))
    expect(bytes.toString()).toEndWith(done)
    const [row] = ledger.of(header('x-headgate-id')!)
    expect(row).toMatchObject({ state: 'estimated', status: 200, failure: null })
    expect(row!.usage!.output).toBeGreaterThan(60)
  })

  test('a model without a price is unpriced, never free', async () => {
    const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 }
    const { gate, ledger } = await scripted(
      (_, peer) => void peer.write(reply(200, answer(usage, { model: 'house-model-7' }))),
    )
    await ask(gate.port, chat({ model: 'house-model-7' }))
    expect(ledger.rows[0]).toMatchObject({ state: 'settled', costNanoUsd: null, billedNanoUsd: null })
  })
})

describe('rule 6: the client leaves', () => {
  test('amid a stream: one row, estimated from what came', async () => {
    const { gate, ledger } = await scripted(async (_, peer) => {
      void peer.write(eventsHead + chunk(delta('one two three four five six seven')))
      await peer.until(() => peer.closed || null, 'the gate to leave')
    })
    const peer = await dial(gate.port)
    void peer.write(chat({ stream: true }))
    await peer.until(() => peer.received.includes('seven') || null, 'the first words')
    peer.close()
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ state: 'estimated', status: 499, clientGone: true, failure: 'client_gone' })
    expect(row!.usage!.output).toBeGreaterThan(4)
  })

  test('before an answer in one piece: its cost is spent, so it is waited for', async () => {
    let answerNow!: () => void
    const { gate, ledger, upstream } = await scripted(async (_, peer) => {
      await new Promise<void>((resolve) => (answerNow = resolve))
      void peer.write(reply(200, answer({ prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 })))
    })
    const peer = await dial(gate.port)
    void peer.write(chat())
    await eventually(() => upstream.requests.length === 1, 'the request')
    peer.close()
    await eventually(() => gate.gateway.exchanges === 0, 'the client to be gone')
    answerNow()
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ state: 'settled', status: 499, clientGone: true })
    expect(row!.usage).toMatchObject({ input: 9, output: 2 })
  })
})

describe('rule 7: what breaks', () => {
  test('a stream that breaks after content is estimated, and the client sees no [DONE]', async () => {
    const { gate, ledger } = await scripted((_, peer) => {
      void peer.write(eventsHead + chunk(delta('one two three four')))
      peer.close()
    })
    const { body: bytes } = await ask(gate.port, chat({ stream: true }))
    expect(bytes.toString()).toContain('event: error')
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ state: 'estimated', status: 200, failure: 'upstream_unavailable' })
  })

  test('an error of the upstream costs nothing', async () => {
    const error = '{"error":{"message":"no","type":"server_error","param":null,"code":null}}'
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(400, error)))
    await ask(gate.port, chat())
    expect(ledger.rows).toHaveLength(1)
    expect(ledger.rows[0]).toMatchObject({
      state: 'void',
      status: 400,
      costNanoUsd: 0,
      last: true,
      usage: null,
    })
  })

  test('a call that never got anywhere is void; one that may have is estimated', async () => {
    const { gate, ledger } = await booked({ upstreams: [upstreamAt('http://127.0.0.1:9/v1')] })
    expect((await ask(gate.port, chat())).status).toBe(502)
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ state: 'void', costNanoUsd: 0, failure: 'upstream_unavailable', last: true })
    const silent = await scripted((_, peer) => peer.close())
    expect((await ask(silent.gate.port, chat())).status).toBe(502)
    const [other] = await rowsSettled(silent.ledger)
    expect(other).toMatchObject({ state: 'estimated', failure: 'upstream_unavailable' })
    expect(other!.usage!.input).toBeGreaterThan(0)
  })
})

test('rule 12: what has no meter has its row and says so; what is free costs nothing', async () => {
  const sandbox = await startSandbox()
  finallyClose(() => sandbox.close())
  const { gate, ledger } = await booked({ upstreams: [upstreamAt(sandbox.url)] })
  await ask(gate.port, request('POST', '/v1/vector_stores', jsonBody({ name: 'x' })))
  await ask(gate.port, request('GET', '/v1/models'))
  await ask(gate.port, request('POST', '/v1/moderations', jsonBody({ input: 'x' })))
  const [made, models, moderated] = ledger.rows
  expect(made).toMatchObject({
    endpoint: 'vector_stores',
    unmetered: true,
    state: 'settled',
    costNanoUsd: null,
  })
  expect(models).toMatchObject({ endpoint: 'models', unmetered: false, state: 'settled', costNanoUsd: 0 })
  expect(moderated).toMatchObject({ endpoint: 'moderations', costNanoUsd: 0, state: 'settled' })
})

describe('rule 12: what is billed by something else than tokens', () => {
  async function played() {
    const sandbox = await startSandbox()
    finallyClose(() => sandbox.close())
    return { sandbox, ...(await booked({ upstreams: [upstreamAt(sandbox.url)] })) }
  }
  const tokensNano = ({ usage }: { usage: { input: number; output: number } | null }) =>
    usage!.input * 2000 + usage!.output * 8000
  const search = { model: 'gpt-4.1', input: 'Which gates has Rome? "web_search_call"' }
  const tools = [{ type: 'web_search' }, { type: 'file_search', vector_store_ids: [] }]
  const respond = (more: object) => request('POST', '/v1/responses', jsonBody({ ...search, ...more }))

  test('searches stand in their rows as the upstream has booked them, beside the tokens', async () => {
    const { sandbox, gate, ledger } = await played()
    const kinds = [
      {},
      { tools },
      { tools, stream: true },
      { tools: [{ type: 'web_search_preview' }] },
      { tools, tool_choice: 'none' },
      { tools: [{ type: 'function', name: 'web_search_call', parameters: {} }] },
    ]
    for (const kind of kinds) expect((await ask(gate.port, respond(kind))).status).toBe(200)
    const rows = await rowsSettled(ledger, kinds.length)
    expect(rows.map((row) => row.units)).toEqual(sandbox.books().map(({ units }) => units))
    const calls = 10_000_000 + 2_500_000
    expect(rows.map((row) => row.costNanoUsd! - tokensNano(row))).toEqual([0, calls, calls, 25_000_000, 0, 0])
    expect(rows.every(({ state }) => state === 'settled')).toBe(true)
  })

  test('a response in the background: the row of the response, when it is read', async () => {
    const { gate, ledger } = await played()
    const made = await ask(gate.port, respond({ tools, background: true }))
    const { id } = JSON.parse(made.body.toString())
    for (let read = 0; read < 2; read++) await ask(gate.port, request('GET', `/v1/responses/${id}`))
    const rows = ledger.rows.filter((row) => row.id === `response-${id}`)
    const both = { webSearches: 1, fileSearches: 1 }
    expect(rows.map(({ units }) => units)).toEqual([both, both])
    expect(rows[0]!.costNanoUsd! - tokensNano(rows[0]!)).toBe(12_500_000)
    expect(ledger.rows.filter((row) => row.id !== rows[0]!.id).map((row) => row.costNanoUsd)).toEqual([
      0, 0, 0,
    ])
  })

  test('a stream that breaks off has the searches that were made', async () => {
    const item =
      '{"id":"ws_0f3a5c7e9b1d2f4a6c8e0b2d4f6a8c0e2b4d6f8a","type":"web_search_call","status":"completed","action":{"type":"search"}}'
    const { gate, ledger } = await scripted(async (_, peer) => {
      await peer.write(eventsHead)
      await peer.write(chunk('event: response.created\ndata: {"type":"response.created","response":{"model":"gpt-4.1","usage":null}}\n\n'))
      await peer.write(chunk(`event: response.output_item.done\ndata: {"type":"response.output_item.done","item":${item}}\n\n`))
      await peer.write(chunk('event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Five"}\n\n'))
      peer.close()
    }) // prettier-ignore
    await ask(gate.port, respond({ tools, stream: true }))
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ state: 'estimated', units: { webSearches: 1 } })
    expect(row!.costNanoUsd! - tokensNano(row!)).toBe(10_000_000)
  })

  test('an answer that says its searches but not its tokens is estimated, not settled', async () => {
    const output = [{ type: 'web_search_call', status: 'completed' }]
    const text = JSON.stringify({ id: 'resp_1', object: 'response', model: 'gpt-4.1', output, usage: null })
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(200, text)))
    await ask(gate.port, respond({ tools }))
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ state: 'estimated', units: { webSearches: 1 } })
    expect(row!.costNanoUsd!).toBe(tokensNano(row!) + 10_000_000)
    expect(row!.usage!.input).toBeGreaterThan(0)
  })

  test('videos by their seconds, containers by their number, as the upstream has booked them', async () => {
    const { sandbox, gate, ledger } = await played()
    const film = { model: 'sora-2-pro', prompt: 'waves', seconds: '8', size: '1024x1792' }
    const made = await ask(gate.port, request('POST', '/v1/videos', jsonBody(film)))
    const { id } = JSON.parse(made.body.toString())
    await ask(gate.port, request('GET', `/v1/videos/${id}`))
    // A container is no model's, whatever its request names.
    await ask(gate.port, request('POST', '/v1/containers', jsonBody({ name: 'c', model: 'gpt-4o' })))
    const figures = ({ units, costNanoUsd, unmetered }: (typeof ledger.rows)[number]) => ({
      units,
      costNanoUsd,
      unmetered,
    })
    const isVideo = ({ id: rowId }: { id: string }) => rowId === `video-${id}`
    const video = { units: { 'videoSeconds/1024x1792': 8 }, costNanoUsd: 4_000_000_000, unmetered: false }
    // The same row, which a ledger keeps once.
    expect(ledger.rows.filter(isVideo).map(figures)).toEqual([video, video])
    const free = { units: null, costNanoUsd: 0, unmetered: false }
    const container = { units: { 'containers/1g': 1 }, costNanoUsd: 30_000_000, unmetered: false }
    expect(ledger.rows.filter((row) => !isVideo(row)).map(figures)).toEqual([free, free, container])
    expect(sandbox.books().map(({ units }) => units)).toEqual([
      { 'videoSeconds/1024x1792': 8 },
      null,
      { 'containers/1g': 1 },
    ])
  })

  test('what a form asks for has the price of the model that the form names', async () => {
    const { gate, ledger } = await scripted((seen, peer) => {
      const body = seen.body.toString('latin1')
      const usage = { input_tokens: 100, output_tokens: 10, total_tokens: 110 }
      if (body.includes('whisper-1')) return void peer.write(reply(200, '{"text":"Hello.","duration":60}'))
      return void peer.write(reply(200, JSON.stringify({ text: 'Hello.', usage })))
    })
    for (const model of ['whisper-1', 'gpt-4o-transcribe']) {
      const form = new FormData()
      form.append('file', new Blob([new Uint8Array(300_000)]), 'a.wav')
      form.append('model', model)
      const answered = await fetch(`http://127.0.0.1:${gate.port}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${clientKey}` },
        body: form,
      })
      expect(answered.status).toBe(200)
    }
    const rows = ledger.rows.map(({ model, upstreamModel, costNanoUsd }) => [
      model,
      upstreamModel,
      costNanoUsd,
    ])
    expect(rows).toEqual([
      ['whisper-1', 'whisper-1', 6_000_000],
      ['gpt-4o-transcribe', 'gpt-4o-transcribe', expect.any(Number)],
    ])
    expect(rows[1]![2]).toBeGreaterThan(0)
  })

  test('a video whose price nobody knows is unpriced, not free', async () => {
    const film =
      '{"id":"video_1","object":"video","model":"sora-9","status":"completed","seconds":"8","size":"9x9"}'
    const { gate, ledger } = await scripted((_, peer) => void peer.write(reply(200, film)))
    await ask(gate.port, request('GET', '/v1/videos/video_1'))
    const row = ledger.rows.find(({ id }) => id === 'video-video_1')
    expect(row).toMatchObject({
      units: { 'videoSeconds/9x9': 8 },
      costNanoUsd: null,
      upstreamModel: 'sora-9',
    })
  })
})

describe('rule 9: an answer that needed no call', () => {
  const token = 'hga_test-token-0000000000000000000000000001'
  const reported = { prompt_tokens: 900, completion_tokens: 200, total_tokens: 1100 }
  const whole = answer(reported)
  const costNanoUsd = 900 * 150 + 200 * 600
  const free = {
    attempt: 0, last: true, state: 'settled', upstream: null, account: null, usage: null, units: null, estimator: null,
    costNanoUsd: 0, billedNanoUsd: 0, unmetered: false, failure: null, status: 200, upstreamModel: 'gpt-4o-mini-2024-07-18',
  } // prettier-ignore

  async function cached(script: Script, more: ConfigTree = {}, clock = new MovedClock()) {
    const upstream = ScriptedUpstream.start(script)
    finallyClose(() => upstream.stop())
    const tree = { upstreams: [upstreamAt(upstream.url)], cache: { mode: 'exact' }, ...more }
    return { ...(await booked(tree, clock)), upstream, clock }
  }

  /** Answers a stream to whoever asks for one; the end waits. */
  function streaming() {
    const end = Promise.withResolvers<void>()
    const script: Script = async (_, peer) => {
      await peer.write(eventsHead + chunk(delta('Hello.')))
      await end.promise
      await peer.write(chunk(delta('').replace('null}]', '"stop"}]')))
      await peer.write(Buffer.concat([chunk(usageFrame(900, 200)), chunk(done), Buffer.from(lastChunk)]))
    }
    return { script, end: () => end.resolve() }
  }

  test('a hit has a row of its own: no tokens, no cost, and what it saved', async () => {
    const { gate, ledger } = await cached((_, peer) => void peer.write(reply(200, whole)))
    const answers = [await ask(gate.port, chat()), await ask(gate.port, chat())]
    answers.push(await ask(gate.port, chat({ stream: true })))
    expect(answers.map((one) => one.header('x-cache-status'))).toEqual(['MISS', 'HIT', 'HIT'])
    const [miss, hit, streamed] = await rowsSettled(ledger, 3)
    expect(miss).toMatchObject({ cache: 'MISS', attempt: 1, costNanoUsd, savedNanoUsd: 0, upstream: 'main' })
    const id = answers[1]!.header('x-headgate-id')!
    expect(hit).toMatchObject({
      ...free,
      id: `${id}-0`,
      operationId: id,
      cache: 'HIT',
      savedNanoUsd: costNanoUsd,
    })
    expect(hit).toMatchObject({ stream: false, endpoint: 'chat.completions', model: 'gpt-4o-mini' })
    expect(hit!.owner).toEqual(miss!.owner)
    expect(streamed).toMatchObject({ ...free, cache: 'HIT', savedNanoUsd: costNanoUsd, stream: true })
    expect(ledger.reservations.size).toBe(1)
  })

  test('what a stored answer cost by estimate is what it saves', async () => {
    const plain = JSON.parse(whole) as { usage?: unknown }
    delete plain.usage
    let gone = Promise.withResolvers<void>()
    const { gate, ledger } = await cached(async (seen, peer) => {
      await gone.promise
      const stream = seen.body.toString().includes('"stream":true')
      if (!stream) return void (await peer.write(reply(200, JSON.stringify(plain))))
      await peer.write(eventsHead + chunk(delta('Hello.')))
      await peer.write(chunk(delta('').replace('null}]', '"stop"}]')))
      await peer.write(Buffer.concat([chunk(done), Buffer.from(lastChunk)]))
    })
    for (const more of [{}, { stream: true, seed: 2 }]) {
      ledger.rows.length = 0
      gone = Promise.withResolvers()
      const calls = [chat(more), chat(more)].map((one) => ask(gate.port, one))
      await eventually(() => gate.gateway.exchanges === 2, 'both to wait')
      gone.resolve()
      await Promise.all(calls)
      expect((await ask(gate.port, chat(more))).header('x-cache-status')).toBe('HIT')
      const rows = await rowsSettled(ledger, 3)
      const made = rows.find(({ cache }) => cache === 'MISS')!
      expect(made.state).toBe('estimated')
      expect(made.costNanoUsd).toBeGreaterThan(0)
      const saved = rows.map((row) => `${row.cache} ${row.savedNanoUsd}`).sort((a, b) => a.localeCompare(b))
      expect(saved).toEqual([`COALESCED ${made.costNanoUsd}`, `HIT ${made.costNanoUsd}`, 'MISS 0'])
    }
  })

  test('of a list to embed that was known in part, the row says what the known part would have cost', async () => {
    const { gate, ledger } = await cached((seen, peer) => {
      const { input } = JSON.parse(seen.body.toString()) as { input: string[] }
      const data = input.map((_, index) => ({ object: 'embedding', index, embedding: [0.5] }))
      const usage = { prompt_tokens: 1000 * input.length, total_tokens: 1000 * input.length }
      const model = 'text-embedding-3-small'
      return peer.write(reply(200, JSON.stringify({ object: 'list', data, model, usage })))
    })
    const embed = (input: string[]) =>
      ask(gate.port, request('POST', '/v1/embeddings', jsonBody({ model: 'text-embedding-3-small', input })))
    await embed(['a', 'b', 'c'])
    await embed(['c', 'd', 'a'])
    await embed(['d', 'c'])
    const rows = await rowsSettled(ledger, 3)
    const one = 1000 * 20
    expect(rows.map((row) => [row.cache, row.usage?.input ?? 0, row.costNanoUsd, row.savedNanoUsd])).toEqual([
      ['MISS', 3000, 3 * one, 0],
      ['MISS', 1000, one, 2 * one],
      ['HIT', 0, 0, 2 * one],
    ])
  })

  test('a hit is refused where no row can be kept', async () => {
    const { gate, ledger } = await cached((_, peer) => void peer.write(reply(200, whole)))
    await ask(gate.port, chat())
    ledger.refusal = 'the disk is full'
    const refused = await ask(gate.port, chat())
    expect([refused.status, refused.json().error.code]).toEqual([503, 'overloaded'])
    expect(refused.header('age')).toBeNull()
    expect((await gate.logged((line) => line['status'] === 503))['detail']).toBe('the disk is full')
    expect(ledger.rows).toHaveLength(1)
    ledger.refusal = null
    expect((await ask(gate.port, chat())).header('x-cache-status')).toBe('HIT')
  })

  test('the row of a hit is kept before its last byte', async () => {
    const { gate, ledger } = await cached((_, peer) => void peer.write(reply(200, whole)))
    await ask(gate.port, chat())
    for (const [index, more] of [{}, { stream: true }].entries()) {
      const disk = Promise.withResolvers<void>()
      ledger.disk = () => disk.promise
      const peer = await dial(gate.port)
      void peer.write(chat(more))
      await rowsSettled(ledger, index + 2)
      await Bun.sleep(30)
      expect(peer.received).toHaveLength(0)
      disk.resolve()
      await peer.until(() => peer.received.includes('Hello.') || null, 'the answer')
      peer.close()
    }
  })

  test('identical calls: the cost is booked once, and all the others have rows before their end', async () => {
    const { script, end } = streaming()
    const { gate, ledger } = await cached(script)
    const leader = await dial(gate.port)
    void leader.write(chat({ stream: true }))
    await leader.untilText('Hello.')
    const others = await Promise.all([dial(gate.port), dial(gate.port), dial(gate.port)])
    for (const [index, more] of [
      { stream: true },
      { stream: true, stream_options: { include_usage: true } },
      {},
    ].entries())
      void others[index]!.write(chat(more))
    await eventually(() => gate.gateway.exchanges === 4, 'all to wait')
    const disk = Promise.withResolvers<void>()
    ledger.disk = () => disk.promise
    end()
    const rows = await rowsSettled(ledger, 4)
    await Bun.sleep(30)
    for (const peer of [leader, ...others]) expect(peer.received.includes('[DONE]')).toBe(false)
    disk.resolve()
    for (const peer of [leader, ...others.slice(0, 2)]) await peer.untilText('[DONE]')
    await others[2].untilText('"total_tokens"')
    expect(rows.map(({ cache }) => cache).toSorted()).toEqual(['COALESCED', 'COALESCED', 'COALESCED', 'MISS'])
    for (const row of rows.filter(({ cache }) => cache === 'COALESCED'))
      expect(row).toMatchObject({ ...free, savedNanoUsd: costNanoUsd })
    expect(rows.reduce((sum, row) => sum + row.costNanoUsd!, 0)).toBe(costNanoUsd)
    expect(ledger.reservations.size).toBe(1)
    for (const peer of [leader, ...others]) peer.close()
  })

  test('of shared Responses streams the last event waits for the row, whether a price is known or not', async () => {
    const event = (type: string, more: object): string =>
      chunk(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`).toString('latin1')
    for (const model of ['gpt-4o-mini', 'a-model-without-a-price']) {
      const end = Promise.withResolvers<void>()
      const { gate, ledger } = await cached(async (_, peer) => {
        // Amid a text the mark is no event.
        const text = 'Hello. event: response.completed\n'
        await peer.write(eventsHead + event('response.output_text.delta', { delta: text }))
        await end.promise
        const output = [{ type: 'message', status: 'completed', content: [{ type: 'output_text', text }] }]
        const usage = { input_tokens: 900, output_tokens: 200, total_tokens: 1100 }
        const response = { id: 'r', object: 'response', status: 'completed', model, output, usage }
        await peer.write(event('response.completed', { response }))
        await peer.write(lastChunk)
      })
      const sent = request('POST', '/v1/responses', jsonBody({ model, input: 'x', stream: true }))
      const peers = [await dial(gate.port), await dial(gate.port)]
      for (const [at, peer] of peers.entries()) {
        void peer.write(sent)
        await eventually(() => gate.gateway.exchanges === at + 1, 'it to wait')
        await peer.untilText('Hello.')
      }
      const disk = Promise.withResolvers<void>()
      ledger.disk = () => disk.promise
      end.resolve()
      const rows = await rowsSettled(ledger, 2)
      await Bun.sleep(30)
      for (const peer of peers) expect(peer.received.includes('"type":"response.completed"')).toBe(false)
      disk.resolve()
      for (const peer of peers) await peer.untilText('"type":"response.completed"')
      expect(rows.map(({ cache }) => cache).toSorted()).toEqual(['COALESCED', 'MISS'])
      for (const peer of peers) peer.close()
    }
  })

  test('identical calls that wait for an answer in one piece', async () => {
    const gone = Promise.withResolvers<void>()
    const { gate, ledger } = await cached(async (_, peer) => {
      await gone.promise
      await peer.write(reply(200, whole))
    })
    const calls = [{}, {}, { stream: true }].map((more) => ask(gate.port, chat(more)))
    await eventually(() => gate.gateway.exchanges === 3, 'all to wait')
    gone.resolve()
    await Promise.all(calls)
    const rows = await rowsSettled(ledger, 3)
    const told = rows.map((row) => `${row.cache} ${row.costNanoUsd} ${row.savedNanoUsd}`)
    expect(told.sort()).toEqual([`COALESCED 0 ${costNanoUsd}`, `COALESCED 0 ${costNanoUsd}`, `MISS ${costNanoUsd} 0`]) // prettier-ignore
  })

  test('a client that leaves a shared stream has its one row too', async () => {
    const { script, end } = streaming()
    const { gate, ledger } = await cached(script)
    const leader = await dial(gate.port)
    void leader.write(chat({ stream: true }))
    await leader.untilText('Hello.')
    const other = await dial(gate.port)
    void other.write(chat({ stream: true }))
    await other.untilText('Hello.')
    other.reset()
    const [row] = await rowsSettled(ledger)
    expect(row).toMatchObject({ ...free, cache: 'COALESCED', status: 499, failure: 'client_gone', clientGone: true, savedNanoUsd: 0, upstreamModel: expect.anything() }) // prettier-ignore
    end()
    await leader.untilText('[DONE]')
    await rowsSettled(ledger, 2)
    leader.close()
  })

  test('what is past its time: the answer has its row, and so has the call behind it', async () => {
    let failing = false
    const { gate, ledger, clock } = await cached(
      (_, peer) => void peer.write(failing ? reply(503, '{"error":{"message":"down"}}') : reply(200, whole)),
      { cache: { mode: 'exact', ttl: '60s', staleWhileRevalidate: '10m', staleIfError: '1h' } },
    )
    await ask(gate.port, chat())
    clock.aheadMs += 70_000
    const stale = await ask(gate.port, chat())
    expect(stale.header('x-cache-status')).toBe('STALE')
    const rows = await rowsSettled(ledger, 3)
    const behind = rows.find(({ cache }) => cache === 'EXPIRED')!
    expect(rows.find(({ cache }) => cache === 'STALE')).toMatchObject({ ...free, savedNanoUsd: costNanoUsd })
    expect(behind).toMatchObject({ attempt: 1, last: true, costNanoUsd, savedNanoUsd: 0, status: 200 })
    expect(behind.operationId).not.toBe(stale.header('x-headgate-id'))
    await eventually(() => gate.gateway.exchanges === 0)
    failing = true
    clock.aheadMs += 1_000_000
    const instead = await ask(gate.port, chat())
    expect([instead.status, instead.header('x-cache-status')]).toEqual([200, 'STALE'])
    await rowsSettled(ledger, 5)
    const both = ledger.of(instead.header('x-headgate-id')!).toSorted((a, b) => a.attempt - b.attempt)
    expect(both).toHaveLength(2)
    expect(both[0]).toMatchObject({ ...free, cache: 'STALE', savedNanoUsd: costNanoUsd })
    expect(both[1]).toMatchObject({ state: 'void', attempt: 1, last: false, status: 503, costNanoUsd: 0 })
  })

  test('counts as a request, and not as tokens', async () => {
    const { gate } = await cached((_, peer) => void peer.write(reply(200, whole)), {
      limits: [
        { name: 'requests', per: 'key', requests: '3/1h' },
        { name: 'tokens', per: 'key', tokens: '150000/1h' },
      ],
      admin: { listen: '127.0.0.1:0', token },
    })
    const answers = []
    for (let index = 0; index < 4; index++) answers.push(await ask(gate.port, chat({ max_tokens: 400 })))
    expect(answers.map((one) => one.header('x-cache-status'))).toEqual(['MISS', 'HIT', 'HIT', null])
    expect(answers[3]!.status).toBe(429)
    expect(answers[3]!.body.toString()).toContain('requests')
    const { json } = await callAdmin(gate.adminPort, 'GET /api/limits', { token })
    expect(json.rows.map(({ limit, used }: { limit: string; used: number }) => [limit, used])).toEqual([['requests', 3], ['tokens', 1100]]) // prettier-ignore
  })

  test('rows and sums of a running gateway say what was cached, given again and saved', async () => {
    const gate = await served({
      tree: {
        upstreams: [{ name: 'main', provider: 'sandbox' }],
        admin: { listen: '127.0.0.1:0', token },
        cache: { mode: 'exact' },
        meter: { idempotency: { enabled: true } },
      },
    })
    const keyed = { ...jsonBody(body) }
    const again = request('POST', '/v1/chat/completions', { ...keyed, lines: [...keyed.lines, 'Idempotency-Key: one'] }) // prettier-ignore
    const { usage: told } = (await ask(gate.port, chat())).json()
    const cost = told.prompt_tokens * 150 + told.completion_tokens * 600
    await ask(gate.port, chat())
    expect((await ask(gate.port, again)).header('x-cache-status')).toBe('HIT')
    await eventually(async () => (await ask(gate.port, again)).header('idempotent-replayed') === 'true')
    const { json } = await callAdmin(gate.adminPort, 'GET /api/requests', { token })
    const replays = json.rows.filter((row: { cache: string }) => row.cache === 'BYPASS')
    expect(replays.length).toBeGreaterThan(0)
    for (const row of replays) expect(row).toMatchObject({ costNanoUsd: 0, billedNanoUsd: 0, savedNanoUsd: 0, state: 'settled', upstream: null }) // prettier-ignore
    const { json: usage } = await callAdmin(gate.adminPort, 'GET /api/usage?by=key', { token })
    expect(usage.rows).toEqual([
      expect.objectContaining({
        key: 'client', operations: 3 + replays.length, attempts: 1, cached: 2, costNanoUsd: cost, billedNanoUsd: cost,
        savedNanoUsd: 2 * cost, input: told.prompt_tokens, output: told.completion_tokens, unpriced: 0, estimated: 0,
      }),
    ]) // prettier-ignore
  })
})
