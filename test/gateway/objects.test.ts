// Promise: a file, a response, a thread and whatever else an upstream keeps for a caller can be read, used, listed and deleted
// by its owner alone. To everybody else it does not exist: not by its path, not named in a body, a form or a line of a batch,
// not in a list. It holds at once, in streams too, after a restart, and for every gateway on one store.

import { describe, expect, test } from 'bun:test'
import { Secret } from '../../src/base/secret.ts'
import type { Objects } from '../../src/objects/objects.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { postgresPrograms, startCluster } from '../storage/postgres-cluster.ts'
import { finallyClose, promiseTests, startGate, upstreamKey, type Gate } from './harness.ts'
import {
  amy,
  ann,
  at,
  bob,
  callerOf,
  chat,
  cyd,
  file,
  gone,
  hidden,
  idsOf,
  made,
  storedIn,
  treeAt,
  type Caller,
} from './object-world.ts'

promiseTests()

const sandbox = await startSandbox({ keys: [upstreamKey], recordsMax: 10_000 })
finallyClose(() => sandbox.close())

interface Kind {
  readonly name: string
  make(call: Caller): Promise<string>
  /** Where one is read; `{}` is its id. */
  readonly one: string
  readonly list?: string
  /** Further ways to touch it. */
  readonly also?: readonly (readonly [method: string, path: string, body?: unknown])[]
  /** Bodies that name it. */
  readonly named?: (id: string) => readonly (readonly [path: string, body: unknown])[]
  readonly canDelete?: boolean
}

const kinds: readonly Kind[] = [
  {
    name: 'file',
    make: (call) => file(call),
    one: '/files/{}',
    list: '/files',
    canDelete: true,
    also: [['GET', '/files/{}/content']],
    named: (id) => [
      ['/vector_stores', { file_ids: [id] }],
      ['/vector_stores', { name: 'x', FILE_IDS: [id] }],
      ['/fine_tuning/jobs', { model: 'gpt-4o-mini', training_file: id }],
      ['/batches', { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' }],
      [
        '/chat/completions',
        { ...chat, messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: id } }] }] },
      ],
      [
        '/responses',
        { model: 'gpt-4o-mini', input: [{ role: 'user', content: [{ type: 'input_file', file_id: id }] }] },
      ],
      [
        '/responses',
        {
          model: 'gpt-4o-mini',
          input: 'x',
          tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [id] } }],
        },
      ],
      ['/assistants', { model: 'gpt-4o-mini', tool_resources: { code_interpreter: { file_ids: [id] } } }],
      ['/threads', { messages: [{ role: 'user', content: 'x', attachments: [{ file_id: id }] }] }],
      ['/evals', { data_source: { type: 'jsonl', source: { type: 'file_id', id } } }],
      ['/images/edits', { images: [{ file_id: id }], prompt: 'x' }],
    ],
  },
  {
    name: 'upload',
    make: async (call) =>
      (
        await made(call, '/uploads', {
          bytes: 3,
          filename: 'a',
          purpose: 'assistants',
          mime_type: 'text/plain',
        })
      ).id,
    one: '/uploads/{}/cancel',
    also: [['POST', '/uploads/{}/complete', { part_ids: [] }]],
  },
  {
    name: 'response',
    make: async (call) => (await made(call, '/responses', { model: 'gpt-4o-mini', input: 'x' })).id,
    one: '/responses/{}',
    canDelete: true,
    also: [
      ['GET', '/responses/{}/input_items'],
      ['GET', '/responses/{}?stream=true'],
      ['POST', '/responses/{}/cancel'],
    ],
    named: (id) => [
      ['/responses', { model: 'gpt-4o-mini', input: 'x', previous_response_id: id }],
      ['/responses', { model: 'gpt-4o-mini', input: 'x', stream: true, previous_response_id: id }],
      ['/responses/input_tokens', { model: 'gpt-4o-mini', input: 'x', previous_response_id: id }],
      ['/responses/compact', { model: 'gpt-4o-mini', previous_response_id: id }],
    ],
  },
  {
    name: 'stored chat completion',
    make: async (call) => (await made(call, '/chat/completions', { ...chat, store: true })).id,
    one: '/chat/completions/{}',
    list: '/chat/completions',
    canDelete: true,
    also: [
      ['GET', '/chat/completions/{}/messages'],
      ['POST', '/chat/completions/{}', { metadata: { a: 'b' } }],
    ],
  },
  {
    name: 'batch',
    make: async (call) => {
      const line = JSON.stringify({ custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: chat })
      const id = await file(call, 'batch', `${line}\n`)
      return (
        await made(call, '/batches', {
          input_file_id: id,
          endpoint: '/v1/chat/completions',
          completion_window: '24h',
        })
      ).id
    },
    one: '/batches/{}',
    list: '/batches',
    also: [['POST', '/batches/{}/cancel']],
  },
  {
    name: 'conversation',
    make: async (call) =>
      (await made(call, '/conversations', { items: [{ type: 'message', role: 'user', content: 'x' }] })).id,
    one: '/conversations/{}',
    canDelete: true,
    also: [
      ['GET', '/conversations/{}/items'],
      ['POST', '/conversations/{}/items', { items: [{ type: 'message', role: 'user', content: 'y' }] }],
      ['POST', '/conversations/{}', { metadata: {} }],
    ],
    named: (id) => [
      ['/responses', { model: 'gpt-4o-mini', input: 'x', conversation: id }],
      ['/responses', { model: 'gpt-4o-mini', input: 'x', conversation: { id } }],
    ],
  },
  {
    name: 'vector store',
    make: async (call) => (await made(call, '/vector_stores', { name: 'x' })).id,
    one: '/vector_stores/{}',
    list: '/vector_stores',
    canDelete: true,
    also: [
      ['GET', '/vector_stores/{}/files'],
      ['POST', '/vector_stores/{}/search', { query: 'x' }],
      ['POST', '/vector_stores/{}', { name: 'y' }],
      ['GET', '/vector_stores/{}/file_batches/vsfb_000000000000'],
    ],
    named: (id) => [
      [
        '/responses',
        { model: 'gpt-4o-mini', input: 'x', tools: [{ type: 'file_search', vector_store_ids: [id] }] },
      ],
      ['/threads', { tool_resources: { file_search: { vector_store_ids: [id] } } }],
      [
        '/threads/runs',
        {
          instructions: 'x',
          thread: { tool_resources: { file_search: { vector_store_ids: [id] } } },
        },
      ],
    ],
  },
  {
    name: 'assistant',
    make: async (call) => (await made(call, '/assistants', { model: 'gpt-4o-mini' })).id,
    one: '/assistants/{}',
    list: '/assistants',
    canDelete: true,
    also: [['POST', '/assistants/{}', { name: 'mine now' }]],
    named: (id) => [['/threads/runs', { assistant_id: id, thread: {} }]],
  },
  {
    name: 'thread',
    make: async (call) => (await made(call, '/threads', { messages: [{ role: 'user', content: 'x' }] })).id,
    one: '/threads/{}',
    canDelete: true,
    also: [
      ['GET', '/threads/{}/messages'],
      ['POST', '/threads/{}/messages', { role: 'user', content: 'y' }],
      ['GET', '/threads/{}/runs'],
      ['POST', '/threads/{}', { metadata: {} }],
    ],
  },
  {
    name: 'fine-tuning job',
    make: async (call) =>
      (
        await made(call, '/fine_tuning/jobs', {
          model: 'gpt-4o-mini',
          training_file: await file(call, 'fine-tune'),
        })
      ).id,
    one: '/fine_tuning/jobs/{}',
    list: '/fine_tuning/jobs',
    also: [
      ['GET', '/fine_tuning/jobs/{}/events'],
      ['GET', '/fine_tuning/jobs/{}/checkpoints'],
      ['POST', '/fine_tuning/jobs/{}/cancel'],
    ],
  },
  {
    name: 'container',
    make: async (call) => (await made(call, '/containers', { name: 'x' })).id,
    one: '/containers/{}',
    list: '/containers',
    canDelete: true,
    also: [['GET', '/containers/{}/files']],
    named: (id) => [
      [
        '/responses',
        { model: 'gpt-4o-mini', input: 'x', tools: [{ type: 'code_interpreter', container: id }] },
      ],
    ],
  },
  {
    name: 'eval',
    make: async (call) =>
      (await made(call, '/evals', { name: 'x', data_source_config: { type: 'custom' } })).id,
    one: '/evals/{}',
    list: '/evals',
    canDelete: true,
    also: [
      ['GET', '/evals/{}/runs'],
      ['POST', '/evals/{}/runs', { data_source: { type: 'jsonl' } }],
    ],
  },
  {
    name: 'video',
    make: async (call) => (await made(call, '/videos', { model: 'sora-2', prompt: 'x' })).id,
    one: '/videos/{}',
    list: '/videos',
    canDelete: true,
    also: [['GET', '/videos/{}/content']],
    named: (id) => [['/videos/edits', { video: { id }, prompt: 'x' }]],
  },
]

function walk(where: string, open: () => Promise<{ objects?: Objects }>): void {
  describe(`every kind of object, kept in ${where}`, () => {
    let gate: Gate
    let calls: Record<'ann' | 'amy' | 'bob' | 'cyd', Caller>
    test('starts', async () => {
      gate = await startGate(treeAt(sandbox.url), await open())
      const of = (secret: string) => callerOf(gate.port, secret)
      calls = { ann: of(ann), amy: of(amy), bob: of(bob), cyd: of(cyd) }
    })
    test.each(kinds.map((kind) => [kind.name, kind] as const))('%s', async (_, kind) => {
      const id = await kind.make(calls.ann)
      const read = kind.one.endsWith('/cancel') ? 'POST' : 'GET'
      for (const other of [calls.bob, calls.cyd]) {
        await hidden(other, read, at(kind.one, id))
        if (kind.canDelete) await hidden(other, 'DELETE', at(kind.one, id))
        for (const [method, path, body] of kind.also ?? []) await hidden(other, method, at(path, id), body)
        for (const [path, body] of kind.named?.(id) ?? []) await hidden(other, 'POST', path, body)
        if (kind.list !== undefined) expect(idsOf(await other('GET', kind.list))).toEqual([])
      }
      if (kind.list !== undefined) {
        expect(idsOf(await calls.amy('GET', kind.list))).toContain(id)
        const theirs = await kind.make(calls.bob)
        expect(idsOf(await calls.bob('GET', kind.list))).toEqual([theirs])
        expect(idsOf(await calls.ann('GET', kind.list))).not.toContain(theirs)
      }
      // Nobody but an owner has reached the upstream with it.
      for (const [path, body] of kind.named?.(id) ?? [])
        expect((await calls.amy('POST', path, body)).json?.error?.message).not.toBe(gone.message)
      const own = await calls.amy(read, at(kind.one, id))
      expect({ status: own.status, id: own.json.id }).toEqual({ status: 200, id })
      if (!kind.canDelete) return
      expect((await calls.amy('DELETE', at(kind.one, id))).json.deleted).toBe(true)
      await hidden(calls.ann, 'GET', at(kind.one, id))
    })
  })
}

walk('memory', () => Promise.resolve({}))
walk('SQLite', async () => ({ objects: await storedIn(null) }))

if (postgresPrograms() !== null) {
  const cluster = await startCluster()
  finallyClose(() => cluster.remove())
  walk('PostgreSQL (needs postgres)', async () => ({
    objects: await storedIn(new Secret(await cluster.database('objects'))),
  }))
}
