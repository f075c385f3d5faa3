import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
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

const hello = [{ role: 'user' as const, content: 'Hello there' }]
const weatherTool = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a place',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
  },
}

test('the same call gives the same words, and other words for another prompt', async () => {
  const ask = (content: string) =>
    client.chat.completions.create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content }] })
  const [one, two, other] = [await ask('Hello there'), await ask('Hello there'), await ask('Good bye')]
  expect(one.choices[0]!.message.content).toContain('Hello there')
  expect(two.choices).toEqual(one.choices)
  expect(two.id).not.toBe(one.id)
  expect(other.choices[0]!.message.content).not.toBe(one.choices[0]!.message.content)
  expect(one.model).toBe('gpt-4o-mini-2024-07-18')
  expect(one.usage!.total_tokens).toBe(one.usage!.prompt_tokens + one.usage!.completion_tokens)
})

test('a stream says what the plain answer says, and its deltas are its tokens', async () => {
  const plain = await client.chat.completions.create({ model: 'gpt-4o', messages: hello, n: 2 })
  const stream = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: hello,
    n: 2,
    stream: true,
    stream_options: { include_usage: true },
  })
  const texts = ['', '']
  let deltas = 0
  let last
  for await (const chunk of stream) {
    if (chunk.choices.length > 0) expect(chunk.usage).toBeNull()
    const [choice] = chunk.choices
    if (choice?.delta.content) {
      texts[choice.index] += choice.delta.content
      deltas++
    }
    last = chunk
  }
  expect(texts).toEqual(plain.choices.map(({ message }) => message.content ?? ''))
  expect(texts[0]).not.toBe(texts[1])
  expect(last?.choices).toEqual([])
  expect(last?.usage).toEqual(plain.usage)
  expect(deltas).toBe(plain.usage!.completion_tokens)
  const row = sandbox.books().at(-1)!
  expect(row).toMatchObject({ ended: 'complete', usageSent: true, outputSent: deltas, stream: true })
  expect(row.usage!.output).toBe(deltas)
})

test('without include_usage no chunk has a usage member', async () => {
  const response = await fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test' },
    body: JSON.stringify({ model: 'gpt-4o', messages: hello, stream: true }),
  })
  const text = await response.text()
  expect(text).toEndWith('data: [DONE]\n\n')
  expect(text).not.toContain('"usage"')
  expect(sandbox.books().at(-1)!.usageSent).toBe(false)
})

test('ceilings and stops end an answer', async () => {
  const short = await client.chat.completions.create({ model: 'gpt-4o', messages: hello, max_tokens: 5 })
  expect(short.choices[0]!.finish_reason).toBe('length')
  expect(short.usage!.completion_tokens).toBe(5)
  const stopped = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Say: one two three' }],
    stop: ['two'],
  })
  expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'one ' } })
  const exact = await client.chat.completions.create({ model: 'sandbox-tokens-321', messages: hello })
  expect(exact.usage!.completion_tokens).toBe(321)
})

test('a reasoning model spends reasoning tokens, from the ceiling too', async () => {
  const answer = await client.chat.completions.create({
    model: 'o3',
    messages: hello,
    reasoning_effort: 'low',
  })
  expect(answer.usage!.completion_tokens_details!.reasoning_tokens).toBe(64)
  const cut = await client.chat.completions.create({
    model: 'gpt-5',
    messages: hello,
    max_completion_tokens: 100,
  })
  expect(cut.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } })
  expect(cut.usage!.completion_tokens).toBe(100)
})

test('a long prompt that was seen before counts as cached', async () => {
  const messages = [{ role: 'user' as const, content: 'word '.repeat(1500) }]
  const first = await client.chat.completions.create({ model: 'gpt-4o', messages })
  const second = await client.chat.completions.create({ model: 'gpt-4o', messages })
  expect(first.usage!.prompt_tokens_details!.cached_tokens).toBe(0)
  const cached = second.usage!.prompt_tokens_details!.cached_tokens!
  expect(cached).toBeGreaterThanOrEqual(1024)
  expect(cached % 128).toBe(0)
})

test('tools: runTools calls each place in turn and ends with words about the results', async () => {
  const asked: string[] = []
  const runner = client.chat.completions.runTools({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'What is the weather in Paris and in London?' }],
    tools: [
      {
        type: 'function',
        function: {
          ...weatherTool.function,
          parse: (text: string) => JSON.parse(text) as { city: string; unit: string },
          function: (args: { city: string; unit: string }) => {
            asked.push(args.city)
            expect(args.unit).toBe('celsius')
            return `${args.city}: rain`
          },
        },
      },
    ],
  })
  const content = await runner.finalContent()
  expect(asked.sort()).toEqual(['London', 'Paris'])
  expect(content).toContain('Paris: rain')
  expect(content).toContain('London: rain')
})

test('tools: streamed arguments join to the JSON of the plain answer', async () => {
  const messages = [{ role: 'user' as const, content: 'Tell me about Oslo' }]
  const runner = client.chat.completions.stream({
    model: 'gpt-4o',
    messages,
    tools: [weatherTool],
    tool_choice: 'required',
  })
  const streamed = await runner.finalChatCompletion()
  const call = streamed.choices[0]!.message.tool_calls![0]!
  expect(streamed.choices[0]!.finish_reason).toBe('tool_calls')
  expect(call.type === 'function' && JSON.parse(call.function.arguments)).toEqual({
    city: 'Oslo',
    unit: 'celsius',
  })
  const none = await client.chat.completions.create({
    model: 'gpt-4o',
    messages,
    tools: [weatherTool],
    tool_choice: 'none',
  })
  expect(none.choices[0]!.message.tool_calls).toBeUndefined()
})

test('structured output parses by the schema it was asked with', async () => {
  const Event = z.object({
    name: z.string(),
    day: z.enum(['mon', 'tue']),
    people: z.array(z.object({ name: z.string(), age: z.int().min(18).nullable() })),
  })
  const answer = await client.chat.completions.parse({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Alice and Bob meet on Monday' }],
    response_format: zodResponseFormat(Event, 'event'),
  })
  expect(() => Event.parse(answer.choices[0]!.message.parsed)).not.toThrow()
  const json = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Answer in JSON' }],
    response_format: { type: 'json_object' },
  })
  expect(typeof JSON.parse(json.choices[0]!.message.content!)).toBe('object')
})

test('log probabilities come for each token', async () => {
  const answer = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: hello,
    logprobs: true,
    top_logprobs: 2,
    max_tokens: 4,
  })
  const content = answer.choices[0]!.logprobs!.content!
  expect(content.map(({ token }) => token).join('')).toBe(answer.choices[0]!.message.content!)
  expect(content.every(({ logprob, top_logprobs }) => logprob < 0 && top_logprobs.length === 2)).toBe(true)
})

test('stored completions are listed, changed, read and deleted', async () => {
  const made = await client.chat.completions.create({
    model: 'gpt-4o',
    messages: hello,
    store: true,
    metadata: { a: '1' },
  })
  expect((await client.chat.completions.list()).data.map(({ id }) => id)).toEqual([made.id])
  expect((await client.chat.completions.messages.list(made.id)).data[0]!.content).toBe('Hello there')
  await client.chat.completions.update(made.id, { metadata: { b: '2' } })
  expect(await client.chat.completions.retrieve(made.id)).toMatchObject({ metadata: { b: '2' } })
  await client.chat.completions.delete(made.id)
  expect(await failure(client.chat.completions.retrieve(made.id))).toMatchObject({ status: 404 })
})

const refusals: [name: string, body: object, status: number, code: string | null, param: string | null][] = [
  ['no model', { messages: hello }, 400, null, null],
  ['no messages', { model: 'gpt-4o' }, 400, 'missing_required_parameter', 'messages'],
  ['empty messages', { model: 'gpt-4o', messages: [] }, 400, 'empty_array', 'messages'],
  ['unknown model', { model: 'gpt-9', messages: hello }, 404, 'model_not_found', null],
  ['an embedding model', { model: 'text-embedding-3-small', messages: hello }, 404, null, 'model'],
  [
    'temperature',
    { model: 'gpt-4o', messages: hello, temperature: 3 },
    400,
    'decimal_above_max_value',
    'temperature',
  ],
  ['n', { model: 'gpt-4o', messages: hello, n: 0 }, 400, 'integer_below_min_value', 'n'],
  [
    'role',
    { model: 'gpt-4o', messages: [{ role: 'boss', content: '' }] },
    400,
    'invalid_value',
    'messages[0].role',
  ],
  ['max_tokens', { model: 'o3', messages: hello, max_tokens: 5 }, 400, 'unsupported_parameter', 'max_tokens'],
  ['stream_options', { model: 'gpt-4o', messages: hello, stream_options: {} }, 400, null, 'stream_options'],
  [
    'json without the word',
    { model: 'gpt-4o', messages: hello, response_format: { type: 'json_object' } },
    400,
    null,
    'messages',
  ],
  [
    'a tool out of nowhere',
    { model: 'gpt-4o', messages: [{ role: 'tool', tool_call_id: 'x', content: '' }] },
    400,
    null,
    'messages[0].role',
  ],
  ['an unknown fault', { model: 'fault-nonsense', messages: hello }, 400, 'unknown_fault', 'model'],
]
test.each(refusals)('refuses: %s', async (_name, body, status, code, param) => {
  const response = await fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test' },
    body: JSON.stringify(body),
  })
  const { error } = (await response.json()) as {
    error: { type: string; code: string | null; param: string | null; message: string }
  }
  expect({ status: response.status, code: error.code, param: error.param }).toEqual({ status, code, param })
  expect(error.type).toBe('invalid_request_error')
})

test('broken JSON is a 400 in OpenAI’s words', async () => {
  const response = await fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer k' },
    body: '{"a":',
  })
  expect(response.status).toBe(400)
  expect(await response.text()).toContain('could not parse the JSON body')
})
