import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { startSandbox } from './sandbox.ts'
import type { Sandbox } from './sandbox.ts'

let sandbox: Sandbox
let client: OpenAI

beforeAll(async () => {
  sandbox = await startSandbox()
  client = new OpenAI({ apiKey: 'sk-test', baseURL: sandbox.url, maxRetries: 0 })
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.reset())

/** What a call fails with; null where it does not. The client's promises are lazy, so `rejects` cannot look into them. */
async function failure(call: PromiseLike<unknown>): Promise<unknown> {
  return call.then(
    () => null,
    (cause: unknown) => cause,
  )
}

test('a plain response answers with usage', async () => {
  const response = await client.responses.create({ model: 'gpt-4o', input: 'Say: ready' })
  expect(response.output_text).toBe('ready')
  expect(response.status).toBe('completed')
  expect(response.usage!.total_tokens).toBe(response.usage!.input_tokens + response.usage!.output_tokens)
})

test('its own tools are called where the request names them, and stand in the books', async () => {
  const ask = { model: 'gpt-4.1', input: 'Which gates?' }
  const tools: OpenAI.Responses.Tool[] = [
    { type: 'web_search' },
    { type: 'file_search', vector_store_ids: ['vs_1'] },
  ]
  const types = ({ output }: OpenAI.Responses.Response): string[] => output.map(({ type }) => type)
  const called = ['web_search_call', 'web_search_call', 'file_search_call', 'message']
  expect(types(await client.responses.create({ ...ask, tools }))).toEqual(called)
  const stream = client.responses.stream({ ...ask, tools })
  const events: string[] = []
  for await (const { type } of stream) events.push(type)
  expect(types(await stream.finalResponse())).toEqual(called)
  expect(events.filter((type) => type.includes('web_search_call'))).toHaveLength(6)
  expect(types(await client.responses.create({ ...ask, tools, tool_choice: 'none' }))).toEqual(['message'])
  await client.responses.create({ ...ask, tools: [{ type: 'web_search_preview' }] })
  expect(sandbox.books().map(({ units }) => units)).toEqual([
    { webSearches: 1, fileSearches: 1 },
    { webSearches: 1, fileSearches: 1 },
    null,
    { 'webSearches/preview': 1 },
  ])
})

test('the stream has every event in order, numbered from 0, and ends with the whole response', async () => {
  const stream = await client.responses.create({
    model: 'gpt-5',
    input: 'Say: one two',
    stream: true,
    reasoning: { summary: 'auto' },
  })
  const events = []
  for await (const event of stream) events.push(event)
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i))
  const seen = events.map(({ type }) => type as string)
  const order = [...new Set(seen)]
  expect(order).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.reasoning_summary_part.added',
    'response.reasoning_summary_text.delta',
    'response.reasoning_summary_text.done',
    'response.reasoning_summary_part.done',
    'response.output_item.done',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.completed',
  ])
  const last = events.at(-1)!
  const text = events
    .map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
    .join('')
  expect(text).toBe('one two')
  expect(
    last.type === 'response.completed' && last.response.usage!.output_tokens_details.reasoning_tokens,
  ).toBe(128)
})

test('a ceiling makes the response incomplete', async () => {
  const stream = client.responses.stream({ model: 'gpt-4o', input: 'Hello', max_output_tokens: 16 })
  const response = await stream.finalResponse()
  expect(response).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
  })
  expect(response.usage!.output_tokens).toBe(16)
})

const tool = {
  type: 'function' as const,
  name: 'get_weather',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
}

test('a function tool is called, and its result is spoken of with the earlier response taken up', async () => {
  const stream = client.responses.stream({
    model: 'gpt-4o',
    input: 'The weather in Oslo please',
    tools: [tool],
  })
  const first = await stream.finalResponse()
  const call = first.output.find((item) => item.type === 'function_call')!
  expect(JSON.parse(call.arguments)).toEqual({ city: 'Oslo' })
  const second = await client.responses.create({
    model: 'gpt-4o',
    previous_response_id: first.id,
    tools: [tool],
    input: [{ type: 'function_call_output', call_id: call.call_id, output: 'rain, 9 degrees' }],
  })
  expect(second.output_text).toContain('rain, 9 degrees')
  expect(second.usage!.input_tokens).toBeGreaterThan(first.usage!.input_tokens)
})

test('structured output parses', async () => {
  const Shape = z.object({ title: z.string(), score: z.number().min(0).max(1) })
  const response = await client.responses.parse({
    model: 'gpt-4o',
    input: 'Judge this',
    text: { format: zodTextFormat(Shape, 'shape') },
  })
  expect(() => Shape.parse(response.output_parsed)).not.toThrow()
})

test('stored responses are read, replayed from an event on, listed by input, deleted', async () => {
  const made = await client.responses.create({ model: 'gpt-4o', input: 'Say: kept' })
  expect(await client.responses.retrieve(made.id)).toMatchObject({ id: made.id, output: made.output })
  expect((await client.responses.inputItems.list(made.id)).data).toHaveLength(1)
  const replay = await client.responses.retrieve(made.id, { stream: true, starting_after: 2 })
  const numbers = []
  for await (const event of replay) numbers.push(event.sequence_number)
  expect(numbers[0]).toBe(3)
  await client.responses.delete(made.id)
  expect(await failure(client.responses.retrieve(made.id))).toMatchObject({ status: 404 })
  const next = client.responses.create({ model: 'gpt-4o', input: 'x', previous_response_id: made.id })
  expect(await failure(next)).toMatchObject({ status: 400, code: 'previous_response_not_found' })
})

test('a response in the background is queued, then done, or cancelled', async () => {
  const queued = await client.responses.create({ model: 'gpt-4o', input: 'Say: later', background: true })
  expect(queued).toMatchObject({ status: 'queued', output: [] })
  expect(await client.responses.retrieve(queued.id)).toMatchObject({
    status: 'completed',
    output_text: 'later',
  })
  const other = await client.responses.create({ model: 'gpt-4o', input: 'x', background: true })
  expect((await client.responses.cancel(other.id)).status).toBe('cancelled')
  expect((await client.responses.retrieve(other.id)).status).toBe('cancelled')
})

test('a conversation is taken up and added to', async () => {
  const conversation = await client.conversations.create({
    items: [{ type: 'message', role: 'user', content: 'Earlier words' }],
  })
  await client.responses.create({ model: 'gpt-4o', input: 'Later words', conversation: conversation.id })
  const items = await client.conversations.items.list(conversation.id, { order: 'asc' })
  expect(items.data).toHaveLength(3)
  expect((await client.conversations.delete(conversation.id)).deleted).toBe(true)
})

test('over WebSocket the events are those of the stream, one response after another', async () => {
  const socket = new WebSocket(`${sandbox.url.replace('http', 'ws')}/responses`, {
    headers: { authorization: 'Bearer sk-test' },
  })
  const types: string[] = []
  const done = new Promise<void>((resolve, reject) => {
    socket.onerror = () => reject(new Error('socket failed'))
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(String(data)) as { type: string; response?: { usage: object } }
      types.push(event.type)
      if (event.type === 'error') resolve()
      if (event.type === 'response.completed')
        socket.send(JSON.stringify({ type: 'response.create', model: 'gpt-9', input: 'x' }))
    }
    socket.onopen = () =>
      socket.send(JSON.stringify({ type: 'response.create', model: 'gpt-4o', input: 'Say: over a socket' }))
  })
  await done
  socket.close()
  expect(types[0]).toBe('response.created')
  expect(types.at(-2)).toBe('response.completed')
  expect(sandbox.books().at(-1)!.usage!.output).toBe(3)
})
