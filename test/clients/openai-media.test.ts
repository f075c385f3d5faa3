// The official JavaScript client through the gateway: embeddings, moderations, models, images, audio: vectors and
// binaries down, forms up.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import OpenAI, { toFile } from 'openai'
import { caught, clientKey, startService } from './service.ts'

const service = await startService()
const openai = new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0 })
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('embeddings', () => {
  test('floats and base64 are the same vector', async () => {
    const ask = { model: 'text-embedding-3-small', input: 'the sea' }
    // The client asks for base64 where nothing is said, and decodes it.
    const [usual, floats, base64] = [
      await openai.embeddings.create(ask),
      await openai.embeddings.create({ ...ask, encoding_format: 'float' }),
      await openai.embeddings.create({ ...ask, encoding_format: 'base64' }),
    ]
    const vector = floats.data[0]!.embedding
    expect(vector).toHaveLength(1536)
    expect([...Float32Array.from(usual.data[0]!.embedding)]).toEqual([...Float32Array.from(vector)])
    const bytes = Buffer.from(base64.data[0]!.embedding as unknown as string, 'base64')
    expect([
      ...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
    ]).toEqual([...Float32Array.from(vector)])
    expect(floats.usage.prompt_tokens).toBeGreaterThan(0)
  })

  test('many inputs in order, with fewer dimensions', async () => {
    const input = Array.from({ length: 200 }, (_, i) => `text number ${i}`)
    const { data } = await openai.embeddings.create({
      model: 'text-embedding-3-large',
      input,
      dimensions: 64,
    })
    expect(data.map(({ index }) => index)).toEqual(input.map((_, i) => i))
    expect(data.every(({ embedding }) => embedding.length === 64)).toBe(true)
  })
})

test('moderations', async () => {
  const { results } = await openai.moderations.create({ input: ['I will kill you', 'I like tea'] })
  expect(results.map(({ flagged }) => flagged)).toEqual([true, false])
})

describe('models', () => {
  test('list and retrieve', async () => {
    const ids: string[] = []
    for await (const { id } of openai.models.list()) ids.push(id)
    expect(ids).toContain('gpt-4o-mini')
    expect(await openai.models.retrieve('gpt-4o-mini')).toMatchObject({ id: 'gpt-4o-mini', object: 'model' })
    await caught(openai.models.retrieve('gpt-nothing'), OpenAI.NotFoundError)
  })

  test('a name with a slash goes up as it was sent', async () => {
    await caught(openai.models.retrieve('meta/llama-3'), OpenAI.NotFoundError)
    expect(service.sandbox.requests.at(-1)!.target).toBe('/v1/models/meta%2Fllama-3')
    const id = 'ft:gpt-4o-mini:acme:a/b'
    expect((await openai.models.retrieve(id)).id).toBe(id)
    expect((await openai.models.delete(id)).deleted).toBe(true)
    await caught(openai.models.delete('gpt-4o'), OpenAI.PermissionDeniedError)
  })
})

describe('images', () => {
  const png = Buffer.from([0x89, 0x50, 0x4e, 0x47])

  test('generate, as base64 and as URL', async () => {
    const made = await openai.images.generate({ model: 'gpt-image-1', prompt: 'a boat', n: 2 })
    expect(made.data!.map((one) => Buffer.from(one.b64_json!, 'base64').subarray(0, 4))).toEqual([png, png])
    expect(made.usage!.output_tokens).toBeGreaterThan(0)
    const linked = await openai.images.generate({ model: 'dall-e-3', prompt: 'a boat' })
    expect(linked.data![0]!.url).toStartWith('http')
  })

  test('generate as a stream', async () => {
    const types: string[] = []
    for await (const event of await openai.images.generate({
      model: 'gpt-image-1',
      prompt: 'a boat',
      stream: true,
      partial_images: 1,
    }))
      types.push(event.type)
    expect(types).toEqual(['image_generation.partial_image', 'image_generation.completed'])
  })

  test('edit with two pictures and a mask; variation', async () => {
    const picture = (name: string) =>
      toFile(Buffer.concat([png, Buffer.alloc(50_000, 1)]), name, { type: 'image/png' })
    const edited = await openai.images.edit({
      model: 'gpt-image-1',
      prompt: 'add a mast',
      image: [await picture('a.png'), await picture('b.png')],
      mask: await picture('mask.png'),
    })
    expect(edited.data).toHaveLength(1)
    expect(service.sandbox.requests[0]!.bodyLength).toBeGreaterThan(150_000)
    const varied = await openai.images.createVariation({ image: await picture('a.png') })
    expect(varied.data).toHaveLength(1)
  })
})

describe('audio', () => {
  test('speech comes as bytes', async () => {
    const answer = await openai.audio.speech.create({
      model: 'tts-1',
      voice: 'alloy',
      input: 'Good morning to all',
      response_format: 'wav',
    })
    expect(answer.headers.get('content-type')).toBe('audio/wav')
    const bytes = Buffer.from(await answer.arrayBuffer())
    expect(bytes.subarray(0, 4).toString()).toBe('RIFF')
    expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8)
  })

  test('speech is read as it comes', async () => {
    const answer = await openai.audio.speech.create({
      model: 'tts-1',
      voice: 'alloy',
      input: 'x'.repeat(2000),
    })
    let [pieces, length] = [0, 0]
    for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
      pieces++
      length += piece.length
    }
    expect(length).toBeGreaterThan(3_000_000)
    expect(pieces).toBeGreaterThan(1)
  })

  test('transcriptions in every form, and streamed', async () => {
    const sound = Buffer.alloc(300_000, 3)
    const { transcriptions } = openai.audio
    const file = () => toFile(sound, 'talk.wav')
    const json = await transcriptions.create({ model: 'whisper-1', file: await file() })
    expect(json.text).toContain(`300000 bytes, ${sha256(sound).slice(0, 8)}`)
    expect(
      await transcriptions.create({ model: 'whisper-1', file: await file(), response_format: 'text' }),
    ).toContain('talk.wav')
    expect(
      await transcriptions.create({ model: 'whisper-1', file: await file(), response_format: 'vtt' }),
    ).toStartWith('WEBVTT')
    const verbose = await transcriptions.create({
      model: 'whisper-1',
      file: await file(),
      response_format: 'verbose_json',
    })
    expect(verbose.segments).toHaveLength(1)
    let text = ''
    for await (const event of await transcriptions.create({
      model: 'gpt-4o-transcribe',
      file: await file(),
      stream: true,
    }))
      if (event.type === 'transcript.text.delta') text += event.delta
    expect(text).toBe(json.text)
  })

  test('translations', async () => {
    const made = await openai.audio.translations.create({
      model: 'whisper-1',
      file: await toFile(Buffer.alloc(10), 'a.mp3'),
    })
    expect(made.text).toContain('translation')
  })
})
