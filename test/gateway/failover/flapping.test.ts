// Promise: an upstream that keeps failing is left alone, and one that dies takes no call with it.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { systemClock } from '../../../src/base/clock.ts'
import { startSandbox } from '../../../src/sandbox/sandbox.ts'
import { startTiming } from '../../running-time.ts'
import { callAdmin } from '../admin-call.ts'
import { eventually, finallyClose, promiseTests, startGate, upstreamAt } from '../harness.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from '../scripted-upstream.ts'
import { call, chat, chats, said, twoAccounts } from './accounts.ts'

promiseTests()

const token = 'a-token-of-the-operators-00001'
const admin = { listen: '127.0.0.1:0', token }

describe('an upstream that flaps', () => {
  for (const pick of [
    'priority',
    'weighted',
    'roundRobin',
    'leastBusy',
    'leastLatency',
    'headroom',
    'prefixAffinity',
  ])
    test(`is asked at most three times in 15 requests, and no client notices: ${pick}`, async () => {
      const { gate, first } = await twoAccounts({ pick })
      let bad = 0
      first.faults.add({ match: {}, fault: 'fault-500' })
      for (let count = 0; count < 15; count++) {
        expect((await chat(gate)).status).toBe(200)
        bad = chats(first)
      }
      expect(bad).toBeLessThanOrEqual(3)
    })

  test('and comes back by one probe once it works', async () => {
    const held: (() => void)[] = []
    let holds = false
    const works: Script = async (_, peer) => {
      if (holds) await new Promise<void>((resolve) => held.push(resolve))
      await peer.write(reply(200, '{"id":"c","choices":[]}'))
    }
    const [first, second] = [ScriptedUpstream.start(works), ScriptedUpstream.start(works)]
    finallyClose(() => first.stop())
    finallyClose(() => second.stop())
    let aheadMs = 0
    const gate = await startGate(
      {
        upstreams: [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
        routes: [{ pick: 'priority', breaker: { failures: 1, cooldown: '60s' } }],
      },
      { clock: { nowMs: () => systemClock.nowMs() + aheadMs, wallMs: () => systemClock.wallMs() } },
    )
    first.script = (_, peer) => peer.write(reply(500, '{}'))
    expect((await chat(gate)).upstream).toBe('second')
    first.script = works
    expect((await chat(gate)).upstream).toBe('second')
    aheadMs += 61_000
    // All of them are under way at once: one of them is the probe.
    holds = true
    const calls = Array.from({ length: 10 }, () => chat(gate))
    await eventually(() => held.length === 10, 'all to be under way')
    holds = false
    for (const release of held) release()
    const during = await Promise.all(calls)
    expect(during.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
    expect(first.requests).toHaveLength(2)
    expect((await chat(gate)).upstream).toBe('first')
  })

  test('is asked all the same, before its time, for what fails everywhere else', async () => {
    const { gate, first, second } = await twoAccounts({ breaker: { failures: 1, cooldown: '60s' } })
    first.faults.add({ match: {}, fault: 'fault-500', times: 1 })
    expect((await chat(gate)).upstream).toBe('second')
    second.faults.add({ match: {}, fault: 'fault-500', times: 1 })
    const { status, upstream, attempts } = await chat(gate)
    expect([status, upstream, attempts]).toEqual([200, 'first', 2])
  })

  test('but not one that has said when it takes requests again', async () => {
    const { gate, first, second } = await twoAccounts()
    first.faults.add({ match: {}, fault: 'fault-429-retry-after-20', times: 1 })
    expect((await chat(gate)).upstream).toBe('second')
    second.faults.add({ match: {}, fault: 'fault-500', times: 1 })
    expect((await chat(gate)).status).toBe(500)
    expect(chats(first)).toBe(1)
  })

  test('opens its breaker for that model only, and shows it to the operator', async () => {
    const first = await startSandbox()
    const second = await startSandbox()
    finallyClose(() => first.close())
    finallyClose(() => second.close())
    const gate = await startGate({
      admin,
      upstreams: [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
      routes: [{ pick: 'priority', breaker: { failures: 1 } }],
    })
    first.faults.add({ match: { model: 'gpt-4o' }, fault: 'fault-500' })
    expect((await chat(gate, { model: 'gpt-4o' })).upstream).toBe('second')
    expect((await chat(gate, { model: 'gpt-4o-mini' })).upstream).toBe('first')
    const { json } = await callAdmin(gate.adminPort, 'GET /api/upstreams', { token })
    expect(json.rows[0]).toMatchObject({
      name: 'first',
      health: 'failing',
      breaker: 'open',
      failures: 1,
      inFlight: 0,
    })
    expect(json.rows[0].models).toContainEqual(expect.objectContaining({ model: 'gpt-4o', breaker: 'open' }))
    expect(json.rows[0].models).toContainEqual(
      expect.objectContaining({ model: 'gpt-4o-mini', breaker: 'closed' }),
    )
    expect(json.rows[1]).toMatchObject({ name: 'second', health: 'healthy', breaker: 'closed' })
  })
})

test('an upstream that is drained gets nothing new until it is resumed, over a reload too', async () => {
  const first = await startSandbox()
  const second = await startSandbox()
  finallyClose(() => first.close())
  finallyClose(() => second.close())
  const tree = {
    admin,
    upstreams: [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
    routes: [{ pick: 'priority' }],
  }
  const gate = await startGate(tree)
  expect((await chat(gate)).upstream).toBe('first')
  const drained = await callAdmin(gate.adminPort, 'POST /api/upstreams/first/drain', { token })
  expect(drained).toMatchObject({ status: 200, json: { name: 'first', health: 'draining', draining: true } })
  expect((await chat(gate)).upstream).toBe('second')
  await gate.reload(tree)
  expect((await chat(gate)).upstream).toBe('second')
  await callAdmin(gate.adminPort, 'POST /api/upstreams/second/drain', { token })
  expect(await chat(gate)).toMatchObject({ status: 503, attempts: 0 })
  expect((await callAdmin(gate.adminPort, 'POST /api/upstreams/first/resume', { token })).status).toBe(200)
  expect((await chat(gate)).upstream).toBe('first')
  expect((await callAdmin(gate.adminPort, 'POST /api/upstreams/third/drain', { token })).status).toBe(404)
})

test('an active check takes an upstream out that is down, and brings it back', async () => {
  let up = false
  const first = ScriptedUpstream.start((_, peer) =>
    peer.write(up ? reply(200, '{"data":[]}') : reply(503, '{}')),
  )
  finallyClose(() => first.stop())
  const second = await startSandbox()
  finallyClose(() => second.close())
  const gate = await startGate({
    admin,
    upstreams: [upstreamAt(first.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
    routes: [{ pick: 'priority', check: { path: '/models', every: '1s' } }],
  })
  const breaker = async () =>
    (await callAdmin(gate.adminPort, 'GET /api/upstreams', { token })).json.rows[0].breaker as string
  await eventually(async () => (await breaker()) === 'open', 'the checks to fail')
  expect(first.requests[0]).toMatchObject({ method: 'GET', target: '/v1/models' })
  const seen = first.requests.filter(({ method }) => method === 'POST').length
  expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 1 })
  expect(first.requests.filter(({ method }) => method === 'POST')).toHaveLength(seen)
  up = true
  await eventually(async () => (await breaker()) === 'closed', 'a check to work')
})

test('killing one of two upstreams under 200 parallel calls: no client sees an error', async () => {
  const folder = join(import.meta.dir, '..', '..', '..')
  const child = Bun.spawn(
    [process.execPath, join(folder, 'src/main.ts'), 'sandbox', '--listen', '127.0.0.1:0'],
    {
      stdout: 'pipe',
      stderr: 'pipe',
      env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' },
    },
  )
  finallyClose(async () => {
    child.kill('SIGKILL')
    await child.exited
  })
  let printed = ''
  void (async () => {
    for await (const bytes of child.stdout) printed += Buffer.from(bytes).toString()
  })()
  void (async () => {
    for await (const bytes of child.stderr) printed += Buffer.from(bytes).toString()
  })()
  const port = await eventually(() => /127\.0\.0\.1:(\d+)/.exec(printed)?.[1], 'the sandbox to start')
  const second = await startSandbox({ latencyMs: 50 })
  finallyClose(() => second.close())
  const gate = await startGate({
    // All calls come at once, on a machine that may be busy: it is not shedding load that is tried here.
    server: { overload: { mode: 'off' } },
    upstreams: [
      upstreamAt(`http://127.0.0.1:${port}/v1`, { name: 'first' }),
      upstreamAt(second.url, { name: 'second' }),
    ],
  })
  // Slow at the first, so that many calls are under way there when it dies.
  const slow = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      chat(gate, { model: 'gpt-4o-mini+fault-slow-first-token-4000', stream: index % 2 === 0 }),
    )
  const calls = slow(200)
  // How many came, and not how many are there: on a slow machine the first may have ended by then.
  await eventually(() => chats(second) >= 60, 'calls to be under way at both')
  await Bun.sleep(100)
  child.kill('SIGKILL')
  const answers = [...(await Promise.all(calls)), ...(await Promise.all(slow(20)))]
  const bad = answers.filter(({ status, text }) => status !== 200 || text.includes('event: error'))
  expect(bad.map(({ status, text }) => `${status} ${text}`)).toEqual([])
  expect(answers.some(({ attempts }) => attempts > 1)).toBe(true)
})

describe('every attempt stands in the books', () => {
  test('with its upstream, its failure and whether it was sent, and the one that answered comes last', async () => {
    const { gate, first } = await twoAccounts({ retry: { attempts: 3 } })
    first.faults.add({ match: {}, fault: 'fault-503' })
    const tried: unknown[] = []
    const add = gate.gateway.running.began.bind(gate.gateway.running)
    gate.gateway.running.began = (x, request) => {
      tried.push(x.tried)
      return add(x, request)
    }
    expect((await chat(gate)).attempts).toBe(2)
    await gate.logged((line) => line['attempts'] === 2)
    expect(tried).toEqual([
      [
        expect.objectContaining({
          status: 503,
          sent: true,
          underWay: null,
          failure: expect.objectContaining({ code: 'upstream_unavailable', detail: 'upstream answered 503' }),
          whom: expect.objectContaining({ name: 'first' }),
        }),
        expect.objectContaining({
          status: 200,
          failure: null,
          underWay: null,
          whom: expect.objectContaining({ name: 'second' }),
        }),
      ],
    ])
    expect((tried[0] as { endedAtMs: number }[])[0]!.endedAtMs).toBeGreaterThan(0)
  })
})

describe('a stream that breaks amid its text, where the route says continue', () => {
  const route = { continue: true }
  const idle = { timeouts: { idle: '300ms' } }

  test('goes on at another upstream, with the text so far as the beginning of its answer', async () => {
    const { first } = await twoAccounts()
    const goesOn = ScriptedUpstream.start((_, peer) => {
      const event = (delta: object, finish: string | null = null) =>
        chunk(
          `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
        )
      void peer.write(eventsHead)
      void peer.write(event({ role: 'assistant', content: '' }))
      void peer.write(event({ content: 'and so on.' }))
      void peer.write(event({}, 'stop'))
      void peer.write(chunk('data: [DONE]\n\n'))
      void peer.write(lastChunk)
    })
    finallyClose(() => goesOn.stop())
    const gate = await startGate({
      upstreams: [
        upstreamAt(first.url, { name: 'first', ...idle }),
        upstreamAt(goesOn.url, { name: 'second' }),
      ],
      routes: [{ pick: 'priority', ...route }],
    })
    first.faults.add({ match: {}, fault: 'fault-cut-3' })
    const answer = await chat(gate, { stream: true, max_tokens: 1000, max_completion_tokens: 2 })
    const { content, done, error } = said(answer.text)
    expect({ done, error }).toEqual({ done: true, error: null })
    expect(answer.text).toContain(': headgate: continued by second\n\n')
    const { messages } = JSON.parse(goesOn.last.body.toString()) as {
      messages: { role: string; content: string }[]
    }
    expect(messages).toHaveLength(2)
    expect(messages[1]!.role).toBe('assistant')
    expect(messages[1]!.content.length).toBeGreaterThan(0)
    // What was delivered is not asked for again; something always is.
    const spent = Math.ceil(Buffer.byteLength(messages[1]!.content) / 4)
    expect(JSON.parse(goesOn.last.body.toString())).toMatchObject({
      max_tokens: 1000 - spent,
      max_completion_tokens: Math.max(1, 2 - spent),
    })
    expect(content).toBe(`${messages[1]!.content}and so on.`)
    // A second role would be a second message to some clients.
    expect(answer.text.split('"role"')).toHaveLength(2)
  })

  test('ends as broken where the other refuses to go on', async () => {
    const { first } = await twoAccounts()
    const refuses: Script = (_, peer) =>
      peer.write(reply(400, '{"error":{"message":"This model does not support assistant message prefill."}}'))
    const strict = ScriptedUpstream.start(refuses)
    finallyClose(() => strict.stop())
    const gate = await startGate({
      upstreams: [upstreamAt(first.url, { name: 'first' }), upstreamAt(strict.url, { name: 'second' })],
      routes: [{ pick: 'priority', ...route }],
    })
    first.faults.add({ match: {}, fault: 'fault-cut-3' })
    const answer = await chat(gate, { stream: true })
    expect(said(answer.text)).toMatchObject({ done: false, error: 'upstream_unavailable' })
    expect(strict.requests).toHaveLength(1)
  })

  test('never goes on amid a tool call', async () => {
    const calls = ScriptedUpstream.start((_, peer) => {
      const delta = {
        tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a' } }],
      }
      void peer.write(eventsHead)
      void peer.write(
        chunk(
          `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`,
        ),
      )
      peer.close()
    })
    finallyClose(() => calls.stop())
    const { second } = await twoAccounts()
    const gate = await startGate({
      upstreams: [upstreamAt(calls.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
      routes: [{ pick: 'priority', ...route }],
    })
    const answer = await chat(gate, { stream: true })
    expect(said(answer.text)).toMatchObject({ done: false, error: 'upstream_unavailable' })
    expect(second.requests).toHaveLength(0)
  })
})

test('hedging takes the answer that comes first, and gives the other call up', async () => {
  const { gate, first } = await twoAccounts({ retry: { hedge: { after: '50ms' } } })
  first.setLatency({ latencyMs: 60_000 })
  const sinceAskedMs = startTiming()
  expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'second', attempts: 2 })
  expect(sinceAskedMs()).toBeLessThan(4000)
  await eventually(() => first.connections() === 0, 'the slow call to be given up')
  // A stream is never asked for twice.
  first.setLatency({ latencyMs: 200 })
  expect(await chat(gate, { stream: true })).toMatchObject({ status: 200, upstream: 'first', attempts: 1 })
  expect((await call(gate, '/v1/chat/completions/none')).status).toBe(404)
})
