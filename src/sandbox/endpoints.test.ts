import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import OpenAI, { toFile } from 'openai'
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

async function failure(call: PromiseLike<unknown>): Promise<unknown> {
  return call.then(
    () => null,
    (cause: unknown) => cause,
  )
}

test('models are listed, read and only fine-tuned ones deleted', async () => {
  const ids = (await client.models.list()).data.map(({ id }) => id)
  expect(ids).toEqual(
    expect.arrayContaining(['gpt-4o', 'gpt-5', 'o3', 'whisper-1', 'dall-e-3', 'gpt-realtime']),
  )
  expect((await client.models.retrieve('gpt-4o')).object).toBe('model')
  expect(await failure(client.models.retrieve('gpt/none'))).toMatchObject({
    status: 404,
    code: 'model_not_found',
  })
  expect(await failure(client.models.delete('gpt-4o'))).toMatchObject({ status: 403 })
  expect((await client.models.delete('ft:gpt-4o-mini:me::abc')).deleted).toBe(true)
  expect(await failure(client.models.retrieve('ft:gpt-4o-mini:me::abc'))).toMatchObject({ status: 404 })
})

test('HEAD is answered as GET, without the body', async () => {
  const headers = { authorization: 'Bearer sk-any' }
  const [head, get] = await Promise.all(
    ['HEAD', 'GET'].map((method) => fetch(`${sandbox.url}/models`, { method, headers })),
  )
  expect([head!.status, await head!.text()]).toEqual([200, ''])
  expect(head!.headers.get('content-length')).toBe(String((await get!.text()).length))
  expect((await fetch(`${sandbox.url}/none`, { method: 'HEAD', headers })).status).toBe(404)
})

test('the bare address says what this is', async () => {
  const response = await fetch(new URL('/', sandbox.url))
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(await response.text()).toBe(
    "The Headgate sandbox is running. Point your OpenAI client's base URL at /v1 of this address.\n",
  )
})

test('text completions, JSON and SSE', async () => {
  const ask = { model: 'gpt-3.5-turbo-instruct', prompt: 'Say: a b c d', max_tokens: 3 }
  const plain = await client.completions.create(ask)
  expect(plain.choices[0]).toMatchObject({ finish_reason: 'length', index: 0 })
  expect(plain.usage!.completion_tokens).toBe(3)
  const stream = await client.completions.create({
    ...ask,
    stream: true,
    stream_options: { include_usage: true },
  })
  let text = ''
  let last
  for await (const chunk of stream) {
    text += chunk.choices[0]?.text ?? ''
    last = chunk
  }
  expect(text).toBe(plain.choices[0]!.text)
  expect(last?.usage).toEqual(plain.usage)
})

const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

test('embeddings: unit length, the same for the same, close for the similar', async () => {
  const input = [
    'How do I reset my password?',
    'How can I reset my password',
    'The weather in Paris is rainy',
  ]
  const { data, usage, model } = await client.embeddings.create({ model: 'text-embedding-3-small', input })
  const [one, two, other] = data.map(({ embedding }) => embedding) as [number[], number[], number[]]
  expect(one).toHaveLength(1536)
  expect(dot(one, one)).toBeCloseTo(1, 4)
  expect(dot(one, two)).toBeGreaterThan(0.7)
  expect(dot(one, other)).toBeLessThan(0.3)
  expect(model).toBe('text-embedding-3-small')
  expect(usage.prompt_tokens).toBeGreaterThan(10)
  const floats = await client.embeddings.create({
    model: 'text-embedding-3-small',
    input: input[0]!,
    encoding_format: 'float',
  })
  expect(dot(one, floats.data[0]!.embedding)).toBeCloseTo(1, 4)
  const small = await client.embeddings.create({
    model: 'text-embedding-3-large',
    input: [
      [1, 2, 3],
      [1, 2, 4],
    ],
    dimensions: 64,
  })
  expect(small.data.map(({ embedding }) => embedding.length)).toEqual([64, 64])
  expect(small.usage.prompt_tokens).toBe(6)
  expect(
    await failure(client.embeddings.create({ model: 'text-embedding-3-small', input: '' })),
  ).toMatchObject({ status: 400 })
  const wide = client.embeddings.create({ model: 'text-embedding-3-small', input: 'x', dimensions: 2000 })
  expect(await failure(wide)).toMatchObject({ status: 400, param: 'dimensions' })
})

test('moderation flags what says so', async () => {
  const { results } = await client.moderations.create({
    model: 'omni-moderation-latest',
    input: ['have a nice day', 'I will attack them'],
  })
  expect(results.map(({ flagged }) => flagged)).toEqual([false, true])
  expect(results[1]!.categories.violence).toBe(true)
})

test('images are valid PNGs', async () => {
  const made = await client.images.generate({ model: 'gpt-image-1', prompt: 'a red house', n: 2 })
  expect(made.data).toHaveLength(2)
  const png = Buffer.from(made.data![0]!.b64_json!, 'base64')
  expect(png.toString('latin1', 1, 4)).toBe('PNG')
  const at = png.indexOf('IDAT') + 4
  expect(inflateSync(png.subarray(at, at + png.readUInt32BE(at - 8)))).toHaveLength(8 * 25)
  expect(made.usage!.output_tokens).toBe(544)
  const linked = await client.images.generate({ model: 'dall-e-3', prompt: 'a red house' })
  const fetched = await fetch(linked.data![0]!.url!)
  expect(fetched.headers.get('content-type')).toBe('image/png')
  const image = await toFile(png, 'a.png', { type: 'image/png' })
  const edited = await client.images.edit({ model: 'gpt-image-1', image: [image, image], prompt: 'bluer' })
  expect(edited.data![0]!.b64_json).not.toBe(made.data![0]!.b64_json)
  expect(edited.usage!.input_tokens_details.image_tokens).toBe(128)
})

test('speech comes in chunks with the type of its format', async () => {
  const wav = await client.audio.speech.create({
    model: 'tts-1',
    voice: 'alloy',
    input: 'Hello',
    response_format: 'wav',
  })
  const bytes = Buffer.from(await wav.arrayBuffer())
  expect(wav.headers.get('content-type')).toBe('audio/wav')
  expect(wav.headers.get('transfer-encoding')).toBe('chunked')
  expect(bytes.toString('latin1', 0, 4)).toBe('RIFF')
  expect(bytes.readUInt32LE(40)).toBe(bytes.length - 44)
  const again = await client.audio.speech.create({
    model: 'tts-1',
    voice: 'alloy',
    input: 'Hello',
    response_format: 'wav',
  })
  expect(Buffer.from(await again.arrayBuffer()).equals(bytes)).toBe(true)
})

test('transcripts in every format, and streamed', async () => {
  const file = await toFile(Buffer.alloc(64_000, 7), 'talk.wav', { type: 'audio/wav' })
  const json = await client.audio.transcriptions.create({ file, model: 'whisper-1' })
  expect(json.text).toContain('talk.wav, 64000 bytes')
  const srt = await client.audio.transcriptions.create({ file, model: 'whisper-1', response_format: 'srt' })
  expect(srt).toContain('00:00:00,000 --> 00:00:02,000')
  const verbose = await client.audio.transcriptions.create({
    file,
    model: 'whisper-1',
    response_format: 'verbose_json',
  })
  expect(verbose.segments![0]!.text).toBe(json.text)
  const stream = await client.audio.transcriptions.create({ file, model: 'gpt-4o-transcribe', stream: true })
  let text = ''
  for await (const event of stream) if (event.type === 'transcript.text.delta') text += event.delta
  expect(text).toBe(json.text)
  expect((await client.audio.translations.create({ file, model: 'whisper-1' })).text).toContain('translation')
})

test('files: upload, list, read, content, delete', async () => {
  const content = Buffer.from('{"a":1}\r\n--not-a-boundary\r\n{"b":2}')
  const made = await client.files.create({ file: await toFile(content, 'ünï "x".jsonl'), purpose: 'batch' })
  expect(made).toMatchObject({ object: 'file', bytes: content.length, purpose: 'batch', status: 'processed' })
  expect((await client.files.list({ purpose: 'batch' })).data.map(({ id }) => id)).toEqual([made.id])
  expect((await client.files.retrieve(made.id)).filename).toBe('ünï "x".jsonl')
  const back = Buffer.from(await (await client.files.content(made.id)).arrayBuffer())
  expect(back.equals(content)).toBe(true)
  await client.files.delete(made.id)
  expect(await failure(client.files.retrieve(made.id))).toMatchObject({ status: 404 })
})

test('a big upload is hashed whole and kept in part', async () => {
  const piece = new Uint8Array(1024 * 1024).map((_, i) => (i * 31) & 255)
  const hash = createHash('sha256')
  const blob = new Blob(Array.from({ length: 24 }, () => piece))
  for (let i = 0; i < 24; i++) hash.update(piece)
  const made = await client.files.create({ file: new File([blob], 'big.bin'), purpose: 'user_data' })
  expect(made).toMatchObject({ bytes: 24 * 1024 * 1024, sha256: hash.digest('hex') })
  expect(await failure(client.files.content(made.id))).toMatchObject({ status: 400 })
  expect(sandbox.requests.at(-2)!.body.length).toBe(1024 * 1024)
})

test('an upload in parts becomes one file', async () => {
  const data = Buffer.from('first part, second part')
  const upload = await client.uploads.create({
    bytes: data.length,
    filename: 'a.txt',
    mime_type: 'text/plain',
    purpose: 'user_data',
  })
  const one = await client.uploads.parts.create(upload.id, { data: await toFile(data.subarray(0, 10), 'p') })
  const two = await client.uploads.parts.create(upload.id, { data: await toFile(data.subarray(10), 'p') })
  const done = await client.uploads.complete(upload.id, { part_ids: [one.id, two.id] })
  expect(done.status).toBe('completed')
  expect(await (await client.files.content(done.file!.id)).text()).toBe(data.toString())
  expect(await failure(client.uploads.cancel(upload.id))).toMatchObject({ status: 400 })
})

test('a batch answers each line as the single call would', async () => {
  const slow = await startSandbox({ batchPolls: 1 })
  const own = new OpenAI({ apiKey: 'sk-test', baseURL: slow.url, maxRetries: 0 })
  const line = (id: string, model: string) =>
    JSON.stringify({
      custom_id: id,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model, messages: [{ role: 'user', content: `Say: ${id}` }] },
    })
  const input = await own.files.create({
    file: await toFile(Buffer.from(`${line('a', 'gpt-4o')}\n${line('b', 'gpt-9')}\n`), 'in.jsonl'),
    purpose: 'batch',
  })
  const made = await own.batches.create({
    endpoint: '/v1/chat/completions',
    input_file_id: input.id,
    completion_window: '24h',
  })
  expect(made.status).toBe('validating')
  expect((await own.batches.retrieve(made.id)).status).toBe('in_progress')
  const done = await own.batches.retrieve(made.id)
  expect(done).toMatchObject({ status: 'completed', request_counts: { total: 2, completed: 1, failed: 1 } })
  const output = JSON.parse(await (await own.files.content(done.output_file_id!)).text())
  expect(output).toMatchObject({
    custom_id: 'a',
    response: { status_code: 200, body: { choices: [{ message: { content: 'a' } }] } },
  })
  expect(await (await own.files.content(done.error_file_id!)).text()).toContain('model_not_found')
  expect((await own.batches.cancel(made.id)).status).toBe('cancelling')
  await slow.close()
})

test('a vector store finds the file that fits', async () => {
  const make = async (text: string) =>
    (
      await client.files.create({
        file: await toFile(Buffer.from(text), `${text.slice(0, 4)}.txt`),
        purpose: 'assistants',
      })
    ).id
  const [cats, tax] = [
    await make('Cats purr when they are content and warm.'),
    await make('Income tax is due in April each year.'),
  ]
  const store = await client.vectorStores.create({ name: 'docs', file_ids: [cats] })
  await client.vectorStores.files.create(store.id, { file_id: tax })
  const page = await client.vectorStores.search(store.id, {
    query: 'When is income tax due?',
    max_num_results: 1,
  })
  expect(page.data.map(({ file_id }) => file_id)).toEqual([tax])
  expect((await client.vectorStores.files.list(store.id)).data).toHaveLength(2)
  expect((await client.vectorStores.retrieve(store.id)).file_counts.total).toBe(2)
  const batch = await client.vectorStores.fileBatches.create(store.id, { file_ids: [cats] })
  expect(
    (await client.vectorStores.fileBatches.retrieve(batch.id, { vector_store_id: store.id })).status,
  ).toBe('completed')
  expect((await client.vectorStores.delete(store.id)).deleted).toBe(true)
})

test('assistants: a thread is run, plain and streamed', async () => {
  const { assistants, threads } = client.beta
  const assistant = await assistants.create({ model: 'gpt-4o', name: 'Helper' })
  const thread = await threads.create({ messages: [{ role: 'user', content: 'Say: from the thread' }] })
  const run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id })
  expect(run).toMatchObject({ status: 'completed', model: 'gpt-4o-2024-08-06' })
  const [newest] = (await threads.messages.list(thread.id)).data
  expect(newest!.content[0]).toMatchObject({ type: 'text', text: { value: 'from the thread' } })
  expect((await threads.runs.steps.list(run.id, { thread_id: thread.id })).data).toHaveLength(1)
  const streamed = threads.runs.stream(thread.id, { assistant_id: assistant.id })
  let text = ''
  streamed.on('textDelta', ({ value }) => (text += value ?? ''))
  await streamed.finalRun()
  expect(text).toBe('from the thread')
  expect(await failure(threads.runs.create(thread.id, { assistant_id: 'asst_none' }))).toMatchObject({
    status: 404,
  })
})

test('kept objects page by cursor', async () => {
  for (let i = 0; i < 5; i++)
    await client.evals.create({ name: `e${i}`, data_source_config: { type: 'logs' }, testing_criteria: [] })
  const names = []
  for await (const one of client.evals.list({ limit: 2 })) names.push(one.name)
  expect(names).toEqual(['e0', 'e1', 'e2', 'e3', 'e4'])
  const first = await client.evals.list({ limit: 2, order: 'desc' })
  expect(first).toMatchObject({ has_more: true })
  expect(first.data.map(({ name }) => name)).toEqual(['e4', 'e3'])
})

test('fine-tuning, containers, evals’ runs, videos', async () => {
  const training = await client.files.create({
    file: await toFile(Buffer.from('{}'), 't.jsonl'),
    purpose: 'fine-tune',
  })
  const job = await client.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: training.id })
  expect(job.fine_tuned_model).toStartWith('ft:gpt-4o-mini-2024-07-18:')
  expect((await client.fineTuning.jobs.listEvents(job.id)).data.length).toBeGreaterThan(2)
  expect((await client.fineTuning.jobs.cancel(job.id)).status).toBe('cancelled')
  const answer = await client.chat.completions.create({
    model: job.fine_tuned_model!,
    messages: [{ role: 'user', content: 'Say: tuned' }],
  })
  expect(answer.choices[0]!.message.content).toBe('tuned')
  const container = await client.containers.create({ name: 'c' })
  const file = await client.containers.files.create(container.id, {
    file: await toFile(Buffer.from('abc'), 'a.txt'),
  })
  expect(file).toMatchObject({ bytes: 3, path: '/mnt/data/a.txt', container_id: container.id })
  const content = await client.containers.files.content.retrieve(file.id, { container_id: container.id })
  expect(await content.text()).toBe('abc')
  const made = await client.evals.create({
    name: 'e',
    data_source_config: { type: 'logs' },
    testing_criteria: [],
  })
  const run = await client.evals.runs.create(made.id, {
    data_source: { type: 'jsonl', source: { type: 'file_id', id: training.id } },
  })
  expect(run.status).toBe('completed')
  const video = await client.videos.create({ prompt: 'waves' })
  const units = sandbox.books().map((row) => row.units)
  expect(units.filter((each) => each !== null)).toEqual([
    { 'containers/1g': 1 },
    { 'videoSeconds/720x1280': 4 },
  ])
  expect((await client.videos.downloadContent(video.id)).headers.get('content-type')).toBe('video/mp4')
})
