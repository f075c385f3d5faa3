// Promise: what goes wrong at a provider that does not speak like OpenAI is told in OpenAI's words: status, type and code as
// its SDK knows them, our own 502 where the key is refused, a broken stream where the answer broke. No secret shows, and
// whoever leaves or reads slowly is noticed upstream.

import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { clientKey, eventually, jsonBody, promiseTests, request, startGate, upstreamKey } from './harness.ts'
import { readReply } from './message.ts'
import { dial } from './peer.ts'
import { eventStreamMessage, wires } from './provider-wire.ts'
import { chunk, eventsHead, fine, lastChunk, reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

async function setUp(provider: string, more: object = {}) {
  const upstream = ScriptedUpstream.start(fine)
  const gate = await startGate({
    upstreams: [{ name: 'main', provider, baseUrl: upstream.url, keys: [upstreamKey], ...more }],
  })
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${gate.port}/v1`, apiKey: clientKey, maxRetries: 0 })
  return { upstream, gate, client }
}

const [anthropic, google, bedrock, cohere] = await Promise.all([
  setUp('anthropic', { timeouts: { firstByte: '400ms' } }),
  setUp('google'),
  setUp('bedrock', { region: 'us-east-1' }),
  setUp('cohere'),
])
const body = { model: 'some-model', messages: [{ role: 'user' as const, content: 'Hi' }] }

type Api = InstanceType<typeof OpenAI.APIError>

async function errorOf(client: OpenAI, stream = false): Promise<Api> {
  try {
    const answer = await client.chat.completions.create({ ...body, stream })
    if (stream) for await (const _ of answer as AsyncIterable<unknown>) void _
  } catch (cause) {
    return cause as Api
  }
  throw new Error('no error came')
}

const anthropicError = (type: string, message: string) =>
  JSON.stringify({ type: 'error', error: { type, message } })
const googleError = (code: number, status: string, message: string, details: unknown[] = []) =>
  JSON.stringify({ error: { code, message, status, details } })

const cases: [name: string, at: typeof anthropic, status: number, said: string, expected: object][] = [
  [
    'a request it refuses',
    anthropic,
    400,
    anthropicError('invalid_request_error', 'max_tokens: must be positive'),
    { status: 400, type: 'invalid_request_error', code: null },
  ],
  [
    'too long for Claude',
    anthropic,
    400,
    anthropicError('invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'),
    { status: 400, code: 'context_length_exceeded' },
  ],
  [
    'no credit',
    anthropic,
    400,
    anthropicError('invalid_request_error', 'Your credit balance is too low'),
    { status: 429, code: 'insufficient_quota' },
  ],
  [
    'a right it lacks',
    anthropic,
    403,
    anthropicError('permission_error', 'no access to this model'),
    { status: 403, type: 'permission_error' },
  ],
  [
    'no such model',
    anthropic,
    404,
    anthropicError('not_found_error', 'model: some-model'),
    { status: 404, code: 'model_not_found' },
  ],
  [
    'too large',
    anthropic,
    413,
    anthropicError('request_too_large', 'too large'),
    { status: 413, code: 'request_too_large' },
  ],
  [
    'overloaded',
    anthropic,
    529,
    anthropicError('overloaded_error', 'Overloaded'),
    { status: 503, type: 'server_error', code: 'overloaded' },
  ],
  ['a page of a proxy', anthropic, 502, '<html>secret stack</html>', { status: 502, type: 'server_error' }],
  [
    'too long for Gemini',
    google,
    400,
    googleError(
      400,
      'INVALID_ARGUMENT',
      'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
    ),
    { status: 400, code: 'context_length_exceeded' },
  ],
  [
    'quota of Gemini',
    google,
    429,
    `[${googleError(429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted')}]`,
    { status: 429, code: 'rate_limit_exceeded' },
  ],
  [
    'throttled by Bedrock',
    bedrock,
    429,
    '{"message":"Too many requests, please wait before trying again."}',
    { status: 429, code: 'rate_limit_exceeded' },
  ],
  [
    'too long for Bedrock',
    bedrock,
    400,
    '{"message":"Input is too long for requested model."}',
    { status: 400, code: 'context_length_exceeded' },
  ],
  [
    'guarded by Bedrock',
    bedrock,
    400,
    '{"message":"Blocked by guardrail"}',
    { status: 400, code: 'content_filter' },
  ],
  ['the model failed', bedrock, 424, '{"message":"The model failed"}', { status: 502, type: 'server_error' }],
  [
    'refused by Cohere',
    cohere,
    422,
    '{"message":"invalid type"}',
    { status: 422, type: 'invalid_request_error' },
  ],
]

describe('errors with a status', () => {
  for (const [name, at, status, said, expected] of cases) {
    test(name, async () => {
      at.upstream.script = (_request, peer) =>
        peer.write(reply(status, said, ['retry-after: 7', 'request-id: req_9']))
      for (const stream of [false, true]) {
        const error = await errorOf(at.client, stream)
        expect(error).toBeInstanceOf(OpenAI.APIError)
        expect(error).toMatchObject(expected)
        expect(error.headers?.get('retry-after')).toBe('7')
        expect(error.message).not.toContain('secret stack')
      }
    })
  }

  test('a refused key is the operator’s affair, whatever it looks like', async () => {
    const said: [typeof anthropic, number, string][] = [
      [anthropic, 401, anthropicError('authentication_error', `invalid x-api-key ${upstreamKey}`)],
      [
        google,
        400,
        googleError(400, 'INVALID_ARGUMENT', 'API key not valid.', [{ reason: 'API_KEY_INVALID' }]),
      ],
      [bedrock, 403, '{"message":"The security token included in the request is invalid."}'],
      [cohere, 401, '{"message":"invalid api token"}'],
    ]
    for (const [at, status, text] of said) {
      at.upstream.script = (_request, peer) => peer.write(reply(status, text))
      const error = await errorOf(at.client)
      expect(error).toMatchObject({ status: 502, code: 'upstream_auth_failed' })
      expect(JSON.stringify(error.error)).not.toContain(upstreamKey)
    }
  })

  test('a key that an error quotes is taken out', async () => {
    anthropic.upstream.script = (_request, peer) =>
      peer.write(reply(400, anthropicError('invalid_request_error', `bad header ${upstreamKey}`)))
    const error = await errorOf(anthropic.client)
    expect(error.message).toContain('bad header')
    expect(error.message).not.toContain(upstreamKey.slice(0, 12))
  })

  test('redirects are not followed', async () => {
    const canary = ScriptedUpstream.start(fine)
    anthropic.upstream.script = (_request, peer) => peer.write(reply(307, '', [`Location: ${canary.url}`]))
    expect(await errorOf(anthropic.client)).toMatchObject({ status: 502, code: 'upstream_unavailable' })
    expect(canary.peers.length).toBe(0)
    canary.stop()
  })
})

describe('answers that are none', () => {
  test.each([
    ['no JSON', '{"type":"message"'],
    ['another shape', '{"hello":"world"}'],
    ['nothing', ''],
  ])('%s', async (_name, text) => {
    anthropic.upstream.script = (_request, peer) => peer.write(reply(200, text))
    const error = await errorOf(anthropic.client)
    expect(error).toMatchObject({ status: 502, code: 'upstream_unavailable' })
    expect(error.headers?.get('x-should-retry')).toBe('false')
  })

  test('silence is a time-out', async () => {
    anthropic.upstream.script = () => {}
    expect(await errorOf(anthropic.client)).toMatchObject({ status: 504, code: 'upstream_timeout' })
  })

  test('a reset is unavailable', async () => {
    anthropic.upstream.script = (_request, peer) => peer.close()
    expect(await errorOf(anthropic.client, true)).toMatchObject({ status: 502, code: 'upstream_unavailable' })
  })
})

const claude = wires['anthropic']!
const frame = (event: object): Buffer => claude.frame(JSON.stringify(event))
const start = frame({
  type: 'message_start',
  message: {
    id: 'm',
    model: 'c',
    role: 'assistant',
    content: [],
    usage: { input_tokens: 3, output_tokens: 1 },
  },
})
const textStart = frame({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })
const text = (word: string): Buffer =>
  frame({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: word } })
const ending = Buffer.concat([
  frame({ type: 'content_block_stop', index: 0 }),
  frame({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }),
  frame({ type: 'message_stop' }),
])

/** The answer to a streamed request as it came. */
async function raw(port: number, path = '/v1/chat/completions'): Promise<{ status: number; text: string }> {
  const peer = await dial(port)
  void peer.write(request('POST', path, jsonBody({ ...body, input: 'Hi', stream: true })))
  const answer = await readReply(peer)
  peer.close()
  return { status: answer.status, text: answer.body.toString() }
}

describe('streams that break', () => {
  const broken: [name: string, pieces: Buffer[], end: string | null][] = [
    ['the connection is cut', [start, textStart, text('Hello')], null],
    ['it ends without its end', [start, textStart, text('Hello')], lastChunk],
    [
      'an event is malformed',
      [start, textStart, text('Hello'), Buffer.from('event: x\ndata: {"type":\n\n'), ending],
      lastChunk,
    ],
    [
      'the provider says so',
      [start, textStart, text('Hello'), frame({ type: 'error', error: { type: 'api_error', message: 'x' } })],
      lastChunk,
    ],
  ]
  for (const [name, pieces, end] of broken) {
    test(name, async () => {
      anthropic.upstream.script = async (_request, peer) => {
        await peer.write(Buffer.concat([Buffer.from(eventsHead), ...pieces.map(chunk)]))
        if (end === null) peer.close()
        else await peer.write(end)
      }
      for (const path of ['/v1/chat/completions', '/v1/responses']) {
        const answer = await raw(anthropic.gate.port, path)
        expect(answer.status).toBe(200)
        expect(answer.text).toContain('Hello')
        expect(answer.text).toMatch(/event: error\ndata: \{"error":\{.*\}\}\n\n$/)
        expect(answer.text).not.toContain('[DONE]')
        expect(answer.text).not.toContain('response.completed')
      }
    })
  }

  test('before its first word an error is still an error with a status', async () => {
    const overloaded = frame({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } })
    for (const pieces of [[overloaded], [start, overloaded], [start, textStart, overloaded]]) {
      anthropic.upstream.script = (_request, peer) =>
        peer.write(Buffer.concat([Buffer.from(eventsHead), ...pieces.map(chunk), Buffer.from(lastChunk)]))
      expect(await errorOf(anthropic.client, true)).toMatchObject({ status: 503, code: 'overloaded' })
    }
    bedrock.upstream.script = (_request, peer) =>
      peer.write(
        reply(200, eventStreamMessage('throttlingException', '{"message":"slow down"}', 'exception'), [
          'content-type: application/vnd.amazon.eventstream',
        ]),
      )
    expect(await errorOf(bedrock.client, true)).toMatchObject({ status: 429 })
  })

  test('an empty stream is no answer', async () => {
    for (const at of [anthropic, google, cohere]) {
      at.upstream.script = (_request, peer) => peer.write(eventsHead + lastChunk)
      const { status, text: said } = await raw(at.gate.port)
      expect(said).not.toContain('[DONE]')
      expect(said).toContain('"error"')
      expect([200, 502]).toContain(status)
    }
  })
})

describe('clients that leave or dawdle', () => {
  test('a client that leaves ends the call upstream', async () => {
    let closed = false
    anthropic.upstream.script = async (_request, peer) => {
      await peer.write(
        Buffer.concat([Buffer.from(eventsHead), chunk(start), chunk(textStart), chunk(text('Hello'))]),
      )
      await eventually(() => peer.closed, 'the gate to leave')
      closed = true
    }
    const stream = await anthropic.client.chat.completions.create({ ...body, stream: true })
    for await (const event of stream) if (event.choices[0]?.delta.content === 'Hello') break
    await eventually(() => closed, 'the upstream to notice')
    expect(anthropic.gate.bugs).toEqual([])
  })

  test('a client that reads slowly slows the provider', async () => {
    const word = text('x'.repeat(16_000))
    let written = 0
    let stuck = false
    anthropic.upstream.script = async (_request, peer) => {
      await peer.write(Buffer.concat([Buffer.from(eventsHead), chunk(start), chunk(textStart)]))
      for (let round = 0; round < 4000 && !peer.closed; round++) {
        const wrote = peer.write(chunk(word))
        const late = await Promise.race([wrote.then(() => false), Bun.sleep(1500).then(() => true)])
        if (late) {
          stuck = true
          break
        }
        written += word.length
      }
    }
    const peer = await dial(anthropic.gate.port)
    void peer.write(request('POST', '/v1/chat/completions', jsonBody({ ...body, stream: true })))
    await eventually(() => peer.received.length > 0, 'the first bytes')
    peer.socket.pause()
    await eventually(() => stuck, 'the provider to be held back', 30_000)
    // Sockets' buffers and a few chunks, of 64 MB.
    expect(written).toBeLessThan(40 * 1024 * 1024)
    peer.close()
  }, 60_000)
})
