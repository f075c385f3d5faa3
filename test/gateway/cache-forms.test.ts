// Promise: an answer that was fetched as a stream is also given whole, and the other way round, and no client can tell: the
// official clients read either with their own parsers, and nothing of it is lost.

import OpenAI from 'openai'
import { createOpenAI } from '@ai-sdk/openai'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, streamText } from 'ai'
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { call, chat, completion, status, textOf } from './cache-calls.ts'
import { clientKey, promiseTests, startGate, upstreamAt, upstreamKey } from './harness.ts'
import { chunk, eventsHead, lastChunk, reply, ScriptedUpstream, type Script } from './scripted-upstream.ts'

promiseTests()

const data = process.env['HEADGATE_TEST_DATA'] ?? join(import.meta.dir, '..', '..', '..', 'shared', 'data')
const folder = join(data, 'streams')
const there = existsSync(folder)

async function behind(script: Script, cache: object = {}) {
  const upstream = ScriptedUpstream.start(script)
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], cache: { mode: 'exact', ...cache } })
  const baseURL = `http://127.0.0.1:${gate.port}/v1`
  return { upstream, gate, baseURL, client: new OpenAI({ apiKey: clientKey, baseURL, maxRetries: 0 }) }
}

function playing(frames: readonly string[]): Script {
  return async (_, peer) => {
    await peer.write(eventsHead)
    for (const frame of frames) await peer.write(chunk(frame))
    await peer.write(lastChunk)
  }
}

const rich = {
  ...JSON.parse(completion('Sunny.')),
  system_fingerprint: 'fp_1',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'Sunny. Or not?',
        refusal: null,
        annotations: [
          {
            type: 'url_citation',
            url_citation: { start_index: 0, end_index: 5, url: 'https://a.example', title: 'A' },
          },
        ],
      },
      logprobs: {
        content: [
          {
            token: 'Sunny.',
            logprob: -0.1,
            bytes: [83],
            top_logprobs: [{ token: 'Rain', logprob: -2, bytes: null }],
          },
          { token: ' Or not?', logprob: -0.5, bytes: [79], top_logprobs: [] },
        ],
        refusal: null,
      },
      finish_reason: 'stop',
    },
    {
      index: 1,
      message: {
        role: 'assistant',
        content: null,
        refusal: null,
        annotations: [],
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
          {
            id: 'call_2',
            type: 'function',
            function: { name: 'weather', arguments: '{"city":"Rome \\"1\\""}' },
          },
        ],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    },
  ],
}

describe('chat', () => {
  test('stored whole, streamed to the official client: several choices, parallel calls, logprobs, annotations, usage', async () => {
    const { client, upstream } = await behind((_, peer) => peer.write(reply(200, JSON.stringify(rich))))
    const body = { model: 'gpt-4o', n: 2, messages: [{ role: 'user' as const, content: 'weather' }] }
    await client.chat.completions.create(body)
    const stream = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } })
    const told = await stream.finalChatCompletion()
    expect(upstream.requests.length).toBe(1)
    const bare = (value: any) => JSON.parse(JSON.stringify(value, (name, one) => (one === null || (Array.isArray(one) && one.length === 0) || name === 'parsed' || name === 'parsed_arguments' ? undefined : one))) // prettier-ignore
    expect(bare(told.choices)).toEqual(bare(rich.choices))
    expect(told.usage).toEqual(rich.usage)
    const chunks: any[] = []
    const without = await client.chat.completions.create({ ...body, stream: true })
    for await (const one of without) chunks.push(one)
    expect(upstream.requests.length).toBe(1)
    expect(chunks.every((one) => !('usage' in one) && one.choices.length === 1 && one.id === rich.id && one.service_tier === 'default')).toBe(true) // prettier-ignore
  })

  test('stored as a stream by one client, given whole, and streamed by others', async () => {
    const sandbox = await startSandbox({ keys: [upstreamKey] })
    const gate = await startGate({ upstreams: [upstreamAt(sandbox.url)], cache: { mode: 'exact' } })
    const baseURL = `http://127.0.0.1:${gate.port}/v1`
    const client = new OpenAI({ apiKey: clientKey, baseURL })
    const body = {
      model: 'gpt-4o-mini',
      messages: [{ role: 'user' as const, content: 'Say something long.' }],
    }
    const first = client.chat.completions.stream({ ...body, stream_options: { include_usage: true } })
    const told = await first.finalChatCompletion()
    const whole = await client.chat.completions.create(body)
    expect(whole.choices[0]!.message.content).toBe(told.choices[0]!.message.content)
    expect(whole.usage).toEqual(told.usage)
    const langchain = new ChatOpenAI({
      model: 'gpt-4o-mini',
      apiKey: clientKey,
      configuration: { baseURL },
      maxRetries: 0,
    })
    expect((await langchain.invoke('Say something long.')).text).toBe(whole.choices[0]!.message.content!)
    let text = ''
    for await (const one of await langchain.stream('Say something long.')) text += one.text
    expect(text).toBe(whole.choices[0]!.message.content!)
    const ai = createOpenAI({ apiKey: clientKey, baseURL })
    const generated = await generateText({ model: ai.chat('gpt-4o-mini'), prompt: 'Another one.' })
    const streamed = streamText({ model: ai.chat('gpt-4o-mini'), prompt: 'Another one.' })
    expect(await streamed.text).toBe(generated.text)
    const chats = sandbox.requests.filter(({ target }) => target === '/v1/chat/completions')
    expect(chats.length).toBe(2)
    await sandbox.close()
  })

  test('what cannot be told in the other form is asked for, and both forms are kept', async () => {
    let count = 0
    const odd = { ...rich, choices: [{ ...rich.choices[0], message: { ...rich.choices[0].message, content: [{ type: 'text', text: 'parts' }] } }] } // prettier-ignore
    const { gate } = await behind(async (seen, peer) => {
      count++
      if (JSON.parse(seen.body.toString()).stream !== true) return peer.write(reply(200, JSON.stringify(odd)))
      return playing([
        'data: {"choices":[{"index":0,"delta":{"content":"streamed"},"finish_reason":"stop"}]}\n\n',
        'data: [DONE]\n\n',
      ])(seen, peer)
    })
    const both = async () => [
      status(await call(gate.port, chat('p'))),
      status(await call(gate.port, chat('p', { stream: true }))),
    ]
    expect(await both()).toEqual(['MISS', 'MISS'])
    expect(await both()).toEqual(['HIT', 'HIT'])
    expect(count).toBe(2)
  })

  test('a stream comes back byte for byte, and without its usage to those who did not ask for it', async () => {
    const frames = readFileSync(join(import.meta.dir, 'cache-calls.ts'), 'utf8').slice(0, 0)
    const head = { id: 'c', object: 'chat.completion.chunk', model: 'm' }
    const told = [
      ...['say "usage": null', ' é\u2028'].map(
        (content) =>
          `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: { content }, finish_reason: null }], usage: null })}\n\n`,
      ),
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null })}\n\n`,
      `data: ${JSON.stringify({ ...head, choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } })}\n\n`,
      'data: [DONE]\n\n',
    ]
    const { gate, upstream } = await behind(playing([frames, ...told].filter((frame) => frame !== '')))
    const asked = chat('b', { stream: true, stream_options: { include_usage: true } })
    const first = await call(gate.port, asked)
    const again = await call(gate.port, asked)
    expect([first.body.toString(), again.body.toString()]).toEqual([told.join(''), told.join('')])
    const bare = await call(gate.port, chat('b', { stream: true }))
    const expected = [...told.slice(0, 3), told[4]!]
      .map((frame) => frame.replace(',"usage":null}\n', '}\n'))
      .join('')
    expect(bare.body.toString()).toBe(expected)
    expect(textOf(bare)).toBe('say "usage": null é\u2028')
    expect(upstream.requests.length).toBe(1)
  })
})

describe('responses', () => {
  test('stored whole, streamed to the official client, which puts the same response together', async () => {
    const sandbox = await startSandbox({ keys: [upstreamKey] })
    const gate = await startGate({ upstreams: [upstreamAt(sandbox.url)], cache: { mode: 'exact' } })
    const client = new OpenAI({ apiKey: clientKey, baseURL: `http://127.0.0.1:${gate.port}/v1` })
    const tools = [
      {
        type: 'function' as const,
        name: 'weather',
        strict: false,
        parameters: { type: 'object', properties: { city: { type: 'string' } } },
      },
    ]
    for (const more of [{}, { tools, tool_choice: 'required' as const }]) {
      const body = { model: 'gpt-4o', input: 'What is it like in Oslo?', store: false, ...more }
      const whole = await client.responses.create(body)
      const stream = client.responses.stream(body)
      const types: string[] = []
      const numbers: number[] = []
      stream.on('event', (event) => {
        types.push(event.type)
        numbers.push(event.sequence_number)
      })
      const told = await stream.finalResponse()
      expect(told.output_text).toBe(whole.output_text)
      expect(told.output.map(({ type, id }) => [type, id])).toEqual(
        whole.output.map(({ type, id }) => [type, id]),
      )
      expect([types[0], types.at(-1)]).toEqual(['response.created', 'response.completed'])
      expect(numbers).toEqual(numbers.map((_, index) => index))
    }
    expect(sandbox.requests.filter(({ target }) => target === '/v1/responses').length).toBe(2)
    await sandbox.close()
  })

  const recorded = there ? [...new Bun.Glob('{openai,azure}/*.chunks.txt').scanSync(folder)].sort() : []
  for (const file of recorded) {
    const lines = readFileSync(join(folder, file), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    // One is no JSON, and one tells two items in one place: both are given again as they came, and nothing else.
    if (!lines.at(-1)!.includes('"response.completed"') || /shell-tool|wrapper/.test(file)) continue
    test(`${file}: given whole it is the response it ended with, and told again it says the same`, async () => {
      const frames = lines.map((line) => `event: ${JSON.parse(line).type}\ndata: ${line}\n\n`)
      const last = JSON.parse(lines.at(-1)!).response
      const streamed = await behind(playing(frames))
      const body = { model: 'gpt-5', input: 'x', stream: true }
      await call(streamed.gate.port, body, { path: '/v1/responses' })
      const whole = await call(streamed.gate.port, { ...body, stream: false }, { path: '/v1/responses' })
      expect({ status: status(whole), same: Bun.deepEquals(whole.json(), last) }).toEqual({
        status: 'HIT',
        same: true,
      })
      expect(streamed.upstream.requests.length).toBe(1)
      const stored = await behind((_, peer) => peer.write(reply(200, JSON.stringify(last))))
      await call(stored.gate.port, { ...body, stream: false }, { path: '/v1/responses' })
      const stream = stored.client.responses.stream({ model: 'gpt-5', input: 'x' })
      const told = await stream.finalResponse()
      expect(stored.upstream.requests.length).toBe(1)
      expect(told.output.map(({ type }) => type)).toEqual(
        last.output.map(({ type }: { type: string }) => type),
      )
      expect(told.usage as object).toEqual(last.usage)
    })
  }
})

test.skipIf(!there)(
  'recorded chats of other providers: given whole, or asked for, never less (needs the recordings)',
  async () => {
    for (const file of [
      'openai/openai-text',
      'deepseek/deepseek-reasoning',
      'deepseek/deepseek-tool-call',
      'xai/xai-tool-call',
      'mistral/mistral-reasoning',
    ]) {
      const lines = readFileSync(join(folder, `${file}.chunks.txt`), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
      const chunks = lines.map((line) => JSON.parse(line))
      const { gate, upstream } = await behind(
        playing([...lines.map((line) => `data: ${line}\n\n`), 'data: [DONE]\n\n']),
      )
      const streamed = await call(
        gate.port,
        chat('r', { stream: true, stream_options: { include_usage: true } }),
      )
      const whole = await call(gate.port, chat('r'))
      if (file.includes('mistral-reasoning')) {
        expect(upstream.requests.length).toBe(2)
        continue
      }
      expect({ file, status: status(whole) }).toEqual({ file, status: 'HIT' })
      const message = whole.json().choices[0].message
      for (const name of ['content', 'reasoning_content']) {
        const pieces = chunks
          .flatMap((one) => one.choices.map((choice: any) => choice.delta[name] ?? ''))
          .join('')
        expect(message[name] ?? '').toBe(pieces)
      }
      const calls = chunks.flatMap((one) =>
        one.choices.flatMap((choice: any) => choice.delta.tool_calls ?? []),
      )
      expect((message.tool_calls ?? []).map((one: any) => one.function.arguments).join('')).toBe(
        calls.map((one: any) => one.function?.arguments ?? '').join(''),
      )
      expect(status(streamed)).toBe('MISS')
    }
  },
)

test('a stream that was stored is told with its pauses where that is configured', async () => {
  const frames = ['one', 'two', 'three'].map(
    (content) => `data: {"choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`,
  )
  const end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
  const { gate } = await behind(
    async (_, peer) => {
      await peer.write(eventsHead)
      for (const frame of frames) {
        await peer.write(chunk(frame))
        await Bun.sleep(120)
      }
      await peer.write(chunk(end))
      await peer.write(lastChunk)
    },
    { replay: 'paced' },
  )
  const first = await call(gate.port, chat('p', { stream: true }))
  const startedAtMs = performance.now()
  const again = await call(gate.port, chat('p', { stream: true }))
  const tookMs = performance.now() - startedAtMs
  expect([status(again), again.body.equals(first.body)]).toEqual(['HIT', true])
  expect(tookMs).toBeGreaterThan(240)
})

describe('other endpoints', () => {
  test('completions, moderations, speech and images', async () => {
    const sandbox = await startSandbox({ keys: [upstreamKey] })
    const gate = await startGate({ upstreams: [upstreamAt(sandbox.url)], cache: { mode: 'exact' } })
    const client = new OpenAI({ apiKey: clientKey, baseURL: `http://127.0.0.1:${gate.port}/v1` })
    const twice = async (ask: () => Promise<unknown>) => [await ask(), await ask()]
    const completionBody = { model: 'gpt-3.5-turbo-instruct', prompt: 'Once', max_tokens: 40 }
    const [one] = await twice(() => client.completions.create(completionBody))
    let text = ''
    for await (const piece of await client.completions.create({ ...completionBody, stream: true }))
      text += piece.choices[0]?.text ?? ''
    if ((one as any).choices[0].finish_reason === 'stop') expect(text).toBe((one as any).choices[0].text)
    const [m1, m2] = await twice(() => client.moderations.create({ input: 'hello' }))
    expect(m2).toEqual(m1)
    const speech = () =>
      client.audio.speech
        .create({ model: 'tts-1', voice: 'alloy', input: 'hello' })
        .then((reply) => reply.arrayBuffer())
    const [s1, s2] = (await twice(speech)) as ArrayBuffer[]
    expect(Buffer.from(s2!).equals(Buffer.from(s1!))).toBe(true)
    const image = () => client.images.generate({ model: 'gpt-image-1', prompt: 'a cat' })
    const [i1, i2] = await twice(image)
    expect(i2).toEqual(i1)
    const asked = (target: string) => sandbox.requests.filter((seen) => seen.target === target).length
    expect([asked('/v1/moderations'), asked('/v1/audio/speech'), asked('/v1/images/generations')]).toEqual([
      1, 1, 1,
    ])
    await sandbox.close()
  })
})

test('a stream of images is given again as it came, partial ones too; asked for whole it is asked for apart', async () => {
  const partial = { type: 'image_generation.partial_image', partial_image_index: 0, b64_json: 'AAAA' }
  const usage = { input_tokens: 5, output_tokens: 100, total_tokens: 105 }
  const completed = { type: 'image_generation.completed', b64_json: 'AAAABBBB', created_at: 1, usage }
  const frames = (...events: { type: string }[]) =>
    events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  let breaks = false
  const { upstream, gate } = await behind((seen, peer) => {
    if (!seen.body.includes('"stream":true'))
      return peer.write(reply(200, JSON.stringify({ created: 1, data: [{ b64_json: 'AAAABBBB' }], usage })))
    return playing(frames(partial, ...(breaks ? [] : [completed])))(seen, peer)
  })
  const image = (more: object) =>
    call(gate.port, { model: 'gpt-image-1', prompt: 'a zebra', ...more }, { path: '/v1/images/generations' })
  const streamed = { stream: true, partial_images: 1 }
  const [first, again] = [await image(streamed), await image(streamed)]
  expect([status(first), status(again)]).toEqual(['MISS', 'HIT'])
  expect(again.body.toString()).toBe(frames(partial, completed).join(''))
  expect([status(await image({})), status(await image({}))]).toEqual(['MISS', 'HIT'])
  // Another number of partial images is another stream.
  expect(status(await image({ stream: true, partial_images: 2 }))).toBe('MISS')
  breaks = true
  const cut = { stream: true, partial_images: 3 }
  expect([status(await image(cut)), status(await image(cut))]).toEqual(['MISS', 'MISS'])
  expect(upstream.requests).toHaveLength(5)
})
