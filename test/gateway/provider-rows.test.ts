// Promise: a call of a provider that does not speak like OpenAI has its row like any other: settled by the usage the provider
// named, streamed or whole, also where the client did not ask for it and sees none; void where nothing was sent.

import { expect, test } from 'bun:test'
import {
  ask,
  eventually,
  finallyClose,
  jsonBody,
  promiseTests,
  request,
  startGate,
  upstreamKey,
} from './harness.ts'
import { KeptLedger } from './ledger-kept.ts'
import { wires } from './provider-wire.ts'
import { chunk, eventsHead, fine, lastChunk, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const ledger = new KeptLedger()
const main = { name: 'main', provider: 'anthropic', baseUrl: upstream.url, keys: [upstreamKey] }
const gate = await startGate({ upstreams: [main] }, { ledger })
finallyClose(() => {
  expect(ledger.wrong).toEqual([])
  upstream.stop()
})

const frames = [
  {
    type: 'message_start',
    message: {
      id: 'm',
      model: 'claude-sonnet-4-5-20250929',
      role: 'assistant',
      content: [],
      usage: { input_tokens: 10, cache_read_input_tokens: 30, output_tokens: 1 },
    },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 7 } },
  { type: 'message_stop' },
].map((event) => chunk(wires['anthropic']!.frame(JSON.stringify(event))))

test('a stream whose client did not ask for usage is settled by it, and shows none', async () => {
  upstream.script = (_request, peer) =>
    peer.write(Buffer.concat([Buffer.from(eventsHead), ...frames, Buffer.from(lastChunk)]))
  for (const path of ['/v1/chat/completions', '/v1/responses']) {
    const before = ledger.rows.length
    const body = {
      model: 'claude-sonnet-4-5',
      messages: [{ role: 'user', content: 'Hi' }],
      input: 'Hi',
      stream: true,
    }
    const answer = await ask(gate.port, request('POST', path, jsonBody(body)), 'POST')
    const text = answer.body.toString()
    expect(text).toContain('Hello')
    if (path === '/v1/chat/completions') {
      expect(text).not.toContain('usage')
      expect(text).toEndWith('data: [DONE]\n\n')
    }
    await eventually(() => ledger.rows.length > before, 'the row')
    expect(ledger.rows.at(-1)).toMatchObject({
      state: 'settled',
      model: 'claude-sonnet-4-5',
      usage: { input: 40, cachedInput: 30, output: 7 },
    })
  }
})

test('a model of another name there is asked for by that name', async () => {
  const mapped = { ...main, models: { fast: 'claude-haiku-4-5' } }
  const { port } = await startGate({ upstreams: [mapped] })
  const body = { model: 'fast', messages: [{ role: 'user', content: 'Hi' }], stream: true }
  const answer = await ask(port, request('POST', '/v1/chat/completions', jsonBody(body)), 'POST')
  expect(answer.body.toString()).toContain('Hello')
  expect(JSON.parse(upstream.last.body.toString())).toMatchObject({ model: 'claude-haiku-4-5' })
  const azure = {
    name: 'a',
    provider: 'azure',
    baseUrl: upstream.url,
    keys: [upstreamKey],
    models: { fast: 'dep-1' },
  }
  const other = await startGate({ upstreams: [{ ...azure, api: 'deployments', apiVersion: '2024-10-21' }] })
  await ask(other.port, request('POST', '/v1/chat/completions', jsonBody(body)), 'POST')
  expect(upstream.last.target).toBe('/v1/openai/deployments/dep-1/chat/completions?api-version=2024-10-21')
})

test('what never left has cost nothing', async () => {
  const asked = upstream.requests.length
  const body = { model: 'claude-sonnet-4-5', messages: [] }
  const answer = await ask(gate.port, request('POST', '/v1/chat/completions', jsonBody(body)), 'POST')
  expect(answer.status).toBe(400)
  expect(upstream.requests.length).toBe(asked)
  await eventually(() => ledger.rows.at(-1)?.state === 'void', 'the row')
})
