// The official JavaScript client through the gateway: chat completions and the old text completions.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import type { ChatCompletionChunk, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { z } from 'zod'
import { caught, clientKey, startService } from './service.ts'

const service = await startService()
const openai = new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0 })
const model = 'gpt-4o-mini'
const say = (content: string): ChatCompletionMessageParam[] => [{ role: 'user', content }]
const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather at a place',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
}

async function collect(stream: AsyncIterable<ChatCompletionChunk>): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

const textOf = (chunks: readonly ChatCompletionChunk[], index = 0): string =>
  chunks.map(({ choices }) => choices.find((choice) => choice.index === index)?.delta.content ?? '').join('')

describe('chat.completions', () => {
  test('create answers with text and usage, and passes what it does not know', async () => {
    const body = {
      model,
      messages: say('Where is Ghent?'),
      temperature: 0.5,
      seed: 7,
      user: 'ada',
      x_unknown: { a: [1] },
    }
    const answer = await openai.chat.completions.create(body)
    expect(answer.object).toBe('chat.completion')
    expect(answer.choices[0]!.message.content).toContain('Ghent')
    expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + answer.usage!.completion_tokens)
    expect(answer._request_id).toMatch(/^req_/)
    expect(JSON.parse(Buffer.from(service.sandbox.requests[0]!.body).toString())).toEqual(body)
  })

  test('a stream says the same as the whole answer, and usage comes last where asked for', async () => {
    const whole = await openai.chat.completions.create({ model, messages: say('Tell me of rivers') })
    const options = { stream: true as const, stream_options: { include_usage: true } }
    const chunks = await collect(
      await openai.chat.completions.create({ model, messages: say('Tell me of rivers'), ...options }),
    )
    expect(textOf(chunks)).toBe(whole.choices[0]!.message.content!)
    expect(chunks.length).toBeGreaterThan(10)
    expect(chunks.at(-1)!.choices).toEqual([])
    expect(chunks.at(-1)!.usage!.completion_tokens).toBe(whole.usage!.completion_tokens)
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe('stop')
  })

  test('the stream helper gathers the final message', async () => {
    const stream = openai.chat.completions.stream({ model, messages: say('Count the lakes') })
    let deltas = ''
    stream.on('content', (delta) => (deltas += delta))
    const final = await stream.finalChatCompletion()
    expect(final.choices[0]!.message.content).toBe(deltas)
    expect(deltas).toContain('lakes')
  })

  test('tee and toReadableStream', async () => {
    const stream = await openai.chat.completions.create({
      model,
      messages: say('Twice, please'),
      stream: true,
    })
    const [left, right] = stream.tee()
    const lines = new Response(right.toReadableStream() as never).text()
    const chunks = await collect(left)
    const parsed = (await lines).trim().split('\n').map((line) => JSON.parse(line) as ChatCompletionChunk) // prettier-ignore
    expect(parsed).toEqual(chunks)
  })

  test('a stream of 2,000 tokens comes whole', async () => {
    const stream = await openai.chat.completions.create({
      model: 'sandbox-tokens-2000',
      messages: say('x'),
      stream: true,
    })
    const chunks = await collect(stream)
    expect(chunks.filter(({ choices }) => choices[0]?.delta.content).length).toBeGreaterThanOrEqual(2000)
  })

  test('200 streams at once, each its own', async () => {
    const ask = async (index: number): Promise<void> => {
      const stream = await openai.chat.completions.create({
        model: 'gpt-4o-mini',
        messages: [{ role: 'user', content: `Caller ${index} speaking` }],
        stream: true,
      })
      let text = ''
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      expect(text).toContain(`Caller ${index} speaking`)
    }
    await Promise.all(Array.from({ length: 200 }, (_, index) => ask(index)))
    expect(service.sandbox.requests).toHaveLength(200)
  })

  test('n choices, whole and streamed', async () => {
    const answer = await openai.chat.completions.create({ model, messages: say('Names?'), n: 3 })
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2])
    const chunks = await collect(
      await openai.chat.completions.create({ model, messages: say('Names?'), n: 3, stream: true }),
    )
    for (const { index, message } of answer.choices) expect(textOf(chunks, index)).toBe(message.content!)
  })

  test('logprobs', async () => {
    const answer = await openai.chat.completions.create({
      model,
      messages: say('Sure?'),
      logprobs: true,
      top_logprobs: 2,
    })
    const content = answer.choices[0]!.logprobs!.content!
    expect(content.map(({ token }) => token).join('')).toBe(answer.choices[0]!.message.content!)
    expect(content.every(({ logprob, top_logprobs }) => logprob < 0 && top_logprobs.length === 2)).toBe(true)
  })

  test('max tokens, and an answer without usage', async () => {
    const short = await openai.chat.completions.create({
      model,
      messages: say('A long one'),
      max_completion_tokens: 5,
    })
    expect(short.choices[0]!.finish_reason).toBe('length')
    const bare = await openai.chat.completions.create({
      model: `${model}+fault-no-usage`,
      messages: say('Hello'),
    })
    expect(bare.usage).toBeUndefined()
  })

  test('an image and a text in one message', async () => {
    const url = `data:image/png;base64,${Buffer.alloc(200_000, 7).toString('base64')}`
    const content = [
      { type: 'text' as const, text: 'What is this?' },
      { type: 'image_url' as const, image_url: { url } },
    ]
    const answer = await openai.chat.completions.create({ model, messages: [{ role: 'user', content }] })
    expect(answer.choices[0]!.message.content).toContain('What is this?')
    expect(service.sandbox.requests[0]!.bodyLength).toBeGreaterThan(260_000)
  })

  test('stored completions: list, retrieve, update, messages, delete', async () => {
    const made = await openai.chat.completions.create({
      model,
      messages: say('Keep this'),
      store: true,
      metadata: { a: 'b' },
    })
    const { completions } = openai.chat
    expect((await completions.retrieve(made.id)).choices).toEqual(made.choices)
    expect(await completions.update(made.id, { metadata: { a: 'c' } })).toMatchObject({
      metadata: { a: 'c' },
    })
    const listed: string[] = []
    for await (const one of completions.list({ limit: 1 })) listed.push(one.id)
    expect(listed).toEqual([made.id])
    const messages = await completions.messages.list(made.id)
    expect(messages.data.map(({ content }) => content)).toEqual(['Keep this'])
    expect(await completions.delete(made.id)).toMatchObject({ id: made.id, deleted: true })
    await caught(completions.retrieve(made.id), OpenAI.NotFoundError)
  })

  test('lists go from page to page', async () => {
    const ids = new Set<string>()
    for (let i = 0; i < 5; i++)
      ids.add((await openai.chat.completions.create({ model, messages: say(`${i}`), store: true })).id)
    const seen: string[] = []
    for await (const one of openai.chat.completions.list({ limit: 2 })) seen.push(one.id)
    expect(new Set(seen)).toEqual(ids)
    expect(service.sandbox.requests.filter(({ method }) => method === 'GET').length).toBeGreaterThanOrEqual(3)
  })
})

describe('tools and structured output', () => {
  test('several calls at once, whole and streamed', async () => {
    const ask = { model, messages: say('What is the weather in Paris and London?'), tools: [weather] }
    const calls = (await openai.chat.completions.create(ask)).choices[0]!.message.tool_calls!
    expect(calls.length).toBeGreaterThanOrEqual(2)
    const args = calls.map((call) => (call.type === 'function' ? call.function.arguments : ''))
    expect(args.map((text) => (JSON.parse(text) as { city: string }).city)).toEqual(['Paris', 'London'])

    const chunks = await collect(await openai.chat.completions.create({ ...ask, stream: true }))
    const streamed: string[] = []
    for (const { choices } of chunks)
      for (const call of choices[0]?.delta.tool_calls ?? [])
        streamed[call.index] = (streamed[call.index] ?? '') + (call.function?.arguments ?? '')
    expect(streamed).toEqual(args)
  })

  test('parallel_tool_calls: false gives one, tool_choice names it', async () => {
    const ask = { model, messages: say('Weather in Paris and London'), tools: [weather] }
    const one = await openai.chat.completions.create({ ...ask, parallel_tool_calls: false })
    expect(one.choices[0]!.message.tool_calls).toHaveLength(1)
    const named = { type: 'function' as const, function: { name: 'get_weather' } }
    const forced = await openai.chat.completions.create({
      ...ask,
      messages: say('Hello'),
      tool_choice: named,
    })
    expect(forced.choices[0]!.message.tool_calls).toHaveLength(1)
  })

  test('runTools goes round until the model has its answer', async () => {
    const asked: string[] = []
    const runner = openai.chat.completions.runTools({
      model,
      messages: say('What is the weather in Oslo?'),
      tools: [
        {
          type: 'function',
          function: {
            ...weather.function,
            parse: JSON.parse as (text: string) => { city: string },
            function: ({ city }: { city: string }) => {
              asked.push(city)
              return `12 degrees in ${city}`
            },
          },
        },
      ],
    })
    expect(await runner.finalContent()).toContain('12 degrees in Oslo')
    expect(asked).toEqual(['Oslo'])
    expect(service.sandbox.requests).toHaveLength(2)
  })

  test('parse gives values of a schema, and arguments of a tool', async () => {
    const shape = z.object({ city: z.string(), degrees: z.number(), windy: z.boolean() })
    const parsed = await openai.chat.completions.parse({
      model,
      messages: say('Report'),
      response_format: zodResponseFormat(shape, 'report'),
    })
    expect(() => shape.parse(parsed.choices[0]!.message.parsed)).not.toThrow()
    const tool = zodFunction({ name: 'get_report', parameters: z.object({ city: z.string() }) })
    const called = await openai.chat.completions.parse({
      model,
      messages: say('A report on Rome'),
      tools: [tool],
    })
    const call = called.choices[0]!.message.tool_calls![0]!
    expect(typeof (call.function.parsed_arguments as { city: string }).city).toBe('string')
  })

  test('json_object', async () => {
    const answer = await openai.chat.completions.create({
      model,
      messages: say('As JSON'),
      response_format: { type: 'json_object' },
    })
    expect(typeof JSON.parse(answer.choices[0]!.message.content!)).toBe('object')
  })
})

describe('completions', () => {
  test('whole and streamed', async () => {
    const ask = { model: 'gpt-3.5-turbo-instruct', prompt: 'Once upon a time', max_tokens: 30 }
    const whole = await openai.completions.create(ask)
    let text = ''
    for await (const chunk of await openai.completions.create({ ...ask, stream: true }))
      text += chunk.choices[0]?.text ?? ''
    expect(text).toBe(whole.choices[0]!.text)
    expect(text).not.toBe('')
    expect(whole.usage!.completion_tokens).toBeGreaterThan(0)
  })
})
