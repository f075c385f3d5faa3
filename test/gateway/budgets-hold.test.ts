// Promise: parallel requests never overspend a budget: not in one gateway, not in two that share a Redis, and not when one
// of them is killed in between; and what a killed gateway held comes back.

import { expect, test } from 'bun:test'
import { redisFound, startRedis } from '../storage/redis-server.ts'
import { dollarCosts } from './dollar-costs.ts'
import { ask, eventually, finallyClose, jsonBody, promiseTests, request, scratchFolder, startGate, upstreamAt, writeConfig, type ConfigTree } from './harness.ts' // prettier-ignore
import { reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const chat = request('POST', '/v1/chat/completions', jsonBody({ model: 'gpt-4o', messages: [] }))
const streamed = request(
  'POST',
  '/v1/chat/completions',
  jsonBody({ model: 'gpt-4o', messages: [], stream: true }),
)
const answer = reply(200, '{"id":"c","choices":[]}')

const limits = [{ name: 'money', per: 'key', budget: '$3/month' }]

async function fire(ports: readonly number[], count: number): Promise<{ passed: number; refused: number }> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, at) => ask(ports[at % ports.length]!, chat, 'POST')),
  )
  return {
    passed: answers.filter(({ status }) => status === 200).length,
    refused: answers.filter(({ status }) => status === 429).length,
  }
}

test('200 at once against a budget for three, in one gateway: three pass', async () => {
  const upstream = ScriptedUpstream.start((_, peer) => peer.write(answer))
  finallyClose(() => upstream.stop())
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], limits }, { costs: dollarCosts })
  expect(await fire([gate.port], 200)).toEqual({ passed: 3, refused: 197 })
  expect(upstream.requests).toHaveLength(3)
  const refused = await ask(gate.port, chat, 'POST')
  expect(refused.status).toBe(429)
  expect(refused.header('x-should-retry')).toBe('false')
  expect(refused.json().error).toMatchObject({ type: 'insufficient_quota', code: 'budget_exceeded' })
  expect(refused.json().error.message).toContain('"money", $3 per month, for key "client"')
})

test('what fails before an upstream is asked, or whose client leaves, comes back', async () => {
  const upstream = ScriptedUpstream.start(() => {})
  finallyClose(() => upstream.stop())
  const gate = await startGate(
    {
      upstreams: [upstreamAt(upstream.url, { timeouts: { firstByte: '20s' } })],
      limits: [{ name: 'slots', concurrent: 1 }],
    },
    { costs: dollarCosts },
  )
  const { dial } = await import('./peer.ts')
  for (let round = 0; round < 3; round++) {
    const peer = await dial(gate.port)
    void peer.write(streamed)
    await eventually(() => upstream.requests.length === round + 1, 'the request to arrive')
    expect((await ask(gate.port, chat, 'POST')).status).toBe(429)
    peer.close()
    await gate.logged((line) => line['status'] === 499 && gate.lines.filter((one) => one['status'] === 499).length === round + 1) // prettier-ignore
  }
})

async function process(tree: ConfigTree, redisUrl: string, leaseMs: number) {
  const child = Bun.spawn(
    [
      globalThis.process.execPath,
      `${import.meta.dir}/budget-gate.ts`,
      writeConfig(tree, scratchFolder()),
      redisUrl,
      String(leaseMs),
    ],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  )
  finallyClose(async () => {
    child.kill('SIGKILL')
    await child.exited
  })
  const { value } = await child.stdout.getReader().read()
  if (value === undefined) throw new Error(await child.stderr.text())
  return { child, port: Number(new TextDecoder().decode(value)) }
}

test.skipIf(!redisFound)(
  '200 at once over two processes with one Redis: three pass (needs redis)',
  async () => {
    const redis = await startRedis()
    finallyClose(() => redis.remove())
    const upstream = ScriptedUpstream.start((_, peer) => peer.write(answer))
    finallyClose(() => upstream.stop())
    const tree = { upstreams: [upstreamAt(upstream.url)], limits }
    const [a, b] = await Promise.all([process(tree, redis.url, 60_000), process(tree, redis.url, 60_000)])
    expect(await fire([a.port, b.port], 200)).toEqual({ passed: 3, refused: 197 })
    expect(upstream.requests).toHaveLength(3)
  },
)

test.skipIf(!redisFound)(
  'kill -9 amid it: nothing is overspent, and what was held comes back in time (needs redis)',
  async () => {
    const redis = await startRedis()
    finallyClose(() => redis.remove())
    let silent = true
    const upstream = ScriptedUpstream.start((_, peer) => {
      if (!silent) void peer.write(answer)
    })
    finallyClose(() => upstream.stop())
    const tree = { upstreams: [upstreamAt(upstream.url)], limits }
    const leaseMs = 4000
    const [a, b] = await Promise.all([process(tree, redis.url, leaseMs), process(tree, redis.url, leaseMs)])
    for (let at = 0; at < 100; at++) void ask(a.port, chat, 'POST').catch(() => null)
    await eventually(() => upstream.requests.length === 3, 'three requests to pass')
    silent = false
    expect((await ask(b.port, chat, 'POST')).status).toBe(429)
    const killedAtMs = performance.now()
    a.child.kill('SIGKILL')
    await a.child.exited
    await eventually(
      async () => (await ask(b.port, chat, 'POST')).status === 200,
      'what was held to come back',
      30_000,
    )
    expect(performance.now() - killedAtMs).toBeGreaterThan(500)
    const { passed } = await fire([b.port], 50)
    expect(passed).toBe(2)
    expect(upstream.requests).toHaveLength(6)
  },
)
