// The AI SDK with its OpenAI provider through the gateway, by chat completions and by responses.

import { createOpenAI } from '@ai-sdk/openai'
import {
  APICallError,
  embed,
  embedMany,
  experimental_generateSpeech as generateSpeech,
  experimental_transcribe as transcribe,
  generateImage,
  generateObject,
  generateText,
  Output,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from 'ai'
import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import { caught, clientKey, countOf, eventually, startService } from './service.ts'

const service = await startService()
const { sandbox, gate } = service
const openai = createOpenAI({ apiKey: clientKey, baseURL: service.baseURL })
const place = z.object({ name: z.string(), people: z.number() })

const kinds = [
  ['chat', (name: string) => openai.chat(name), '/v1/chat/completions'],
  ['responses', (name: string) => openai.responses(name), '/v1/responses'],
] as const

for (const [kind, modelOf, path] of kinds) {
  /** The error of a call. By its marker, as the SDK says: several copies of its class may be installed. */
  async function refusal(call: Promise<unknown>): Promise<APICallError> {
    const cause = await caught(call, Error)
    if (!APICallError.isInstance(cause)) throw cause
    return cause
  }

  describe(kind, () => {
    const model = modelOf('gpt-4o-mini')

    test('generateText', async () => {
      const { text, usage, finishReason } = await generateText({ model, prompt: 'Where is Porto?' })
      expect(text).toContain('Porto')
      expect(usage.totalTokens).toBeGreaterThan(0)
      expect(finishReason).toBe('stop')
      expect(sandbox.requests.map((request) => request.path)).toEqual([path])
    })

    test('streamText', async () => {
      const stream = streamText({ model, prompt: 'Sing of Naples' })
      let [text, pieces] = ['', 0]
      for await (const piece of stream.textStream) {
        text += piece
        pieces++
      }
      expect(text).toContain('Naples')
      expect(pieces).toBeGreaterThan(5)
      expect((await stream.usage).outputTokens).toBeGreaterThan(0)
    })

    test('tools, step by step, whole and streamed', async () => {
      const asked: string[] = []
      const weather = tool({
        description: 'The weather at a place',
        inputSchema: z.object({ city: z.string() }),
        execute: ({ city }) => {
          asked.push(city)
          return `sun in ${city}`
        },
      })
      const ask = {
        model,
        prompt: 'What is the weather in Cork?',
        tools: { get_weather: weather },
        stopWhen: stepCountIs(3),
      }
      expect((await generateText(ask)).text).toContain('sun in Cork')
      expect(await streamText(ask).text).toContain('sun in Cork')
      expect(asked).toEqual(['Cork', 'Cork'])
    })

    test('objects of a schema', async () => {
      const { object } = await generateObject({ model, schema: place, prompt: 'A town' })
      expect(place.parse(object)).toEqual(object)
      const { output } = await generateText({
        model,
        prompt: 'A town',
        output: Output.object({ schema: place }),
      })
      expect(place.parse(output)).toEqual(output)
      const streamed = streamObject({ model, schema: place, prompt: 'A town' })
      expect(await countOf(streamed.partialObjectStream)).toBeGreaterThan(0)
      expect(await streamed.object).toEqual(object)
    })

    test('errors and retries', async () => {
      sandbox.faults.add({ match: { path }, fault: 'fault-429-retry-after-ms-10', times: 1 })
      expect((await generateText({ model, prompt: 'Again' })).text).toContain('Again')
      expect(sandbox.requests).toHaveLength(2)
      const wrong = await refusal(generateText({ model: modelOf('fault-400'), prompt: 'x', maxRetries: 0 }))
      expect(wrong.statusCode).toBe(400)
      const stranger = createOpenAI({ apiKey: 'sk-wrong', baseURL: service.baseURL })
      const refused = await refusal(generateText({ model: stranger('gpt-4o-mini'), prompt: 'x' }))
      expect(refused).toMatchObject({ statusCode: 401, isRetryable: false })
    })

    test('a stream that breaks is an error', async () => {
      const problems: unknown[] = []
      const stream = streamText({
        model: modelOf('fault-cut-4'),
        prompt: 'x',
        maxRetries: 0,
        onError: ({ error }) => void problems.push(error),
      })
      await stream.consumeStream()
      expect(JSON.stringify(problems)).toContain('broke off')
      expect(problems).toHaveLength(1)
    })

    test('a client that leaves is noticed upstream', async () => {
      sandbox.setLatency({ chunkDelayMs: 20 })
      const controller = new AbortController()
      const stream = streamText({
        model: modelOf('sandbox-tokens-500'),
        prompt: 'x',
        abortSignal: controller.signal,
      })
      await countOf(stream.textStream, () => controller.abort())
      await eventually(() => sandbox.books()[0]!.ended === 'aborted', 'the upstream to notice', 1000)
      await gate.logged(({ status }) => status === 499)
      gate.lines.length = 0
    })
  })
}

test('embed and embedMany', async () => {
  const model = openai.embedding('text-embedding-3-small')
  const one = await embed({ model, value: 'sea' })
  expect(one.embedding).toHaveLength(1536)
  const many = await embedMany({ model, values: ['sea', 'land'] })
  expect(many.embeddings[0]).toEqual(one.embedding)
  expect(many.usage.tokens).toBeGreaterThan(0)
})

test('images', async () => {
  const { images } = await generateImage({ model: openai.image('gpt-image-1'), prompt: 'a pier', n: 2 })
  expect(images.map(({ uint8Array }) => Buffer.from(uint8Array.subarray(1, 4)).toString())).toEqual([
    'PNG',
    'PNG',
  ])
})

test('speech there, transcription back', async () => {
  const { audio } = await generateSpeech({
    model: openai.speech('tts-1'),
    text: 'Good evening',
    outputFormat: 'wav',
  })
  expect(Buffer.from(audio.uint8Array.subarray(0, 4)).toString()).toBe('RIFF')
  const { text } = await transcribe({ model: openai.transcription('whisper-1'), audio: audio.uint8Array })
  expect(text).toContain(`${audio.uint8Array.length} bytes`)
})
