// Promise: a stream that ends as if it were complete, but without its last event, never looks complete: the client is told
// that it broke, nothing is invented in place of what is missing, and its cost is an estimate.

import { describe, expect, test } from 'bun:test'
import { eventually, finallyClose, promiseTests, startGate, upstreamAt } from '../harness.ts'
import { KeptLedger } from '../ledger-kept.ts'
import { chunk, eventsHead, fine, lastChunk, ScriptedUpstream, type Script } from '../scripted-upstream.ts'
import { call, chat, post, said, twoAccounts, type Seen } from './accounts.ts'

promiseTests()

/** Sends these frames and then ends cleanly. */
const sending =
  (frames: readonly string[]): Script =>
  async (_, peer) => {
    await peer.write(eventsHead)
    for (const frame of frames) await peer.write(chunk(frame))
    await peer.write(lastChunk)
  }

const upstream = ScriptedUpstream.start(fine)
finallyClose(() => upstream.stop())
const ledger = new KeptLedger()
const gate = await startGate({ upstreams: [upstreamAt(upstream.url)] }, { ledger })

async function rowOf(answer: Seen) {
  return eventually(() => ledger.of(answer.headers.get('x-headgate-id')!)[0], 'the row')
}

const delta = (content: string, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`
const event = (type: string, more: object = {}) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
const respond = (gate: { port: number }) =>
  post(gate, '/v1/responses', { model: 'gpt-4o-mini', input: 'Hello', stream: true })

function broke({ status, text }: Seen, whatCame: string): void {
  expect(status).toBe(200)
  expect(text.startsWith(whatCame)).toBe(true)
  const rest = text.slice(whatCame.length)
  expect(rest).toMatch(/^event: error\ndata: \{"error":.*"code":"upstream_unavailable".*\}\n\n$/)
}

describe('with one upstream', () => {
  test('a chat without [DONE] and without a reason to finish', async () => {
    upstream.script = sending([delta('Hello'), delta(' there')])
    const answer = await chat(gate, { stream: true })
    broke(answer, delta('Hello') + delta(' there'))
    const row = await rowOf(answer)
    expect(row).toMatchObject({ state: 'estimated', status: 200 })
    expect(row.usage!.output).toBeGreaterThan(0)
  })

  test('a response without its last event', async () => {
    const frames = [
      event('response.created', { response: { id: 'resp_1', metadata: { type: 'error' } } }),
      event('response.output_text.delta', { delta: 'response.completed' }),
    ]
    upstream.script = sending([...frames])
    const answer = await respond(gate)
    broke(answer, frames.join(''))
    expect(await rowOf(answer)).toMatchObject({ state: 'estimated' })
  })

  test('a stream without any event', async () => {
    upstream.script = sending([])
    broke(await chat(gate, { stream: true }), '')
  })

  test('what has one of its last words passes as it came', async () => {
    for (const last of [
      'data: [DONE]\n\n',
      delta('', 'stop'),
      'data: {"error":{"message":"overloaded"}}\n\n',
    ]) {
      upstream.script = sending([delta('Hello'), last])
      expect((await chat(gate, { stream: true })).text).toBe(delta('Hello') + last)
    }
    for (const last of [
      event('response.completed', { response: { usage: { input_tokens: 1, output_tokens: 2 } } }),
      event('response.incomplete', { response: {} }),
      event('response.failed', { response: { error: { code: 'server_error' } } }),
      event('error', { code: 'server_error' }),
    ]) {
      upstream.script = sending([event('response.created'), last])
      expect((await respond(gate)).text).toBe(event('response.created') + last)
    }
    upstream.script = sending(['data: {"anything":1}\n\n'])
    expect((await call(gate, '/v1/streams/of/the/future')).text).toBe('data: {"anything":1}\n\n')
  })
})

test('with another upstream: it is asked where no content has come, else the client is told', async () => {
  for (const [frames, attempts] of [
    [[event('response.created')], 2],
    [[event('response.created'), event('response.output_text.delta', { delta: 'Hi' })], 1],
  ] as const) {
    const cut = ScriptedUpstream.start(sending(frames))
    finallyClose(() => cut.stop())
    const { second } = await twoAccounts()
    const gate = await startGate({
      upstreams: [upstreamAt(cut.url, { name: 'first' }), upstreamAt(second.url, { name: 'second' })],
      routes: [{ pick: 'priority' }],
    })
    const answer = await respond(gate)
    expect(answer.attempts).toBe(attempts)
    if (attempts === 1) broke(answer, frames.join(''))
    else expect(said(answer.text).error).toBeNull()
    if (attempts === 2) expect(answer.text).toContain('event: response.completed')
  }
})
