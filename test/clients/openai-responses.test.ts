// The official JavaScript client through the gateway: the Responses API over HTTP, and conversations.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { z } from 'zod'
import { caught, clientKey, startService } from './service.ts'

const service = await startService()
const openai = new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0 })
const model = 'gpt-4o-mini'
const weather = {
  type: 'function' as const,
  name: 'get_weather',
  description: 'The weather at a place',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
}

async function collect(stream: AsyncIterable<ResponseStreamEvent>): Promise<ResponseStreamEvent[]> {
  const events: ResponseStreamEvent[] = []
  for await (const event of stream) events.push(event)
  return events
}

const textOf = (events: readonly ResponseStreamEvent[]): string =>
  events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')

describe('responses', () => {
  test('create, retrieve, input items, delete', async () => {
    const made = await openai.responses.create({
      model,
      input: 'What is a polder?',
      instructions: 'Be brief',
    })
    expect(made.status).toBe('completed')
    expect(made.output_text).toContain('polder')
    expect(made.usage!.total_tokens).toBeGreaterThan(0)
    expect(made._request_id).toMatch(/^req_/)
    const again = await openai.responses.retrieve(made.id)
    expect(again.output_text).toBe(made.output_text)
    const items: string[] = []
    for await (const item of openai.responses.inputItems.list(made.id)) items.push(JSON.stringify(item))
    expect(items).toHaveLength(1)
    expect(items[0]).toContain('What is a polder?')
    await openai.responses.delete(made.id)
    await caught(openai.responses.retrieve(made.id), OpenAI.NotFoundError)
  })

  test('a stream has every event in order and says the same', async () => {
    const whole = await openai.responses.create({ model, input: 'Bridges' })
    const events = await collect(await openai.responses.create({ model, input: 'Bridges', stream: true }))
    expect(textOf(events)).toBe(whole.output_text)
    expect(events[0]!.type).toBe('response.created')
    expect(events.at(-1)!.type).toBe('response.completed')
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index))
  })

  test('the stream helper gathers the final response', async () => {
    const stream = openai.responses.stream({ model, input: 'Canals' })
    let deltas = ''
    stream.on('response.output_text.delta', ({ delta }) => (deltas += delta))
    const final = await stream.finalResponse()
    expect(final.output_text).toBe(deltas)
    expect(deltas).toContain('Canals')
  })

  test('a stored response is streamed again, from where one left off', async () => {
    const made = await openai.responses.create({ model, input: 'Dykes' })
    const all = await collect(await openai.responses.retrieve(made.id, { stream: true }))
    expect(textOf(all)).toBe(made.output_text)
    const rest = await collect(await openai.responses.retrieve(made.id, { stream: true, starting_after: 4 }))
    expect(rest.map(({ type }) => type)).toEqual(all.slice(5).map(({ type }) => type))
  })

  test('a response goes on from the one before', async () => {
    const first = await openai.responses.create({ model, input: 'My name is Ada' })
    const next = await openai.responses.create({ model, input: 'And now?', previous_response_id: first.id })
    expect(next.previous_response_id).toBe(first.id)
    const lost = await caught(
      openai.responses.create({ model, input: 'x', previous_response_id: 'resp_lost' }),
      OpenAI.APIError,
    )
    expect([400, 404]).toContain(lost.status)
  })

  test('in the background: queued, then done, or cancelled', async () => {
    const made = await openai.responses.create({ model, input: 'Take your time', background: true })
    expect(made.status).toBe('queued')
    expect((await openai.responses.retrieve(made.id)).status).toBe('completed')
    const other = await openai.responses.create({ model, input: 'Never mind', background: true })
    expect((await openai.responses.cancel(other.id)).status).toBe('cancelled')
    await caught(
      openai.responses.cancel((await openai.responses.create({ model, input: 'x' })).id),
      OpenAI.BadRequestError,
    )
  })

  test('tools there and back, whole and streamed', async () => {
    const ask = { model, input: 'What is the weather in Paris and London?', tools: [weather] }
    const made = await openai.responses.create(ask)
    const calls = made.output.filter((item) => item.type === 'function_call')
    expect(calls.map((call) => (JSON.parse(call.arguments) as { city: string }).city)).toEqual([
      'Paris',
      'London',
    ])
    const outputs = calls.map((call) => ({
      type: 'function_call_output' as const,
      call_id: call.call_id,
      output: 'rain',
    }))
    const answer = await openai.responses.create({
      model,
      input: outputs,
      previous_response_id: made.id,
      tools: [weather],
    })
    expect(answer.output_text).toContain('rain')
    const events = await collect(await openai.responses.create({ ...ask, stream: true }))
    const done = events.filter((event) => event.type === 'response.function_call_arguments.done')
    expect(done.map((event) => event.arguments)).toEqual(calls.map((call) => call.arguments))
  })

  test('parse gives values of a schema', async () => {
    const shape = z.object({ title: z.string(), pages: z.number() })
    const parsed = await openai.responses.parse({
      model,
      input: 'A book',
      text: { format: zodTextFormat(shape, 'book') },
    })
    expect(() => shape.parse(parsed.output_parsed)).not.toThrow()
  })

  test('reasoning models report reasoning tokens', async () => {
    const made = await openai.responses.create({
      model: 'gpt-5-mini',
      input: 'Think',
      reasoning: { effort: 'low' },
    })
    expect(made.usage!.output_tokens_details.reasoning_tokens).toBeGreaterThan(0)
    expect(made.output_text).not.toBe('')
  })

  test('input tokens are counted', async () => {
    const counted = await openai.responses.inputTokens.count({ model, input: 'one two three' })
    expect(counted.input_tokens).toBeGreaterThan(0)
  })
})

describe('conversations', () => {
  test('create, items, a response in it, delete', async () => {
    const conversation = await openai.conversations.create({
      items: [{ type: 'message', role: 'user', content: 'Hello' }],
      metadata: { topic: 'sea' },
    })
    expect((await openai.conversations.retrieve(conversation.id)).metadata).toEqual({ topic: 'sea' })
    expect(
      (await openai.conversations.update(conversation.id, { metadata: { topic: 'lake' } })).metadata,
    ).toEqual({ topic: 'lake' })
    const { items } = openai.conversations
    const added = await items.create(conversation.id, {
      items: [{ type: 'message', role: 'user', content: 'More' }],
    })
    expect(added.data).toHaveLength(1)
    const listed = await items.list(conversation.id)
    expect(listed.data).toHaveLength(2)
    const id = added.data[0]!.id!
    expect((await items.retrieve(id, { conversation_id: conversation.id })).id).toBe(id)
    await items.delete(id, { conversation_id: conversation.id })
    await caught(items.retrieve(id, { conversation_id: conversation.id }), OpenAI.NotFoundError)
    expect((await openai.conversations.delete(conversation.id)).deleted).toBe(true)
  })
})
