import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { systemClock } from '../../base/clock.ts'
import { Attempt, Exchange } from '../../exchange.ts'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { findEndpoint } from '../../openai/endpoints.ts'
import { readUsage } from '../../openai/usage.ts'
import { Estimator } from './estimate.ts'
import { OutputText } from './output-text.ts'
import { countTokens } from './tokens.ts'

// An encoding is loaded once, which takes seconds on a machine under load.
setDefaultTimeout(120_000)
const estimator = new Estimator(100_000)
afterAll(() => estimator.close())

function call(body: unknown): { x: Exchange; attempt: Attempt } {
  const request = {
    method: 'POST',
    path: '/v1/chat/completions',
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange('hgr_1', request, systemClock)
  x.endpoint = findEndpoint('POST', request.path)
  x.bodyBytes = Buffer.from(JSON.stringify(body))
  const attempt = new Attempt(
    'hgr_1-1',
    { name: 'main', account: 'main', providerName: 'openai' },
    systemClock,
  )
  x.tried.push(attempt)
  return { x, attempt }
}

const frame = (delta: object): Buffer =>
  Buffer.from(`data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`)
const hello = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello, how are you today?' }] }

describe('rule 5: usage that nobody says is estimated', () => {
  test('by the tokenizer of the model, what was said so far included', async () => {
    const { x, attempt } = call(hello)
    const said = new OutputText('chat.completions')
    for (const word of ['I am', ' fine', ',', ' thank', ' you', '!']) said.add(frame({ content: word }))
    attempt.output = said
    const { usage, estimator: name } = await estimator.exact(x, attempt)
    // 7 of the text, 1 of the role, 3 of the message, 3 of the answer's beginning; 7 said and 8 that may be in flight.
    expect([name, usage.input, usage.output, usage.total]).toEqual(['tokens-1', 14, 15, 29])
  })

  test('by the bytes where no tokens can be counted, and never as 0', async () => {
    const { x, attempt } = call(hello)
    expect(estimator.quick(x, attempt)).toMatchObject({ estimator: 'bytes-1', usage: { output: 0 } })
    expect(estimator.quick(x, attempt).usage.input).toBeGreaterThan(14)
    const closed = new Estimator()
    closed.close()
    expect((await closed.exact(x, attempt)).estimator).toBe('bytes-1')
    x.bodyBytes = null
    expect(estimator.quick(x, null).usage.input).toBe(1)
  })

  test('never as less than a running sum has said', async () => {
    const { x, attempt } = call(hello)
    attempt.usage = readUsage({
      prompt_tokens: 90,
      completion_tokens: 70,
      completion_tokens_details: { reasoning_tokens: 60 },
    })
    expect((await estimator.exact(x, attempt)).usage).toMatchObject({
      input: 90,
      output: 70,
      reasoning: 60,
      total: 160,
    })
  })

  test('while megabytes are counted, the loop goes on', async () => {
    const { x, attempt } = call({
      ...hello,
      messages: [{ content: 'The quick brown fox. '.repeat(100_000) }],
    })
    let turns = 0
    const timer = setInterval(() => (turns += 1), 5)
    const { usage, estimator: name } = await estimator.exact(x, attempt)
    clearInterval(timer)
    expect([name, usage.input > 400_000, turns > 3]).toEqual(['tokens-1', true, true])
  }, 60_000)
})

describe('counting', () => {
  const input = async (body: unknown, model = 'gpt-4o') =>
    (await countTokens({ id: 0, model, body: Buffer.from(JSON.stringify(body)), output: '' })).input

  test('long runs without spaces cost their length, not its square', async () => {
    for (const run of ['a', '汉', ' ', '<|endoftext|>', '1'])
      expect(await input({ messages: [{ content: run.repeat(20_000) }] })).toBeGreaterThan(100)
  }, 60_000)

  test('tools, prompts of tokens, images and older models', async () => {
    const plain = await input(hello)
    expect(await input({ ...hello, tools: [{ function: { name: 'weather' } }] })).toBeGreaterThan(plain)
    expect(await input({ prompt: [1, 2, 3, 4] })).toBe(4)
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    expect(await input({ messages: [{ content: [image] }] })).toBe(765 + 6)
    expect(await input(hello, 'gpt-3.5-turbo')).toBeGreaterThan(10)
    expect(await input('no request')).toBe(0)
  })
})

describe('text of a stream', () => {
  const read = (operation: string, chunks: readonly Buffer[]): OutputText => {
    const text = new OutputText(operation)
    for (const chunk of chunks) text.add(chunk)
    return text
  }

  test('content, reasoning, refusals and arguments of tools; several frames in a chunk; escapes', () => {
    const said = read('chat.completions', [
      frame({ role: 'assistant', content: '' }),
      Buffer.concat([frame({ content: 'a"\\\n' }), frame({ content: 'é' })]),
      frame({ reasoning_content: 'why' }),
      frame({ content: null, tool_calls: [{ function: { arguments: '{"x":1}' } }] }),
      Buffer.from('data: {"choices":[{"delta":{"content": "spaced"}}]}\n\n'),
      frame({ content: null }),
      Buffer.from('data: [DONE]\n\n'),
    ])
    expect(said.text()).toBe('a"\\\néwhy{"x":1}spaced')
  })

  test('what a model writes is no name, and other endpoints have other names', () => {
    expect(read('chat.completions', [frame({ content: '"content":"no"' })]).text()).toBe('"content":"no"')
    const delta = Buffer.from('event: response.output_text.delta\ndata: {"type":"x","delta":"Hi"}\n\n')
    expect(read('responses', [delta, delta]).text()).toBe('HiHi')
    expect(read('completions', [Buffer.from('data: {"choices":[{"text":"yes"}]}\n\n')]).text()).toBe('yes')
  })

  test('is kept up to a bound, and counted beyond it', () => {
    const said = read(
      'chat.completions',
      Array.from({ length: 20 }, () => frame({ content: 'x'.repeat(50_000) })),
    )
    expect(said.bytes).toBe(1_000_000)
    expect(said.text().length).toBe(500_000)
  })

  test('cut off amid an escape is no error', () => {
    expect(read('chat.completions', [Buffer.from('data: {"delta":{"content":"ab\\u00')]).text()).toBe(
      'ab\\u00',
    )
  })
})
