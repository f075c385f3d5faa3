// The official JavaScript client through the gateway: streams that the client leaves, and streams that break. Whoever
// leaves is noticed upstream at once; what breaks is an error in the client's loop, never an end that looks complete.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { startTiming } from '../running-time.ts'
import { caught, clientKey, countOf, eventually, startService } from './service.ts'

const service = await startService({ timeouts: { idle: '400ms', firstByte: '1s' } })
const { sandbox, gate } = service
const openai = new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0 })
const chat = (model: string) => ({ model, messages: [{ role: 'user' as const, content: 'Tell me a story' }] })
const noticedWithinMs = 1000

/** Waits until the upstream has seen the client leave. */
async function expectLeft(): Promise<void> {
  const sinceLeftMs = startTiming()
  const row = await eventually(
    () => sandbox.books().find(({ ended }) => ended !== 'open'),
    'the upstream to notice',
  )
  expect(row.ended).toBe('aborted')
  expect(sinceLeftMs()).toBeLessThan(noticedWithinMs)
  const line = await gate.logged(({ status }) => status === 499)
  expect(line).toMatchObject({ status: 499, clientGone: true })
  gate.lines.length = 0
}

describe('a client that leaves', () => {
  test('amid a stream, by its controller', async () => {
    sandbox.setLatency({ chunkDelayMs: 20 })
    const stream = await openai.chat.completions.create({ ...chat('sandbox-tokens-1000'), stream: true })
    const chunks = await countOf(stream, (count) => void (count === 3 && stream.controller.abort()))
    expect(chunks).toBeLessThan(10)
    await expectLeft()
  })

  test('amid a stream, by breaking out of the loop', async () => {
    sandbox.setLatency({ chunkDelayMs: 20 })
    for await (const chunk of await openai.responses.create({
      model: 'sandbox-tokens-1000',
      input: 'x',
      stream: true,
    }))
      if (chunk.type === 'response.output_text.delta') break
    await expectLeft()
  })

  test('amid the stream helper', async () => {
    sandbox.setLatency({ chunkDelayMs: 20 })
    const stream = openai.chat.completions.stream(chat('sandbox-tokens-1000'))
    stream.once('content', () => stream.abort())
    await caught(stream.done(), OpenAI.APIUserAbortError)
    await expectLeft()
  })

  // An answer in one piece is waited for: its cost is spent (test/gateway/client-gone.test.ts).
  test('before the first byte of a stream', async () => {
    const controller = new AbortController()
    const call = openai.chat.completions.create(
      { ...chat('fault-silence'), stream: true },
      { signal: controller.signal },
    )
    await eventually(() => sandbox.requests.length > 0, 'the request to arrive')
    controller.abort()
    await caught(call, OpenAI.APIUserAbortError)
    await expectLeft()
  })

  test('between head and first token', async () => {
    const stream = await openai.chat.completions.create({
      ...chat('fault-slow-first-token-30000'),
      stream: true,
    })
    stream.controller.abort()
    await expectLeft()
  })

  test('amid a download', async () => {
    sandbox.faults.add({ match: { path: '/v1/audio/speech' }, fault: 'fault-drip-50' })
    const answer = await openai.audio.speech.create({
      model: 'tts-1',
      voice: 'alloy',
      input: 'x'.repeat(500),
    })
    const reader = answer.body!.getReader()
    await reader.read()
    await reader.cancel()
    await expectLeft()
  })
})

describe('a stream that breaks', () => {
  const faults = [
    ['fault-cut-3', 'upstream_unavailable'],
    ['fault-cut-reset-3', 'upstream_unavailable'],
    ['fault-malformed-http-body', 'upstream_unavailable'],
    ['fault-stall-3', 'upstream_timeout'],
  ] as const

  async function readChat(model: string): Promise<number> {
    let chunks = 0
    for await (const chunk of await openai.chat.completions.create({ ...chat(model), stream: true }))
      chunks += chunk.choices.length
    return chunks
  }

  async function readResponse(model: string): Promise<number> {
    return countOf(await openai.responses.create({ model, input: 'Tell me', stream: true }))
  }

  for (const [model, code] of faults) {
    test(`${model}: an error in the loop, of chat, responses, completions and helpers`, async () => {
      const broken = [
        () => readChat(model),
        () => readResponse(model),
        () => openai.chat.completions.stream(chat(model)).finalContent(),
        () => openai.responses.stream({ model, input: 'Tell me' }).finalResponse(),
      ]
      for (const read of broken) {
        const error = await caught(read(), OpenAI.APIError)
        expect(error.code ?? (error.error as { code?: string } | undefined)?.code).toBe(code)
      }
      expect(gate.lines.every(({ clientGone }) => clientGone === false)).toBe(true)
      gate.lines.length = 0
    })
  }

  test('of an assistant', async () => {
    const assistant = await openai.beta.assistants.create({ model: 'gpt-4o-mini' })
    const thread = await openai.beta.threads.create({ messages: [{ role: 'user', content: 'Hello' }] })
    sandbox.faults.add({ match: { path: `/v1/threads/${thread.id}/runs` }, fault: 'fault-cut-9' })
    await caught(openai.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id }).finalRun(), Error)
  })

  test("the upstream's own error event passes", async () => {
    const error = await caught(readChat('fault-error-frame-2'), OpenAI.APIError)
    expect(error.message).toContain('server')
  })

  test('binary bodies do not end early without a word', async () => {
    for (const fault of ['fault-cut', 'fault-cut-reset', 'fault-stall']) {
      sandbox.faults.add({ match: { path: '/v1/audio/speech' }, fault, times: 1 })
      const answer = await openai.audio.speech.create({
        model: 'tts-1',
        voice: 'alloy',
        input: 'x'.repeat(400),
      })
      await caught(answer.arrayBuffer(), Error)
    }
  })

  test('the next request on the same client is served', async () => {
    await caught(readChat('fault-cut-3'), OpenAI.APIError)
    expect(await readChat('gpt-4o-mini')).toBeGreaterThan(5)
  })
})
