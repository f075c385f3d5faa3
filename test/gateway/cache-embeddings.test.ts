// Promise: of a list of texts to embed only those that are not known are asked for, and the answer is what it would have been.

import { expect, test } from 'bun:test'
import OpenAI from 'openai'
import fc from 'fast-check'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { joinEmbeddings, sharesOf, splitEmbeddings } from '../../src/stages/5-cache/embeddings.ts'
import { asks, call, status } from './cache-calls.ts'
import { clientKey, promiseTests, startGate, upstreamAt, upstreamKey } from './harness.ts'
import { reply, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

test('a list of 100 of which 90 are known asks for 10, and is the same as asked at once', async () => {
  const sandbox = await startSandbox({ keys: [upstreamKey] })
  const upstreams = [upstreamAt(sandbox.url)]
  const gate = await startGate({ upstreams, cache: { mode: 'exact' } })
  const plain = await startGate({ upstreams })
  const client = (port: number) =>
    new OpenAI({ apiKey: clientKey, baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 })
  const texts = Array.from({ length: 100 }, (_, index) => `text ${index}`)
  for (const format of ['float', 'base64'] as const) {
    const body = (input: string | string[]) => ({
      model: 'text-embedding-3-small',
      input,
      encoding_format: format,
    })
    const embed = (port: number, input: string | string[]) =>
      call(port, body(input), { path: '/v1/embeddings' })
    await embed(gate.port, texts.slice(0, 90))
    sandbox.reset()
    const mixed = [...texts.slice(85), ...texts.slice(0, 85)]
    const answer = await embed(gate.port, mixed)
    const asked = JSON.parse(Buffer.from(sandbox.requests[0]!.body).toString()).input
    expect([status(answer), sandbox.requests.length, asked]).toEqual(['MISS', 1, texts.slice(90)])
    const whole = await embed(plain.port, mixed)
    expect(answer.json().data).toEqual(whole.json().data)
    expect(Object.keys(answer.json()).sort()).toEqual(Object.keys(whole.json()).sort())
    const tokens = (one: typeof whole) => one.json().usage.total_tokens as number
    // The upstream tells tokens of the whole only; ours are divided by length.
    expect(Math.abs(tokens(answer) - tokens(whole))).toBeLessThan(tokens(whole) / 10)
    const line = await gate.logged(({ bytesIn, endpoint }) => endpoint === 'embeddings' && bytesIn > 900)
    expect(line['usage']).toBeDefined()
    sandbox.reset()
    expect(status(await embed(gate.port, mixed.toReversed()))).toBe('HIT')
    expect(status(await embed(gate.port, 'text 95'))).toBe('MISS')
    expect(status(await embed(gate.port, ['text 95']))).toBe('MISS')
    expect(status(await embed(gate.port, ['text 95', 'text 95']))).toBe('HIT')
  }
  const [first, second] = [await client(gate.port).embeddings.create({ model: 'text-embedding-3-small', input: ['x', 'y'] }), await client(plain.port).embeddings.create({ model: 'text-embedding-3-small', input: ['x', 'y'] })] // prettier-ignore
  expect(first.data).toEqual(second.data)
  await sandbox.close()
})

test('the tokens of the part that was asked are counted, not those of the whole', async () => {
  const upstream = ScriptedUpstream.start((seen, peer) => {
    const { input } = asks(seen)
    const list = Array.isArray(input) ? input : [input]
    const data = list.map((text: string, index: number) => ({
      object: 'embedding',
      index,
      embedding: [text.length, -0.0, 1e-7],
    }))
    return peer.write(
      reply(
        200,
        JSON.stringify({
          object: 'list',
          data,
          model: 'e',
          usage: { prompt_tokens: 10 * list.length, total_tokens: 10 * list.length },
        }),
      ),
    )
  })
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], cache: { mode: 'exact' } })
  const embed = (input: string[]) => call(gate.port, { model: 'e', input }, { path: '/v1/embeddings' })
  await embed(['a', 'b', 'c'])
  const answer = await embed(['c', 'd', 'a'])
  expect(answer.json().usage).toEqual({ prompt_tokens: 30, total_tokens: 30 })
  expect(
    gate.lines.filter(({ endpoint }) => endpoint === 'embeddings').map(({ usage }) => usage.total),
  ).toEqual([30, 10])
})

test('another version of the model does not mix with what is known, and a repeat works', async () => {
  let model = 'e-1'
  const upstream = ScriptedUpstream.start((seen, peer) => {
    const data = asks(seen).input.map((text: string, index: number) => ({
      object: 'embedding',
      index,
      embedding: [text.length, model.length],
    }))
    return peer.write(
      reply(
        200,
        JSON.stringify({ object: 'list', data, model, usage: { prompt_tokens: 1, total_tokens: 1 } }),
      ),
    )
  })
  const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], cache: { mode: 'exact' } })
  const embed = (input: string[]) => call(gate.port, { model: 'e', input }, { path: '/v1/embeddings' })
  await embed(['a', 'b'])
  model = 'e-22'
  const mixed = await embed(['a', 'c'])
  expect([mixed.status, mixed.header('x-should-retry')]).toEqual([502, 'true'])
  await Bun.sleep(5)
  const again = await embed(['a', 'c'])
  expect([again.status, again.json().data.map((one: any) => one.embedding[1])]).toEqual([200, [4, 4]])
})

test('answers that do not fit their request are given as they are, and not kept', async () => {
  for (const data of [
    [{ object: 'embedding', index: 0, embedding: [1] }],
    [
      { object: 'embedding', index: 0, embedding: [1] },
      { object: 'embedding', index: 0, embedding: [2] },
    ],
  ]) {
    // prettier-ignore
    const upstream = ScriptedUpstream.start((_, peer) => peer.write(reply(200, JSON.stringify({ object: 'list', data, model: 'e', usage: { prompt_tokens: 1, total_tokens: 1 } })))) // prettier-ignore
    const gate = await startGate({ upstreams: [upstreamAt(upstream.url)], cache: { mode: 'exact' } })
    for (let round = 0; round < 2; round++) {
      const answer = await call(gate.port, { model: 'e', input: ['a', 'b'] }, { path: '/v1/embeddings' })
      expect([status(answer), answer.json().data]).toEqual(['MISS', data])
    }
  }
})

test('taken apart and put together an answer is the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 4 }), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.nat(1000),
      (vectors, tokens) => {
        const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }))
        const answer = {
          object: 'list',
          data,
          model: 'a "model"',
          usage: { prompt_tokens: tokens, total_tokens: tokens },
        }
        const split = splitEmbeddings(Buffer.from(JSON.stringify(answer)), vectors.length)!
        expect(JSON.parse(joinEmbeddings(split).toString())).toEqual(JSON.parse(JSON.stringify(answer)))
      },
    ),
  )
  fc.assert(
    fc.property(fc.nat(100_000), fc.array(fc.nat(50), { minLength: 1, maxLength: 20 }), (tokens, lengths) => {
      const shares = sharesOf(tokens, lengths)
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(tokens)
      expect(shares.every((share) => share >= 0)).toBe(true)
    }),
  )
})
