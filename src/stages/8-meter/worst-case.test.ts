import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { systemClock } from '../../base/clock.ts'
import { Exchange } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { findEndpoint } from '../../openai/endpoints.ts'
import { limitsOf } from '../../openai/model-limits.ts'
import { tokensMax } from '../../openai/usage.ts'
import { worstCase } from './worst-case.ts'

function bound(body: unknown, path = '/v1/chat/completions', method = 'POST') {
  const request = {
    method,
    path,
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange('hgr_1', request, systemClock)
  x.endpoint = findEndpoint(method, path)
  x.bodyBytes = body === null ? null : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return worstCase(x)
}

describe('rules 1 and 11: the bound of a reservation', () => {
  test.each<[unknown, number]>([
    [{ model: 'gpt-4o', max_tokens: 5 }, 5],
    [{ model: 'gpt-4o', max_completion_tokens: 50, max_tokens: 5 }, 50],
    [{ model: 'gpt-4o', max_tokens: 5, n: 3 }, 15],
    [{ model: 'gpt-4o' }, 16_384],
    [{ model: 'gpt-4o', n: 128 }, 128 * 16_384],
    [{ model: 'something-new' }, 131_072],
    [{ model: 'gpt-4o', max_tokens: null, n: null }, 16_384],
    [{ model: 'gpt-4o', max_tokens: -5, n: -1 }, 16_384],
    [{ model: 'gpt-4o', max_tokens: 0 }, 16_384],
    [{ model: 'gpt-4o', max_tokens: 5, n: 1e300 }, 5 * 128],
    ['{"model":"gpt-4o","max_tokens":99999999999999999999999,"n":9}', tokensMax],
    ['{"model":"gpt-4o","max_tokens":1e9999}', tokensMax],
    ['{"model":"gpt-4o","max_tokens" : "7"}', 7],
    ['{"model":"gpt-4o","max_tokens":5,"n":2,"n":4}', 20],
    ['{"model":"gpt-4o","max_tokens":5,"\\u006e":100}', 5 * 100],
    ['{"model":"gpt-4o","max\\u005ftokens":7}', 7],
    ['{"model":"gpt-4o","max_tokens":5,"messages":[{"content":"how \\u006e is written: \\\\u006e"}]}', 5],
    ['{"mod\\u0065l":"gpt-4o"}', 16_384],
    [{ model: 'gpt-4o', tools: [{ properties: { n: { type: 'x' }, max_tokens: {} } }] }, 16_384],
    [{ model: 'gpt-4o', messages: [{ content: '"n": 100, "max_tokens": 9' }] }, 16_384],
  ])('%j writes at most %d', (body, tokens) => {
    expect(bound(body).outputTokens).toBe(tokens)
  })

  test('what is read is bounded by the bytes, or by the model where more is only named', () => {
    const body = { model: 'gpt-4o', messages: [{ content: 'é'.repeat(100) }] }
    expect(bound(body).inputTokens).toBe(Buffer.byteLength(JSON.stringify(body)))
    for (const more of [
      { previous_response_id: 'resp_1' },
      { prompt: { id: 'pmpt_1' } },
      { input: [{ type: 'input_image' }] },
    ])
      expect(bound({ model: 'gpt-4o', ...more }, '/v1/responses').inputTokens).toBe(128_000)
    expect(bound(null, '/v1/audio/transcriptions').inputTokens).toBe(limitsOf(null).context)
    expect(bound({ model: 'text-embedding-3-small', input: 'hello' }, '/v1/embeddings').outputTokens).toBe(0)
    expect(bound({ prompt: 'a cat', n: 2 }, '/v1/images/generations').outputTokens).toBe(16_000)
    expect(bound({}, '/v1/moderations')).toEqual({ inputTokens: 0, outputTokens: 0 })
  })

  test('whatever is sent gives integers in range, and no less than is asked for', () => {
    const number = fc.oneof(fc.integer({ min: 0 }), fc.double(), fc.bigInt(), fc.jsonValue())
    fc.assert(
      fc.property(number, number, (length, answers) => {
        const shown = (value: unknown): string =>
          typeof value === 'object' ? JSON.stringify(value) : String(value)
        const text = `{"model":"gpt-4o","max_tokens":${shown(length)},"n":${shown(answers)}}`
        const { inputTokens, outputTokens } = bound(text)
        for (const tokens of [inputTokens, outputTokens])
          expect(Number.isSafeInteger(tokens) && tokens >= 0 && tokens <= tokensMax).toBe(true)
        if (typeof length === 'number' && Number.isInteger(length) && length > 0)
          expect(outputTokens).toBeGreaterThanOrEqual(Math.min(length, tokensMax))
      }),
      { numRuns: 500 },
    )
  })
})

test('limits of a model go by its family', () => {
  expect(limitsOf('gpt-4o-mini-2024-07-18').output).toBe(16_384)
  expect(limitsOf('openai/gpt-4.1').context).toBe(1_047_576)
  expect(limitsOf('ft:gpt-4o-mini:org::id').output).toBe(16_384)
  expect(limitsOf('').output).toBe(131_072)
})
