// The official JavaScript client through the gateway: assistants and their threads, fine-tuning, evals, containers, videos.

import { describe, expect, test } from 'bun:test'
import OpenAI, { toFile } from 'openai'
import { caught, clientKey, startService } from './service.ts'

const service = await startService()
const openai = new OpenAI({ apiKey: clientKey, baseURL: service.baseURL, maxRetries: 0 })
const model = 'gpt-4o-mini'

async function ids(list: AsyncIterable<{ id: string }>): Promise<string[]> {
  const found: string[] = []
  for await (const { id } of list) found.push(id)
  return found
}

describe('assistants', () => {
  const { assistants, threads } = openai.beta

  test('create, retrieve, update, list, delete', async () => {
    const made = await assistants.create({ model, name: 'Pilot', instructions: 'Steer' })
    expect((await assistants.retrieve(made.id)).name).toBe('Pilot')
    expect((await assistants.update(made.id, { name: 'Mate' })).name).toBe('Mate')
    expect(await ids(assistants.list())).toEqual([made.id])
    expect((await assistants.delete(made.id)).deleted).toBe(true)
    const beta = service.sandbox.requests[0]!.headers.find(([name]) => name.toLowerCase() === 'openai-beta')
    expect(beta?.[1]).toBe('assistants=v2')
  })

  test('a thread, its messages, a run and its steps', async () => {
    const assistant = await assistants.create({ model })
    const thread = await threads.create({ messages: [{ role: 'user', content: 'Where is the harbour?' }] })
    await threads.messages.create(thread.id, { role: 'user', content: 'The harbour of Bergen' })
    const run = await threads.runs.createAndPoll(
      thread.id,
      { assistant_id: assistant.id },
      { pollIntervalMs: 5 },
    )
    expect(run.status).toBe('completed')
    expect(run.usage!.total_tokens).toBeGreaterThan(0)
    const [answer] = (await threads.messages.list(thread.id)).data
    expect(answer!.role).toBe('assistant')
    expect(JSON.stringify(answer!.content)).toContain('Bergen')
    expect(await ids(threads.runs.steps.list(run.id, { thread_id: thread.id }))).toHaveLength(1)
    expect(await ids(threads.runs.list(thread.id))).toEqual([run.id])
    expect((await threads.messages.delete(answer!.id, { thread_id: thread.id })).deleted).toBe(true)
    expect((await threads.delete(thread.id)).deleted).toBe(true)
    await caught(threads.retrieve(thread.id), OpenAI.NotFoundError)
  })

  test('a run as a stream', async () => {
    const assistant = await assistants.create({ model })
    const thread = await threads.create({ messages: [{ role: 'user', content: 'Lighthouses' }] })
    const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id })
    let deltas = ''
    stream.on('textDelta', ({ value }) => (deltas += value ?? ''))
    const messages = await stream.finalMessages()
    expect(deltas).toContain('Lighthouses')
    expect(JSON.stringify(messages[0]!.content)).toContain(JSON.stringify(deltas).slice(1, -1))
    expect((await stream.finalRun()).status).toBe('completed')
  })

  test('thread and run in one', async () => {
    const assistant = await assistants.create({ model })
    const run = await threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: { messages: [{ role: 'user', content: 'Buoys' }] },
    })
    expect(run.status).toBe('completed')
    expect((await threads.runs.cancel(run.id, { thread_id: run.thread_id })).id).toBe(run.id)
  })
})

test('fine-tuning: create, retrieve, list, events, checkpoints, pause, resume, cancel', async () => {
  const { jobs } = openai.fineTuning
  const file = await openai.files.create({
    file: await toFile(Buffer.from('{}\n'), 'train.jsonl'),
    purpose: 'fine-tune',
  })
  const job = await jobs.create({ model, training_file: file.id, suffix: 'acme' })
  expect((await jobs.retrieve(job.id)).fine_tuned_model).toContain('acme')
  expect(await ids(jobs.list())).toEqual([job.id])
  expect((await ids(jobs.listEvents(job.id))).length).toBeGreaterThan(0)
  expect(await ids(jobs.checkpoints.list(job.id))).toEqual([])
  expect((await jobs.pause(job.id)).id).toBe(job.id)
  expect((await jobs.resume(job.id)).id).toBe(job.id)
  expect((await jobs.cancel(job.id)).status).toBe('cancelled')
})

test('evals and their runs', async () => {
  const made = await openai.evals.create({
    name: 'spelling',
    data_source_config: { type: 'custom', item_schema: { type: 'object' } },
    testing_criteria: [{ type: 'string_check', name: 'same', input: 'a', reference: 'a', operation: 'eq' }],
  })
  expect((await openai.evals.retrieve(made.id)).name).toBe('spelling')
  expect((await openai.evals.update(made.id, { name: 'grammar' })).name).toBe('grammar')
  expect(await ids(openai.evals.list())).toEqual([made.id])
  const source = { type: 'file_content' as const, content: [{ item: { a: 1 } }] }
  const run = await openai.evals.runs.create(made.id, { data_source: { type: 'jsonl', source } })
  expect((await openai.evals.runs.retrieve(run.id, { eval_id: made.id })).status).toBe('completed')
  expect(await openai.evals.delete(made.id)).toMatchObject({ deleted: true })
})

test('containers and their files', async () => {
  const container = await openai.containers.create({ name: 'shed' })
  expect((await openai.containers.retrieve(container.id)).name).toBe('shed')
  const file = await openai.containers.files.create(container.id, {
    file: await toFile(Buffer.from('1,2'), 'a.csv'),
  })
  expect(file.path).toContain('a.csv')
  const content = await openai.containers.files.content.retrieve(file.id, { container_id: container.id })
  expect(await content.text()).toBe('1,2')
  expect(await ids(openai.containers.files.list(container.id))).toEqual([file.id])
  await openai.containers.files.delete(file.id, { container_id: container.id })
  await openai.containers.delete(container.id)
  await caught(openai.containers.retrieve(container.id), OpenAI.NotFoundError)
})

test('videos: a form up, a film down', async () => {
  const made = await openai.videos.create({ model: 'sora-2', prompt: 'waves', seconds: '4' })
  expect((await openai.videos.retrieve(made.id)).status).toBe('completed')
  const film = await openai.videos.downloadContent(made.id)
  expect(film.headers.get('content-type')).toBe('video/mp4')
  expect(
    Buffer.from(await film.arrayBuffer())
      .subarray(4, 8)
      .toString(),
  ).toBe('ftyp')
  expect(await ids(openai.videos.list())).toEqual([made.id])
  expect(await openai.videos.delete(made.id)).toMatchObject({ id: made.id, deleted: true })
})

test('paths the client has no method for', async () => {
  expect(await openai.get<{ object: string }>('/models')).toMatchObject({ object: 'list' })
  const echoed = await openai.post<object>('/echo', { body: { a: 1 }, query: { b: '2' } })
  expect(JSON.stringify(echoed)).toContain('b=2')
  await caught(openai.post('/some/future/thing', { body: {} }), OpenAI.NotFoundError)
})
