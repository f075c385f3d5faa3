// Promise: what an application asks of OpenAI is put into the provider's own words, and the answer back into OpenAI's: tools
// there and back, pictures, structured output, reasoning, usage with what came from the cache. What a provider has nothing
// for is left out and named, or refused, as configured; a URL is never fetched here.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { clientKey, promiseTests, startGate, upstreamKey, type ConfigTree } from './harness.ts'
import { wires } from './provider-wire.ts'
import { chunk, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

interface Setting {
  readonly client: OpenAI
  readonly upstream: ScriptedUpstream
  readonly port: number
  /** The last request's body as the provider saw it. */
  readonly seen: () => any
}

async function setUp(provider: string, more: ConfigTree = {}): Promise<Setting> {
  const upstream = ScriptedUpstream.start(fine)
  const { port } = await startGate({
    upstreams: [{ name: 'main', provider, baseUrl: upstream.url, keys: [upstreamKey], ...more }],
  })
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: clientKey, maxRetries: 0 })
  return { client, upstream, port, seen: () => JSON.parse(upstream.last.body.toString()) }
}

/** A whole answer of Anthropic's. */
function message(content: unknown[], more: object = {}): Buffer {
  return reply(
    200,
    JSON.stringify({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5-20250929',
      content,
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        output_tokens: 5,
        cache_read_input_tokens: 30,
        cache_creation_input_tokens: 2,
      },
      ...more,
    }),
    ['request-id: req_provider', 'anthropic-ratelimit-requests-remaining: 41'],
  )
}

const model = 'claude-sonnet-4-5'
const weather = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
}
const tools: OpenAI.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'weather', description: 'Weather of a city', parameters: weather } },
]

const claudeGate = await setUp('anthropic')

describe('anthropic', () => {
  const { client, upstream, seen, port } = claudeGate

  test('a whole answer, with usage in which input holds what came from the cache', async () => {
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'Hello' }]))
    const { data, response } = await client.chat.completions
      .create({
        model,
        max_completion_tokens: 100,
        stop: ['END'],
        messages: [
          { role: 'developer', content: 'Be short.' },
          { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
          { role: 'system', content: 'In English.' },
        ],
      })
      .withResponse()
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'claude-sonnet-4-5-20250929',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello' } }],
      usage: {
        prompt_tokens: 42,
        completion_tokens: 5,
        total_tokens: 47,
        prompt_tokens_details: { cached_tokens: 30 },
      },
    })
    expect(data.id).toStartWith('chatcmpl-')
    expect(Math.abs(data.created - Date.now() / 1000)).toBeLessThan(60)
    expect(response.headers.get('x-request-id')).toBe('req_provider')
    expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('41')
    expect(response.headers.get('x-headgate-dropped')).toBeNull()
    expect(upstream.last.target).toBe('/v1/messages')
    expect(upstream.last.header('x-api-key')).toBe(upstreamKey)
    expect(upstream.last.header('authorization')).toBeNull()
    expect(seen()).toMatchObject({
      model,
      max_tokens: 100,
      stop_sequences: ['END'],
      system: [
        { type: 'text', text: 'Be short.' },
        { type: 'text', text: 'In English.' },
      ],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
    })
  })

  test('tools there and back, in parallel', async () => {
    upstream.script = (_request, peer) =>
      peer.write(
        message(
          [
            { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Rome' } },
            { type: 'tool_use', id: 'toolu_2', name: 'weather', input: { city: 'Oslo' } },
          ],
          { stop_reason: 'tool_use' },
        ),
      )
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Weather?' }]
    const first = await client.chat.completions.create({
      model,
      messages,
      tools,
      tool_choice: 'required',
      parallel_tool_calls: false,
    })
    expect(seen()).toMatchObject({
      tools: [{ name: 'weather', description: 'Weather of a city', input_schema: weather }],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
    })
    const answer = first.choices[0]!
    expect(answer.finish_reason).toBe('tool_calls')
    expect(answer.message.content).toBeNull()
    expect(answer.message.tool_calls).toEqual([
      { id: 'toolu_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
      { id: 'toolu_2', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
    ])
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'Sun and snow.' }]))
    await client.chat.completions.create({
      model,
      tools,
      messages: [
        ...messages,
        answer.message,
        { role: 'tool', tool_call_id: 'toolu_1', content: 'sun' },
        { role: 'tool', tool_call_id: 'toolu_2', content: [{ type: 'text', text: 'snow' }] },
      ],
    })
    expect(seen().messages.slice(1)).toMatchObject([
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Rome' } },
          { type: 'tool_use', id: 'toolu_2', name: 'weather', input: { city: 'Oslo' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: 'sun' },
          { type: 'tool_result', tool_use_id: 'toolu_2', content: 'snow' },
        ],
      },
    ])
  })

  test('pictures: data as data, a URL as a URL', async () => {
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'A dot.' }]))
    const pixel =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
    await client.chat.completions.create({
      model,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
            { type: 'image_url', image_url: { url: 'https://pictures.test/a.png' } },
          ],
        },
      ],
    })
    expect(seen().messages[0].content).toMatchObject([
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
      { type: 'image', source: { type: 'url', url: 'https://pictures.test/a.png' } },
    ])
    const sound = client.chat.completions.create({
      model,
      messages: [
        { role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }] },
      ],
    })
    const refused = await sound.catch((cause: unknown) => cause as InstanceType<typeof OpenAI.APIError>)
    expect(refused).toMatchObject({ status: 400, param: 'messages[0].content[0].input_audio' })
  })

  test('structured output', async () => {
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: '{"city":"Rome"}' }]))
    const answer = await client.chat.completions.parse({
      model,
      messages: [{ role: 'user', content: 'Where?' }],
      response_format: { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: weather } },
    })
    expect(answer.choices[0]!.message.parsed as unknown).toEqual({ city: 'Rome' })
    expect(seen().output_config.format).toMatchObject({ type: 'json_schema', schema: { required: ['city'] } })
  })

  test('reasoning goes out as effort and comes back signed, and is taken back', async () => {
    upstream.script = (_request, peer) =>
      peer.write(
        message([
          { type: 'thinking', thinking: 'Hm.', signature: 'c2lnbmVk' },
          { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Rome' } },
        ]),
      )
    const tool: OpenAI.Responses.FunctionTool = {
      type: 'function',
      name: 'weather',
      parameters: weather,
      strict: false,
    }
    const first = await client.responses.create({
      model,
      input: 'Weather in Rome?',
      tools: [tool],
      reasoning: { effort: 'high' },
    })
    expect(seen().thinking).toMatchObject({ type: 'enabled' })
    expect(first.output).toMatchObject([
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }] },
      { type: 'function_call', call_id: 'toolu_1', name: 'weather', arguments: '{"city":"Rome"}' },
    ])
    expect(first.usage).toMatchObject({
      input_tokens: 42,
      input_tokens_details: { cached_tokens: 30 },
      output_tokens: 5,
    })
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'Sun.' }]))
    const second = await client.responses.create({
      model,
      tools: [tool],
      reasoning: { effort: 'high' },
      input: [
        { role: 'user', content: 'Weather in Rome?' },
        ...(first.output as OpenAI.Responses.ResponseInputItem[]),
        { type: 'function_call_output', call_id: 'toolu_1', output: 'sun' },
      ],
    })
    expect(second.output_text).toBe('Sun.')
    expect(seen().messages[1].content).toMatchObject([
      { type: 'thinking', thinking: 'Hm.', signature: 'c2lnbmVk' },
      { type: 'tool_use', id: 'toolu_1' },
    ])
  })

  test('on the chat wire there is no place for signed reasoning: a turn amid tools goes on without', async () => {
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'Sun.' }]))
    const { response } = await client.chat.completions
      .create({
        model,
        tools,
        reasoning_effort: 'high',
        messages: [
          { role: 'user', content: 'Weather in Rome?' },
          {
            role: 'assistant',
            tool_calls: [{ id: 'toolu_1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
          },
          { role: 'tool', tool_call_id: 'toolu_1', content: 'sun' },
        ],
      })
      .withResponse()
    expect(seen().thinking).toBeUndefined()
    expect(response.headers.get('x-headgate-dropped')).toBe('reasoning_effort')
  })

  test('what it has nothing for is left out and named; what changes nothing is not', async () => {
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'Hello' }]))
    const { response } = await client.chat.completions
      .create({
        model,
        messages: [{ role: 'user', content: 'Hi' }],
        logit_bias: { 50256: -100 },
        seed: 7,
        temperature: 1.7,
        n: 1,
        user: 'u',
        store: false,
        service_tier: 'auto',
      })
      .withResponse()
    expect(response.headers.get('x-headgate-dropped')).toBe('logit_bias, seed, temperature')
    const { response: responses } = await client.responses
      .create({ model, input: 'Hi', tools: [{ type: 'web_search' }], truncation: 'auto' })
      .withResponse()
    expect(responses.headers.get('x-headgate-dropped')).toBe('truncation, tools.web_search')
  })

  test('what a conversation hangs on is refused, never left out', async () => {
    const asked = upstream.requests.length
    for (const more of [
      { previous_response_id: 'resp_1' },
      { conversation: 'conv_1' },
      { background: true },
    ]) {
      const refused = await client.responses
        .create({ model, input: 'Hi', ...more })
        .catch((cause: unknown) => cause)
      expect(refused).toMatchObject({ status: 400, param: Object.keys(more)[0] })
    }
    expect(upstream.requests.length).toBe(asked)
  })

  test('an endpoint that it does not have says which ones it has', async () => {
    const refused = await client.embeddings.create({ model, input: 'Hi' }).catch((cause: unknown) => cause)
    expect(refused).toMatchObject({ status: 404, code: 'not_found' })
    expect(String(refused)).toContain('POST /v1/chat/completions, /v1/responses.')
    expect(await client.models.list().catch((cause: unknown) => cause)).toMatchObject({ status: 404 })
  })

  test('odd requests are refused with their place, and never reach the provider', async () => {
    const asked = upstream.requests.length
    const post = async (body: unknown) => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${clientKey}`, 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
      return {
        status: answer.status,
        ...((await answer.json()) as { error: { param: string | null } }).error,
      }
    }
    const user = [{ role: 'user', content: 'Hi' }]
    const odd: [unknown, string | null][] = [
      ['{"model":', null],
      [[], null],
      [{ messages: user }, 'model'],
      [{ model, messages: [] }, 'messages'],
      [{ model, messages: 'Hi' }, 'messages'],
      [{ model, messages: [null] }, 'messages[0].role'],
      [{ model, messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
      [{ model, messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text'],
      [
        { model, messages: [...user, { role: 'tool', tool_call_id: 'x', content: '' }] },
        'messages[1].tool_call_id',
      ],
      [
        {
          model,
          messages: [
            { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{' } }] },
          ],
        },
        'messages[0].tool_calls[0].function.arguments',
      ],
      [
        {
          model,
          messages: [
            { role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] },
          ],
        },
        'messages[0].content[0].image_url',
      ],
      [{ model, messages: user, temperature: 'hot' }, 'temperature'],
      [{ model, messages: user, max_tokens: -1 }, 'max_tokens'],
      [{ model, messages: user, tools: {} }, 'tools'],
      [
        { model, messages: user, tools, tool_choice: { type: 'function', function: { name: 'no' } } },
        'tool_choice',
      ],
      [{ model, messages: user, response_format: { type: 'xml' } }, 'response_format'],
      [{ model, messages: user, reasoning_effort: 'huge' }, 'reasoning_effort'],
    ]
    for (const [body, param] of odd) expect(await post(body)).toMatchObject({ status: 400, param })
    for (const name of ['../../admin', 'a/../b', 'a?b=c', 'a#b', '/x', 'a b', 'x'.repeat(600), 'é'])
      expect([name, await post({ model: name, messages: user })]).toMatchObject([
        name,
        { status: 404, param: 'model' },
      ])
    expect(upstream.requests.length).toBe(asked)
  })
})

const strictGate = await setUp('anthropic', { unsupported: 'refuse' })

describe('refusing instead of leaving out', () => {
  const { client, upstream } = strictGate
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hi' }]

  test('names the parameter, and asks nobody', async () => {
    const refused = await client.chat.completions
      .create({ model, messages, logit_bias: { 1: 1 } })
      .catch((cause: unknown) => cause)
    expect(refused).toMatchObject({ status: 400, param: 'logit_bias' })
    expect(upstream.requests.length).toBe(0)
  })

  test('also what only the provider package knows of: before anything is sent', async () => {
    upstream.script = (_request, peer) => peer.write(message([{ type: 'text', text: 'Hello' }]))
    for (const stream of [false, true]) {
      const refused = await client.chat.completions
        .create({ model, messages, temperature: 1.7, stream })
        .catch((cause: unknown) => cause)
      expect(refused).toMatchObject({ status: 400, param: 'temperature' })
    }
    const responses = await client.responses
      .create({ model, input: 'Hi', temperature: 1.7 })
      .catch((cause: unknown) => cause)
    expect(responses).toMatchObject({ status: 400, param: 'temperature' })
    expect(upstream.requests.length).toBe(0)
    const taken = await client.chat.completions.create({ model, messages, temperature: 0.7 })
    expect(taken.choices[0]!.message.content).toBe('Hello')
    expect(upstream.requests.length).toBe(1)
  })
})

const geminiGate = await setUp('google')
const gemini = 'gemini-3-pro-preview'
const answer = (parts: unknown[]) =>
  reply(
    200,
    JSON.stringify({
      candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', index: 0 }],
      usageMetadata: {
        promptTokenCount: 20,
        cachedContentTokenCount: 12,
        candidatesTokenCount: 4,
        thoughtsTokenCount: 6,
        totalTokenCount: 30,
      },
      modelVersion: gemini,
      responseId: 'r',
    }),
  )

describe('google', () => {
  const { client, upstream, seen } = geminiGate

  test('thoughts, usage, and the signature of a tool call there and back', async () => {
    upstream.script = (_request, peer) =>
      peer.write(
        answer([
          { text: 'Hm.', thought: true },
          { functionCall: { name: 'weather', args: { city: 'Rome' } }, thoughtSignature: 'c2lnbmVk' },
        ]),
      )
    const first = await client.chat.completions.create({
      model: gemini,
      messages: [{ role: 'user', content: 'Weather in Rome?' }],
      tools,
      reasoning_effort: 'low',
    })
    expect(upstream.last.target).toBe(`/v1/models/${gemini}:generateContent`)
    expect(upstream.last.header('x-goog-api-key')).toBe(upstreamKey)
    expect(seen().generationConfig.thinkingConfig).toEqual({ includeThoughts: true, thinkingLevel: 'low' })
    expect(first.usage).toMatchObject({
      prompt_tokens: 20,
      completion_tokens: 10,
      prompt_tokens_details: { cached_tokens: 12 },
      completion_tokens_details: { reasoning_tokens: 6 },
    })
    const said = first.choices[0]!.message
    expect(said).toMatchObject({ reasoning_content: 'Hm.' })
    const id = said.tool_calls![0]!.id
    upstream.script = (_request, peer) => peer.write(answer([{ text: 'Sun.' }]))
    await client.chat.completions.create({
      model: gemini,
      tools,
      messages: [
        { role: 'user', content: 'Weather in Rome?' },
        said,
        { role: 'tool', tool_call_id: id, content: 'sun' },
      ],
    })
    expect(seen().contents[1]).toMatchObject({
      role: 'model',
      parts: [{ functionCall: { name: 'weather' }, thoughtSignature: 'c2lnbmVk' }],
    })
    expect(seen().contents[2].parts[0].functionResponse).toMatchObject({ name: 'weather' })
  })

  test('a picture in the answer', async () => {
    upstream.script = (_request, peer) =>
      peer.write(answer([{ inlineData: { mimeType: 'image/png', data: 'AAAA' } }]))
    const chat = await client.chat.completions.create({
      model: gemini,
      messages: [{ role: 'user', content: 'Draw' }],
    })
    expect(chat.choices[0]!.message).toMatchObject({
      images: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }],
    })
    const drawn = await client.responses.create({ model: gemini, input: 'Draw' })
    expect(drawn.output).toMatchObject([
      { type: 'image_generation_call', result: 'AAAA', status: 'completed' },
    ])
  })

  test('a URL that it does not fetch is refused, and nobody fetches it', async () => {
    const canary = ScriptedUpstream.start(fine)
    const refused = await client.chat.completions
      .create({
        model: 'gemini-1.5-pro',
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: `${canary.url}/a.png` } }] },
        ],
      })
      .catch((cause: unknown) => cause)
    expect(refused).toMatchObject({ status: 400, param: 'messages[0].content[0].image_url' })
    // In a tool's result too, where the package would fetch it.
    const inResult = await client.responses
      .create({
        model: gemini,
        input: [
          { role: 'user', content: 'Look' },
          { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' },
          {
            type: 'function_call_output',
            call_id: 'c',
            output: [
              {
                type: 'input_image',
                image_url: `${canary.url.replace('http:', 'https:')}/a.png`,
                detail: 'auto',
              },
            ],
          },
        ],
      })
      .catch((cause: unknown) => cause)
    expect(inResult).toMatchObject({ status: 400 })
    expect(canary.peers.length).toBe(0)
    canary.stop()
  })

  test('embeddings, as numbers and as the official client asks for them', async () => {
    upstream.script = (_request, peer) =>
      peer.write(reply(200, JSON.stringify({ embeddings: [{ values: [0.5, -0.25] }, { values: [1, 2] }] })))
    const made = await client.embeddings.create({
      model: 'gemini-embedding-001',
      input: ['a', 'b'],
      dimensions: 2,
    })
    expect(made.data.map(({ embedding }) => embedding)).toEqual([
      [0.5, -0.25],
      [1, 2],
    ])
    expect(seen().requests[0]).toMatchObject({ outputDimensionality: 2 })
    const plain = await client.embeddings.create({
      model: 'gemini-embedding-001',
      input: ['a', 'b'],
      encoding_format: 'float',
    })
    expect(plain.data[1]!.embedding).toEqual([1, 2])
    const tokens = client.embeddings.create({ model: 'gemini-embedding-001', input: [1, 2, 3] })
    expect(await tokens.catch((cause: unknown) => cause)).toMatchObject({ status: 400, param: 'input' })
  })
})

const secretKey = 'aws-secret-canary-0123456789abcdef0123456789'
const bedrockGate = await setUp('bedrock', {
  keys: [],
  region: 'eu-central-1',
  accessKeyId: 'test-access-id',
  secretAccessKey: secretKey,
  sessionToken: 'aws-session-token-0123456789',
})

describe('bedrock', () => {
  const { client, upstream, seen } = bedrockGate

  test('requests are signed for their region, and the secret stays here', async () => {
    upstream.script = (_request, peer) =>
      peer.write(
        reply(
          200,
          JSON.stringify({
            output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } },
            stopReason: 'end_turn',
            usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5, cacheReadInputTokens: 4 },
          }),
          ['x-amzn-requestid: aws-1'],
        ),
      )
    const { data, response } = await client.chat.completions
      .create({
        model: 'anthropic.claude-3-haiku-20240307-v1:0',
        messages: [{ role: 'user', content: 'Hi' }],
      })
      .withResponse()
    expect(data.choices[0]!.message.content).toBe('Hello')
    expect(data.usage).toMatchObject({ prompt_tokens: 7, prompt_tokens_details: { cached_tokens: 4 } })
    expect(response.headers.get('x-request-id')).toBe('aws-1')
    expect(upstream.last.target).toBe('/v1/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse')
    expect(upstream.last.header('authorization')).toMatch(
      /^AWS4-HMAC-SHA256 Credential=test-access-id\/\d{8}\/eu-central-1\/bedrock\/aws4_request/,
    )
    expect(upstream.last.header('x-amz-security-token')).toBe('aws-session-token-0123456789')
    expect(upstream.last.raw.includes(secretKey)).toBe(false)
    expect(seen().messages).toEqual([{ role: 'user', content: [{ text: 'Hi' }] }])
  })
})

const vertexGate = await setUp('vertex', {
  keys: [],
  project: 'acme-1',
  token: { command: 'echo vertex-token-0123456789' },
})

describe('vertex', () => {
  const { client, upstream, seen } = vertexGate

  test('Gemini by its token and path', async () => {
    upstream.script = (_request, peer) =>
      peer.write(
        reply(
          200,
          JSON.stringify({
            candidates: [{ content: { role: 'model', parts: [{ text: 'Hello' }] }, finishReason: 'STOP' }],
            usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
          }),
        ),
      )
    const answer = await client.chat.completions.create({
      model: 'gemini-2.5-pro',
      messages: [{ role: 'user', content: 'Hi' }],
      reasoning_effort: 'low',
    })
    expect(answer.choices[0]!.message.content).toBe('Hello')
    expect(upstream.last.target).toBe('/v1/publishers/google/models/gemini-2.5-pro:generateContent')
    expect(upstream.last.header('authorization')).toBe('Bearer vertex-token-0123456789')
    expect(upstream.last.header('x-goog-api-key')).toBeNull()
    expect(seen().generationConfig.thinkingConfig).toMatchObject({ includeThoughts: true })
  })

  test('Claude by its own path, streamed', async () => {
    const wire = wires['anthropic']!
    upstream.script = (_request, peer) =>
      peer.write(
        Buffer.concat([
          Buffer.from(
            'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
          ),
          ...[
            {
              type: 'message_start',
              message: {
                id: 'm',
                model: 'claude-sonnet-4-5',
                role: 'assistant',
                content: [],
                usage: { input_tokens: 3, output_tokens: 1 },
              },
            },
            { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
            { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
            { type: 'content_block_stop', index: 0 },
            { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } },
            { type: 'message_stop' },
          ].map((event) => chunk(wire.frame(JSON.stringify(event)))),
          Buffer.from(lastChunk),
        ]),
      )
    const stream = client.chat.completions.stream({
      model: 'claude-sonnet-4-5@20250929',
      messages: [{ role: 'user', content: 'Hi' }],
    })
    expect((await stream.finalChatCompletion()).choices[0]!.message.content).toBe('Hello')
    expect(upstream.last.target).toBe(
      '/v1/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict',
    )
    expect(seen()).toMatchObject({ anthropic_version: 'vertex-2023-10-16', stream: true })
    expect(seen().model).toBeUndefined()
  })
})
