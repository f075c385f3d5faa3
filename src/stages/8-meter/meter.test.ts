import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock } from '../../base/clock.ts'
import { Exchange } from '../../exchange.ts'
import type { Reply, Tap } from '../../exchange.ts'
import type { Body } from '../../net/wire/message.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { findEndpoint } from '../../openai/endpoints.ts'
import { lastFrameEnd } from '../../openai/sse.ts'
import { createMeter } from './meter.ts'

const data = process.env['HEADGATE_TEST_DATA'] ?? resolve(import.meta.dir, '../../../../shared/data')
const streams = join(data, 'streams')
const meter = createMeter({ clock: systemClock })

function exchange(method = 'POST', path = '/v1/chat/completions'): Exchange {
  const request = {
    method,
    path,
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '127.0.0.1',
    upgrade: null,
  }
  const x = new Exchange('hgr_1', request, systemClock)
  x.endpoint = findEndpoint(method, path)
  return x
}

function body(whole: Uint8Array | null): Body {
  const unused = () => {}
  return { length: whole?.length ?? -1, whole, start: unused, pause: unused, resume: unused, abort: unused }
}

function reply(contentType: string, whole: Uint8Array | null = null, status = 200): Reply {
  return { status, headerLines: '', dated: false, contentType, body: body(whole), tunnel: null }
}

function tapOf(x: Exchange, contentType: string): Tap {
  const taps = meter.tap(x, reply(contentType))
  expect(taps.length).toBe(1)
  return taps[0]!
}

const answer = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o-mini-2024-07-18',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Say "usage":{"prompt_tokens":7}' },
      finish_reason: 'stop',
    },
  ],
  usage: {
    prompt_tokens: 19,
    completion_tokens: 10,
    total_tokens: 29,
    prompt_tokens_details: { cached_tokens: 3 },
  },
  system_fingerprint: 'fp_1',
}
const counted = {
  input: 19,
  cachedInput: 3,
  cacheWrite: 0,
  output: 10,
  reasoning: 0,
  audioInput: 0,
  audioOutput: 0,
  cachedAudio: 0,
  imageInput: 0,
  imageOutput: 0,
  cachedImage: 0,
  acceptedPrediction: 0,
  rejectedPrediction: 0,
  total: 29,
}
const bytes = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const frame = (value: unknown): Uint8Array =>
  bytes(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)

describe('JSON answers', () => {
  test('one that is here whole is read at once and needs no tap', () => {
    const x = exchange()
    expect(meter.tap(x, reply('application/json', bytes(answer)))).toEqual([])
    expect(x.usage).toEqual(counted)
    expect(x.answeredModel).toBe('gpt-4o-mini-2024-07-18')
  })

  test('one that comes in pieces is read at its end, and passes unchanged', () => {
    const text = bytes(answer)
    for (const size of [1, 7, 100, 1000]) {
      const x = exchange()
      const tap = tapOf(x, 'application/json; charset=utf-8')
      for (let at = 0; at < text.length; at += size) {
        const piece = text.subarray(at, at + size)
        expect(tap.chunk(piece)).toBe(piece)
      }
      expect(x.usage).toBeNull()
      expect(tap.end()).toBeNull()
      expect(x.usage).toEqual(counted)
      expect(x.answeredModel).toBe('gpt-4o-mini-2024-07-18')
    }
  })

  test('megabytes of embeddings, whole and in pieces', () => {
    const vector = Array.from({ length: 1536 }, (_, index) => index / 7)
    const list = {
      object: 'list',
      data: Array.from({ length: 250 }, (_, index) => ({ object: 'embedding', index, embedding: vector })),
      model: 'text-embedding-3-small',
      usage: { prompt_tokens: 8, total_tokens: 8 },
    }
    const text = bytes(list)
    expect(text.length).toBeGreaterThan(4 * 1024 * 1024)
    const whole = exchange('POST', '/v1/embeddings')
    meter.tap(whole, reply('application/json', text))
    expect(whole.usage).toMatchObject({ input: 8, output: 0, total: 8 })
    expect(whole.answeredModel).toBe('text-embedding-3-small')
    const pieces = exchange('POST', '/v1/embeddings')
    const tap = tapOf(pieces, 'application/json')
    for (let at = 0; at < text.length; at += 16_000) tap.chunk(text.subarray(at, at + 16_000))
    tap.end()
    expect(pieces.usage).toEqual(whole.usage)
    expect(pieces.answeredModel).toBe('text-embedding-3-small')
  })

  test('the pieces kept of a large answer stay few', () => {
    const tap = tapOf(exchange(), 'application/json')
    const collected: WeakRef<Uint8Array>[] = []
    for (let count = 0; count < 200; count++) {
      const piece = new Uint8Array(64 * 1024)
      collected.push(new WeakRef(piece))
      tap.chunk(piece)
    }
    Bun.gc(true)
    // Conservative scanning may keep a few more alive than are referenced.
    expect(collected.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(50)
    tap.end()
  })

  test('usage in an echoed tool schema is not usage', () => {
    const schema = { type: 'object', properties: { usage: { input_tokens: 1, output_tokens: 1 } } }
    const echoing = { id: 'resp_1', tools: [{ parameters: schema }], model: 'gpt-5', usage: null }
    const x = exchange('POST', '/v1/responses')
    meter.tap(x, reply('application/json', bytes(echoing)))
    expect(x.usage).toBeNull()
    const last = exchange('POST', '/v1/responses')
    meter.tap(
      last,
      reply(
        'application/json',
        bytes({ usage: answer.usage, model: 'gpt-5', tools: [{ parameters: schema }] }),
      ),
    )
    expect(last.usage).toEqual(counted)
  })

  test('usage far from the end of a large answer is still found', () => {
    const x = exchange('POST', '/v1/responses')
    meter.tap(
      x,
      reply('application/json', bytes({ model: 'gpt-5', usage: answer.usage, output: 'x'.repeat(200_000) })),
    )
    expect(x.usage).toEqual(counted)
  })

  test('what is no answer changes nothing', () => {
    for (const text of [
      '',
      'null',
      '[]',
      '{',
      '{"usage":',
      '"usage"',
      '{"usage":{"prompt_tokens":-1},"model":""}',
      '\u0000',
    ]) {
      const x = exchange()
      meter.tap(x, reply('application/json', bytes(text)))
      expect([x.usage, x.answeredModel]).toEqual([null, null])
    }
  })
})

describe('what is not metered has no tap', () => {
  test.each([
    [
      'a stored completion, counted when it was made',
      'GET',
      '/v1/chat/completions/chatcmpl-1',
      'application/json',
      200,
    ],
    ['an error', 'POST', '/v1/chat/completions', 'application/json', 429],
    ['audio', 'POST', '/v1/audio/speech', 'audio/mpeg', 200],
    ['text', 'POST', '/v1/audio/transcriptions', 'text/plain', 200],
    ['nothing named', 'POST', '/v1/chat/completions', '', 200],
    ['no JSON though it begins so', 'POST', '/v1/chat/completions', 'application/jsonl', 200],
  ])('%s', (_, method, path, contentType, status) => {
    const x = exchange(method, path)
    expect(meter.tap(x, reply(contentType, bytes(answer), status))).toEqual([])
    expect(x.usage).toBeNull()
  })

  test('an unknown endpoint is, by the usage it may have', () => {
    const x = exchange('POST', '/v1/something/new')
    meter.tap(x, reply('application/json', bytes(answer)))
    expect(x.usage).toEqual(counted)
  })
})

describe('streams', () => {
  const delta = {
    id: 'c',
    object: 'chat.completion.chunk',
    model: 'gpt-4o-2024',
    choices: [{ index: 0, delta: { content: 'hi' } }],
  }

  test('the last usage counts, and every chunk passes as the same object', () => {
    const x = exchange()
    const tap = tapOf(x, 'text/event-stream; charset=utf-8')
    const chunks = [
      frame({ ...delta, usage: null }),
      frame({ ...delta, usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }),
      bytes(
        'data: {"choices":[],"usage" : null}\n\ndata: {"choices":[],"usage" :\t{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":3}}}\n\ndata: [DONE]\n\n',
      ),
    ]
    for (const chunk of chunks) expect(tap.chunk(chunk)).toBe(chunk)
    expect(tap.end()).toBeNull()
    expect(x.usage).toEqual(counted)
    expect(x.answeredModel).toBe('gpt-4o-2024')
  })

  test('usage in what a model says, and in an echoed schema, is not usage', () => {
    const x = exchange('POST', '/v1/responses')
    const tap = tapOf(x, 'text/event-stream')
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 }
    tap.chunk(
      frame({
        type: 'response.created',
        response: { tools: [{ parameters: { usage } }], model: 'gpt-5', usage: null },
      }),
    )
    tap.chunk(frame({ type: 'response.output_text.delta', delta: JSON.stringify({ usage }) }))
    tap.chunk(frame({ type: 'response.output_item.done', item: { usage } }))
    expect(x.usage).toBeNull()
    expect(x.answeredModel).toBe('gpt-5')
    tap.chunk(
      frame({
        type: 'response.incomplete',
        response: { model: 'gpt-5', usage: { ...usage, output_tokens: 5 } },
      }),
    )
    expect(x.usage).toMatchObject({ input: 1, output: 5 })
  })

  test('an explicit 0 is kept, a broken event changes nothing', () => {
    const x = exchange()
    const tap = tapOf(x, 'text/event-stream')
    tap.chunk(frame({ ...delta, usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } }))
    tap.chunk(frame('{"usage":{"prompt_tokens":4'))
    tap.chunk(bytes('data: "usage"'))
    tap.chunk(bytes('data: "usage": '))
    expect(x.usage).toMatchObject({ input: 0, output: 0, total: 0 })
  })

  test('plain bytes, not Buffers, are read too', () => {
    const x = exchange()
    tapOf(x, 'text/event-stream').chunk(new Uint8Array(frame({ ...delta, usage: answer.usage })))
    expect(x.usage).toEqual(counted)
  })

  test('no chunk makes it throw', () => {
    const part = fc.constantFrom(
      'data: ',
      '"usage"',
      ':',
      ' ',
      '{',
      '}',
      'null',
      '\n',
      '\n\n',
      '"model"',
      '1',
      '"x"',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const tap = tapOf(exchange(), 'text/event-stream')
        const chunk = bytes(parts.join(''))
        expect(tap.chunk(chunk)).toBe(chunk)
      }),
      { numRuns: 500 },
    )
  })
})

interface Spoken {
  readonly usage?: Record<string, number> | null
  readonly response?: { readonly usage?: Record<string, number> | null }
}

// One recording holds a line that is no JSON: a real stream, so it stays.
function spoken(line: string): Spoken {
  try {
    return JSON.parse(line) as Spoken
  } catch {
    return {}
  }
}

test.skipIf(!existsSync(streams))(
  'recorded streams: the usage of their last event that has one (needs the test data)',
  () => {
    let read = 0
    for (const provider of [
      'azure',
      'cerebras',
      'deepseek',
      'groq',
      'mistral',
      'openai',
      'openai-compatible',
      'perplexity',
      'xai',
    ]) {
      for (const file of readdirSync(join(streams, provider))) {
        const lines = readFileSync(join(streams, provider, file), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
        const said = lines.map(spoken).map((event) => event.usage ?? event.response?.usage ?? null)
        const last = said.findLast((usage) => usage !== null)
        const stream = bytes(lines.map((line) => `data: ${line}\n\n`).join(''))
        const x = exchange()
        const tap = tapOf(x, 'text/event-stream')
        for (let at = 0, next = 0; at < stream.length; at = next) {
          next = at + lastFrameEnd(stream.subarray(at, at + 300_000))
          tap.chunk(stream.subarray(at, next))
        }
        const [input, output] = [
          last?.['prompt_tokens'] ?? last?.['input_tokens'],
          last?.['completion_tokens'] ?? last?.['output_tokens'],
        ]
        // xAI counts reasoning beside the output: its total says so.
        const hidden = (last?.['total_tokens'] ?? 0) - (input ?? 0) - (output ?? 0)
        const beside = hidden > 0 ? output! + hidden : output
        expect({ file, input: x.usage?.input, output: x.usage?.output }).toEqual({
          file,
          input,
          output: beside,
        })
        if (x.usage !== null) read += 1
      }
    }
    expect(read).toBeGreaterThan(30)
  },
)
