// Promise: a stream that Anthropic, Google, Amazon Bedrock or Cohere really sent comes out as one that OpenAI's own client
// reads to the same text, reasoning, tool calls and usage as the provider's own package does, for chat completions and
// for responses, however the network cuts it. What the provider did not finish does not look finished.
// The recordings are in $HEADGATE_TEST_DATA/streams (default: ../shared/data); their seed is printed with any failure.

import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { clientKey, promiseTests, startGate, upstreamKey } from './harness.ts'
import { reference, wires, type Outcome } from './provider-wire.ts'
import { chunk, fine, lastChunk, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const data = process.env['HEADGATE_TEST_DATA'] ?? join(import.meta.dir, '..', '..', '..', 'shared', 'data')
const folder = join(data, 'streams')
const there = existsSync(folder)
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
let state = seed

/** Numbers below `bound`, the same for the same seed. */
function draw(bound: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state % bound
}

const files = there
  ? [...new Bun.Glob(`{${Object.keys(wires).join(',')}}/*.chunks.txt`).scanSync(folder)].sort()
  : []
// Other interfaces of Google's: a live socket, and its "interactions".
const foreign = /google-live|\/basic|\/multi-turn|\/tool-call-step1/

/** The answers that a recording holds: some are of several requests, one behind the other. */
function answersOf(file: string): string[][] {
  const answers: string[][] = [[]]
  for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
    if (line === '') continue
    answers.at(-1)!.push(line)
    if (line.includes('"type":"message_stop"')) answers.push([])
  }
  return answers.filter((answer) => answer.length > 0)
}

/** Gemini has no ids for calls; each reader makes its own. */
function withoutIds(outcome: Outcome): Outcome {
  return { ...outcome, calls: outcome.calls.map((call) => ({ ...call, id: '' })) }
}

async function viaChat(client: OpenAI, model: string): Promise<Outcome> {
  let [text, reasoning, finish] = ['', '', '']
  let usage: OpenAI.CompletionUsage | null = null
  const calls = new Map<number, { id: string; name: string; input: string }>()
  const stream = await client.chat.completions.create({
    model,
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: 'user', content: 'Hi' }],
  })
  for await (const event of stream) {
    usage = event.usage ?? usage
    const choice = event.choices[0]
    if (choice === undefined) continue
    text += choice.delta.content ?? ''
    reasoning += (choice.delta as { reasoning_content?: string }).reasoning_content ?? ''
    finish = choice.finish_reason ?? finish
    for (const part of choice.delta.tool_calls ?? []) {
      const call = calls.get(part.index) ?? { id: '', name: '', input: '' }
      calls.set(part.index, {
        id: call.id + (part.id ?? ''),
        name: call.name + (part.function?.name ?? ''),
        input: call.input + (part.function?.arguments ?? ''),
      })
    }
  }
  return {
    text,
    reasoning,
    calls: [...calls.values()].map((call) => ({ ...call, input: JSON.parse(call.input) as unknown })),
    input: usage?.prompt_tokens ?? null,
    cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output: usage?.completion_tokens ?? null,
    finish,
  }
}

async function viaResponses(client: OpenAI, model: string): Promise<Outcome> {
  const stream = await client.responses.create({ model, stream: true, input: 'Hi' })
  const events: ResponseStreamEvent[] = []
  for await (const event of stream) events.push(event)
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
  const last = events.at(-1)!
  if (last.type !== 'response.completed' && last.type !== 'response.incomplete') throw new Error(last.type)
  const { response } = last
  // What came in pieces is what the last event says.
  const deltas = (type: string): string =>
    events.map((event) => (event.type === type ? (event as { delta: string }).delta : '')).join('')
  const done = events.flatMap((event) => (event.type === 'response.output_item.done' ? [event.item] : []))
  expect(new Set(done.map(({ id }) => id))).toEqual(new Set(response.output.map(({ id }) => id)))
  const text = response.output
    .flatMap((item) => (item.type === 'message' ? item.content : []))
    .map((part) => (part.type === 'output_text' ? part.text : ''))
    .join('')
  expect(deltas('response.output_text.delta')).toBe(text)
  return {
    text,
    reasoning: deltas('response.reasoning_summary_text.delta'),
    calls: response.output.flatMap((item) =>
      item.type === 'function_call'
        ? [{ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) as unknown }]
        : [],
    ),
    input: response.usage?.input_tokens ?? null,
    cached: response.usage?.input_tokens_details.cached_tokens ?? 0,
    output: response.usage?.output_tokens ?? null,
    finish: response.status === 'incomplete' ? (response.incomplete_details?.reason ?? '') : 'completed',
  }
}

const finishes: Record<string, { chat: string; responses: string }> = {
  stop: { chat: 'stop', responses: 'completed' },
  other: { chat: 'stop', responses: 'completed' },
  'tool-calls': { chat: 'tool_calls', responses: 'completed' },
  length: { chat: 'length', responses: 'max_output_tokens' },
  'content-filter': { chat: 'content_filter', responses: 'content_filter' },
}

describe(`streams of other providers, seed ${seed}`, () => {
  test.skipIf(!there)('are at hand (needs the recordings)', () => {
    expect(files.filter((file) => !foreign.test(file)).length).toBeGreaterThan(25)
  })

  for (const [name, wire] of Object.entries(wires)) {
    const mine = files.filter((file) => file.startsWith(`${name}/`) && !foreign.test(file))
    if (mine.length === 0) continue
    const upstream = ScriptedUpstream.start(fine)
    const gate = startGate({
      upstreams: [
        {
          name: 'main',
          provider: wire.provider,
          baseUrl: upstream.url,
          keys: [upstreamKey],
          ...wire.settings,
        },
      ],
    })

    for (const file of mine) {
      for (const [index, events] of answersOf(file).entries()) {
        test(`${file} ${index + 1}`, async () => {
          const { port, logged } = await gate
          const client = new OpenAI({
            baseURL: `http://127.0.0.1:${port}/v1`,
            apiKey: clientKey,
            maxRetries: 0,
          })
          const bytes = Buffer.concat(events.map((event) => wire.frame(event)))
          upstream.script = async (_request, peer) => {
            await peer.write(
              `HTTP/1.1 200 OK\r\nContent-Type: ${wire.contentType}\r\nTransfer-Encoding: chunked\r\n\r\n`,
            )
            for (let at = 0; at < bytes.length;) {
              const length = 1 + draw(bytes.length > 20_000 ? 4000 : 40)
              await peer.write(chunk(bytes.subarray(at, at + length)))
              at += length
              if (draw(3) === 0) await Bun.sleep(0)
            }
            await peer.write(lastChunk)
          }
          const expected = await reference(wire, bytes).catch(() => null)
          if (expected === null) {
            // Two messages spliced into one stream: the only recording that its package finds broken.
            expect(file).toEndWith('/spliced-message-start.chunks.txt')
            expect(await viaChat(client, wire.model).catch((cause: unknown) => cause)).toBeInstanceOf(Error)
            expect(await viaResponses(client, wire.model).catch((cause: unknown) => cause)).toBeInstanceOf(
              Error,
            )
            return
          }
          const same = name === 'google' ? withoutIds : (outcome: Outcome) => outcome
          const called = expected.calls.length > 0 && expected.finish === 'stop'
          const finish = finishes[called ? 'tool-calls' : expected.finish]!
          const chat = await viaChat(client, wire.model)
          expect(same(chat)).toEqual(same({ ...expected, finish: chatFinish(expected, finish.chat) }))
          const responses = await viaResponses(client, wire.model)
          expect(same(responses)).toEqual(same({ ...expected, finish: finish.responses }))
          const line = await logged((one) => one['path'] === '/v1/responses')
          expect(line['status']).toBe(200)
        })
      }
    }
  }
})

/** Tools that the provider ran itself are no business of the client's. */
function chatFinish(expected: Outcome, finish: string): string {
  return finish === 'tool_calls' && expected.calls.length === 0 ? 'stop' : finish
}
