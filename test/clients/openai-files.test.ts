// The official JavaScript client through the gateway: files of any kind and size, uploads in parts, batches, vector stores.

import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { createReadStream, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI, { toFile } from 'openai'
import { scratchFolder } from '../gateway/harness.ts'
import { caught, clientKey, startService } from './service.ts'

const service = await startService()
const openai = new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0 })
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Bytes in which every place differs, so that an exchanged or repeated piece is seen. */
function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at)
  return bytes
}

/** The digest that the upstream took of what it got. */
const arrived = (file: object): unknown => (file as { sha256?: string }).sha256

describe('files', () => {
  test('from a buffer: create, retrieve, content, list, delete', async () => {
    const bytes = patterned(100_001)
    const made = await openai.files.create({
      file: await toFile(bytes, 'naïve name.bin'),
      purpose: 'user_data',
    })
    expect(made).toMatchObject({ bytes: bytes.length, filename: 'naïve name.bin', purpose: 'user_data' })
    expect(arrived(made)).toBe(sha256(bytes))
    expect((await openai.files.retrieve(made.id)).id).toBe(made.id)
    const content = await openai.files.content(made.id)
    expect(sha256(Buffer.from(await content.arrayBuffer()))).toBe(sha256(bytes))
    const listed: string[] = []
    for await (const file of openai.files.list({ purpose: 'user_data' })) listed.push(file.id)
    expect(listed).toEqual([made.id])
    expect((await openai.files.delete(made.id)).deleted).toBe(true)
    await caught(openai.files.retrieve(made.id), OpenAI.NotFoundError)
  })

  test('from a file on disk, and from a response', async () => {
    const path = join(scratchFolder(), 'notes.txt')
    const bytes = patterned(3_000_000)
    writeFileSync(path, bytes)
    const fromDisk = await openai.files.create({ file: createReadStream(path), purpose: 'assistants' })
    expect(arrived(fromDisk)).toBe(sha256(bytes))
    expect(fromDisk.filename).toBe('notes.txt')
    const fromBun = await openai.files.create({ file: Bun.file(path), purpose: 'assistants' })
    expect(arrived(fromBun)).toBe(sha256(bytes))
    const fromResponse = await openai.files.create({
      file: await toFile(new Response('over the net'), 'net.txt'),
      purpose: 'assistants',
    })
    expect(arrived(fromResponse)).toBe(sha256(Buffer.from('over the net')))
  })

  test('20 MB arrive whole', async () => {
    const bytes = patterned(20 * 1024 * 1024)
    const made = await openai.files.create({ file: await toFile(bytes, 'big.bin'), purpose: 'batch' })
    expect(made.bytes).toBe(bytes.length)
    expect(arrived(made)).toBe(sha256(bytes))
    const line = await service.gate.logged(({ bytesIn }) => bytesIn > bytes.length)
    expect(line).toMatchObject({
      method: 'POST',
      path: '/v1/files',
      endpoint: 'files',
      status: 200,
      key: 'client',
    })
  })

  test('5 MB come back whole', async () => {
    const bytes = patterned(5 * 1024 * 1024)
    const made = await openai.files.create({ file: await toFile(bytes, 'half.bin'), purpose: 'batch' })
    const content = await openai.files.content(made.id)
    expect(sha256(Buffer.from(await content.arrayBuffer()))).toBe(sha256(bytes))
  })
})

test('uploads in parts', async () => {
  const bytes = patterned(2_000_000)
  const ask = {
    bytes: bytes.length,
    filename: 'parts.bin',
    mime_type: 'application/octet-stream',
    purpose: 'batch' as const,
  }
  const upload = await openai.uploads.create(ask)
  const parts: string[] = []
  for (const half of [bytes.subarray(0, 1_200_000), bytes.subarray(1_200_000)])
    parts.push((await openai.uploads.parts.create(upload.id, { data: await toFile(half, 'part') })).id)
  const done = await openai.uploads.complete(upload.id, { part_ids: parts })
  expect(done.status).toBe('completed')
  expect(arrived(done.file!)).toBe(sha256(bytes))
  const other = await openai.uploads.create(ask)
  expect((await openai.uploads.cancel(other.id)).status).toBe('cancelled')
  await caught(openai.uploads.complete(other.id, { part_ids: [] }), OpenAI.BadRequestError)
})

test('batches: create, retrieve, list, cancel, and their answers', async () => {
  const lines = ['Lisbon', 'Riga'].map((city, i) =>
    JSON.stringify({
      custom_id: `q${i}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model: 'gpt-4o-mini', messages: [{ role: 'user', content: city }] },
    }),
  )
  const input = await openai.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  })
  const made = await openai.batches.create({
    input_file_id: input.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  })
  const done = await openai.batches.retrieve(made.id)
  expect(done.status).toBe('completed')
  expect(done.request_counts).toEqual({ total: 2, completed: 2, failed: 0 })
  const answers = (await (await openai.files.content(done.output_file_id!)).text()).trim().split('\n')
  expect(answers.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id)).toEqual(['q0', 'q1'])
  expect(answers[1]).toContain('Riga')
  const listed: string[] = []
  for await (const batch of openai.batches.list()) listed.push(batch.id)
  expect(listed).toEqual([made.id])
  expect((await openai.batches.cancel(made.id)).status).toBe('cancelling')
})

describe('vector stores', () => {
  const write = async (name: string, text: string) =>
    openai.files.create({ file: await toFile(Buffer.from(text), name), purpose: 'assistants' })

  test('files are attached and found', async () => {
    const tides = await write(
      'tides.txt',
      'The moon pulls the sea and makes the tides rise and fall twice a day.',
    )
    const bread = await write(
      'bread.txt',
      'Flour, water, salt and yeast are kneaded, left to rise and baked.',
    )
    const store = await openai.vectorStores.create({ name: 'shelf', file_ids: [tides.id] })
    const attached = await openai.vectorStores.files.createAndPoll(store.id, { file_id: bread.id })
    expect(attached.status).toBe('completed')
    const listed: string[] = []
    for await (const file of openai.vectorStores.files.list(store.id)) listed.push(file.id)
    expect(listed.toSorted()).toEqual([tides.id, bread.id].toSorted())
    const found = await openai.vectorStores.search(store.id, {
      query: 'how is bread baked with flour and yeast',
    })
    expect(found.data[0]!.filename).toBe('bread.txt')
    const content = await openai.vectorStores.files.content(bread.id, { vector_store_id: store.id })
    expect(JSON.stringify(content.data)).toContain('yeast')
    await openai.vectorStores.files.delete(bread.id, { vector_store_id: store.id })
    await caught(
      openai.vectorStores.files.retrieve(bread.id, { vector_store_id: store.id }),
      OpenAI.NotFoundError,
    )
  })

  test('batches of files, update, list, delete', async () => {
    const store = await openai.vectorStores.create({ name: 'a' })
    const files = [await write('1.txt', 'one'), await write('2.txt', 'two')]
    const batch = await openai.vectorStores.fileBatches.createAndPoll(store.id, {
      file_ids: files.map(({ id }) => id),
    })
    expect(batch.file_counts.completed).toBe(2)
    expect((await openai.vectorStores.update(store.id, { name: 'b' })).name).toBe('b')
    expect((await openai.vectorStores.retrieve(store.id)).name).toBe('b')
    expect((await openai.vectorStores.list()).data).toHaveLength(1)
    expect((await openai.vectorStores.delete(store.id)).deleted).toBe(true)
  })
})
