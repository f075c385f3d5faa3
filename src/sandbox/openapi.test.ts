// The sandbox's answers against OpenAI's own description of its API: every sampled reply has the required members with the right
// types and values. The description is test data from elsewhere; without it this file is skipped.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { faults, present, schemaOf } from '../../test/openai-description.ts'
import { startSandbox } from './sandbox.ts'
import type { Sandbox } from './sandbox.ts'

describe.skipIf(!present)(
  'OpenAI’s description of its API (needs openapi.json in $HEADGATE_TEST_DATA)',
  () => {
    let sandbox: Sandbox
    beforeAll(async () => {
      sandbox = await startSandbox()
    })
    afterAll(() => sandbox.close())

    /** Calls, checks the reply against the description of `path`, and gives it. Names in `{}` are filled in from `ids`. */
    async function call(
      method: string,
      path: string,
      more: { body?: object | FormData; ids?: Record<string, string> } = {},
    ): Promise<any> {
      const { body, ids = {} } = more
      const target = path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name]!)
      const sent = body instanceof FormData || body === undefined ? body : JSON.stringify(body)
      const response = await fetch(sandbox.url + target, {
        method,
        body: sent,
        headers: { authorization: 'Bearer k' },
      })
      const value = await response.json()
      expect(faults(schemaOf(path, method, 'application/json'), value)).toEqual([])
      return value
    }

    /** The events of a streamed call, each checked. */
    async function stream(path: string, body: object): Promise<any[]> {
      const response = await fetch(sandbox.url + path, {
        method: 'POST',
        body: JSON.stringify({ ...body, stream: true }),
        headers: { authorization: 'Bearer k' },
      })
      const text = await response.text()
      const events = [...text.matchAll(/^data: (\{.*)$/gm)].map((match) => JSON.parse(match[1]!))
      const schema = schemaOf(path, 'POST', 'text/event-stream')
      for (const event of events) expect(faults(schema, event)).toEqual([])
      return events
    }

    const messages = [{ role: 'user', content: 'The weather in Oslo and in Rome' }]
    const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
    const form = (fields: Record<string, string | Blob>): FormData => {
      const made = new FormData()
      for (const [name, value] of Object.entries(fields)) made.append(name, value)
      return made
    }
    const upload = (content: string, purpose: string) =>
      call('POST', '/files', { body: form({ file: new File([content], 'a.jsonl'), purpose }) })

    test('chat completions', async () => {
      const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }]
      await call('POST', '/chat/completions', {
        body: { model: 'gpt-4o', messages, logprobs: true, top_logprobs: 2 },
      })
      await call('POST', '/chat/completions', { body: { model: 'gpt-5', messages, tools } })
      await stream('/chat/completions', { model: 'gpt-4o', messages, tools })
      await stream('/chat/completions', {
        model: 'gpt-4o',
        messages,
        logprobs: true,
        stream_options: { include_usage: true },
      })
      const { id } = await call('POST', '/chat/completions', {
        body: { model: 'gpt-4o', messages, store: true },
      })
      await call('GET', '/chat/completions')
      await call('GET', '/chat/completions/{completion_id}', { ids: { completion_id: id } })
      await call('DELETE', '/chat/completions/{completion_id}', { ids: { completion_id: id } })
    })

    test('responses', async () => {
      const tools = [{ type: 'function', name: 'get_weather', parameters, strict: true }]
      const { id } = await call('POST', '/responses', { body: { model: 'gpt-5', input: 'Hello' } })
      await call('POST', '/responses', { body: { model: 'gpt-4o', input: 'weather', tools } })
      await call('POST', '/responses', { body: { model: 'gpt-4o', input: 'Hello', background: true } })
      expect(
        (await stream('/responses', { model: 'gpt-5', input: 'Hello', reasoning: { summary: 'auto' } }))
          .length,
      ).toBeGreaterThan(10)
      await stream('/responses', { model: 'gpt-4o', input: 'weather', tools, max_output_tokens: 16 })
      await call('GET', '/responses/{response_id}', { ids: { response_id: id } })
      await call('GET', '/responses/{response_id}/input_items', { ids: { response_id: id } })
      await call('POST', '/responses/input_tokens', { body: { model: 'gpt-4o', input: 'Hello' } })
    })

    test('models, completions, embeddings, moderations, images, audio', async () => {
      await call('GET', '/models')
      await call('GET', '/models/{model}', { ids: { model: 'gpt-4o' } })
      await call('POST', '/completions', { body: { model: 'gpt-3.5-turbo-instruct', prompt: 'x' } })
      await call('POST', '/embeddings', { body: { model: 'text-embedding-3-small', input: 'x' } })
      await call('POST', '/moderations', { body: { input: 'x' } })
      await call('POST', '/images/generations', { body: { model: 'gpt-image-1', prompt: 'x' } })
      await stream('/images/generations', { model: 'gpt-image-1', prompt: 'x' })
      await call('POST', '/images/edits', {
        body: form({ image: new File(['x'], 'a.png'), prompt: 'x', model: 'gpt-image-1' }),
      })
      for (const response_format of ['json', 'verbose_json']) {
        await call('POST', '/audio/transcriptions', {
          body: form({ file: new File(['x'], 'a.wav'), model: 'whisper-1', response_format }),
        })
      }
    })

    test('files, uploads, batches', async () => {
      const line = JSON.stringify({
        custom_id: 'a',
        method: 'POST',
        url: '/v1/embeddings',
        body: { model: 'text-embedding-3-small', input: 'x' },
      })
      const { id } = await upload(line, 'batch')
      await call('GET', '/files')
      await call('GET', '/files/{file_id}', { ids: { file_id: id } })
      const made = await call('POST', '/uploads', {
        body: { bytes: 1, filename: 'a', mime_type: 'text/plain', purpose: 'user_data' },
      })
      const ids = { upload_id: made.id as string }
      const part = await call('POST', '/uploads/{upload_id}/parts', {
        ids,
        body: form({ data: new File(['x'], 'p') }),
      })
      await call('POST', '/uploads/{upload_id}/complete', { ids, body: { part_ids: [part.id] } })
      const batch = await call('POST', '/batches', {
        body: { endpoint: '/v1/embeddings', input_file_id: id, completion_window: '24h' },
      })
      expect((await call('GET', '/batches/{batch_id}', { ids: { batch_id: batch.id } })).status).toBe(
        'completed',
      )
      await call('GET', '/batches')
      await call('DELETE', '/files/{file_id}', { ids: { file_id: id } })
    })

    test('vector stores', async () => {
      const { id } = await upload('cats purr', 'assistants')
      const store = await call('POST', '/vector_stores', { body: { name: 'x' } })
      const ids = { vector_store_id: store.id as string, file_id: id as string }
      await call('POST', '/vector_stores/{vector_store_id}/files', { ids, body: { file_id: id } })
      await call('GET', '/vector_stores/{vector_store_id}/files', { ids })
      await call('POST', '/vector_stores/{vector_store_id}/search', { ids, body: { query: 'cats' } })
      await call('GET', '/vector_stores/{vector_store_id}/files/{file_id}/content', { ids })
      await call('POST', '/vector_stores/{vector_store_id}/file_batches', { ids, body: { file_ids: [id] } })
      await call('GET', '/vector_stores')
      await call('DELETE', '/vector_stores/{vector_store_id}/files/{file_id}', { ids })
      await call('DELETE', '/vector_stores/{vector_store_id}', { ids })
    })

    test('assistants and threads', async () => {
      const assistant = await call('POST', '/assistants', { body: { model: 'gpt-4o' } })
      const thread = await call('POST', '/threads', { body: { messages: [{ role: 'user', content: 'x' }] } })
      const ids = { thread_id: thread.id as string, run_id: '', step_id: '' }
      await call('POST', '/threads/{thread_id}/messages', { ids, body: { role: 'user', content: 'y' } })
      ids.run_id = (
        await call('POST', '/threads/{thread_id}/runs', { ids, body: { assistant_id: assistant.id } })
      ).id
      await call('GET', '/threads/{thread_id}/runs/{run_id}', { ids })
      await call('GET', '/threads/{thread_id}/runs/{run_id}/steps', { ids })
      await call('GET', '/threads/{thread_id}/messages', { ids })
      await call('POST', '/threads/runs', { body: { assistant_id: assistant.id, thread: { messages: [] } } })
      await call('GET', '/assistants')
      await call('DELETE', '/threads/{thread_id}', { ids })
    })

    test('fine-tuning, evals, containers, conversations, videos', async () => {
      const { id } = await upload('{}', 'fine-tune')
      const job = await call('POST', '/fine_tuning/jobs', {
        body: { model: 'gpt-4o-mini', training_file: id },
      })
      const ids: Record<string, string> = { fine_tuning_job_id: job.id }
      await call('GET', '/fine_tuning/jobs/{fine_tuning_job_id}/events', { ids })
      await call('GET', '/fine_tuning/jobs')
      const source = { type: 'logs', schema: {}, metadata: {} }
      ids['eval_id'] = (
        await call('POST', '/evals', {
          body: { name: 'e', data_source_config: source, testing_criteria: [] },
        })
      ).id
      await call('GET', '/evals/{eval_id}', { ids })
      const run = { name: 'r', data_source: { type: 'jsonl', source: { type: 'file_id', id } } }
      await call('POST', '/evals/{eval_id}/runs', { ids, body: run })
      ids['container_id'] = (await call('POST', '/containers', { body: { name: 'c' } })).id
      await call('POST', '/containers/{container_id}/files', {
        ids,
        body: form({ file: new File(['x'], 'a.txt') }),
      })
      await call('GET', '/containers')
      ids['conversation_id'] = (await call('POST', '/conversations', { body: {} })).id
      await call('POST', '/conversations/{conversation_id}/items', {
        ids,
        body: { items: [{ type: 'message', role: 'user', content: 'x' }] },
      })
      await call('GET', '/conversations/{conversation_id}/items', { ids })
      await call('POST', '/videos', { body: form({ prompt: 'x' }) })
    })
  },
)
