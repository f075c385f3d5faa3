// Vector stores: files are attached by id, split into chunks of text, and searched with the sandbox's own embeddings, so that a search
// finds what it should.

import { embed } from './embeddings.ts'
import { asList, asNumber, asText } from './json.ts'
import type { JsonObject } from './json.ts'
import { changeObject, collectionOf, makeObject, objectOf, objectRoutes } from './objects.ts'
import type { Kind } from './objects.ts'
import { fileOf } from './files.ts'
import { pageOf } from './object-store.ts'
import { jsonReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { requiredText } from './world.ts'
import type { Call, Route, World } from './world.ts'

const chunkLength = 800
const chunksMax = 200
const dimensions = 256

const stores: Kind = {
  path: '/v1/vector_stores',
  object: 'vector_store',
  prefix: 'vs_',
  members: (call, body) => {
    const files = (asList(body['file_ids']) ?? []).map((id) => fileOf(call, asText(id) ?? ''))
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    return {
      status: 'completed',
      usage_bytes: bytes,
      file_counts: counts(files.length),
      last_active_at: call.world.nowS(),
      expires_at: null,
    }
  },
}
const files: Kind = { path: '/v1/vector_stores/:store/files', object: 'vector_store.file', prefix: 'file-' }
const batches: Kind = {
  path: '/v1/vector_stores/:store/file_batches',
  object: 'vector_store.files_batch',
  prefix: 'vsfb_',
  verbs: [],
}

function counts(total: number): JsonObject {
  return { in_progress: 0, completed: total, failed: 0, cancelled: 0, total }
}

function attach(call: Call, store: string, fileId: string): JsonObject {
  const { size } = fileOf(call, fileId)
  const attributes = call.jsonOrNone()['attributes'] ?? {}
  const body = {
    id: fileId,
    usage_bytes: size,
    vector_store_id: store,
    status: 'completed',
    last_error: null,
    attributes,
  }
  const made = makeObject(files, call.at({ store }), body)
  const total = call.world.objects.all(collectionOf(files.path, call.at({ store }))).length
  changeObject(stores, call.at({ id: store }), { file_counts: counts(total) })
  return made
}

function createStore(call: Call): Reply {
  const body = call.jsonOrNone()
  const store = makeObject(stores, call, body)
  for (const id of asList(body['file_ids']) ?? []) attach(call, String(store['id']), asText(id) ?? '')
  return jsonReply(store)
}

function addFile(call: Call): Reply {
  return jsonReply(attach(call, call.param('store'), requiredText(call.json(), 'file_id')))
}

function addBatch(call: Call): Reply {
  const ids = (asList(call.json()['file_ids']) ?? []).map((id) => asText(id) ?? '')
  const store = call.param('store')
  for (const id of ids) attach(call, store, id)
  return jsonReply(
    makeObject(batches, call, {
      vector_store_id: store,
      status: 'completed',
      file_counts: counts(ids.length),
    }),
  )
}

function chunksOf(world: World, fileId: string): string[] {
  const text = new TextDecoder().decode(world.files.get(fileId)?.content ?? new Uint8Array(0))
  const chunks: string[] = []
  for (let at = 0; at < text.length && chunks.length < chunksMax; at += chunkLength)
    chunks.push(text.slice(at, at + chunkLength))
  return chunks
}

function search(call: Call): Reply {
  const store = objectOf(stores, call.at({ id: call.param('store') }))
  const body = call.json()
  const query =
    asText(body['query']) ?? (asList(body['query']) ?? []).map((part) => asText(part) ?? '').join(' ')
  const wanted = embed(query, dimensions)
  const attached = call.world.objects
    .all(`vector_stores/${String(store['id'])}/files`)
    .map((file) => String(file['id']))
  const data = attached.flatMap((id) =>
    chunksOf(call.world, id).map((text) => ({
      file_id: id,
      filename: call.world.files.get(id)?.object['filename'] ?? '',
      score: embed(text, dimensions).reduce((sum, value, i) => sum + value * wanted[i]!, 0),
      attributes: {},
      content: [{ type: 'text', text }],
    })),
  )
  const best = data.sort((a, b) => b.score - a.score).slice(0, asNumber(body['max_num_results']) ?? 10)
  return jsonReply({
    object: 'vector_store.search_results.page',
    search_query: [query],
    data: best,
    has_more: false,
    next_page: null,
  })
}

function fileContent(call: Call): Reply {
  objectOf(files, call)
  const data = chunksOf(call.world, call.param('id')).map((text) => ({ type: 'text', text }))
  return jsonReply({ object: 'vector_store.file_content.page', data, has_more: false, next_page: null })
}

function batchFiles(call: Call): Reply {
  objectOf(batches, call)
  return jsonReply(pageOf(call.world.objects.all(`vector_stores/${call.param('store')}/files`), call.query))
}

/** Vector stores. */
export const vectorStoreRoutes: readonly Route[] = [
  ['POST', '/v1/vector_stores', createStore],
  ['POST', '/v1/vector_stores/:store/search', search],
  ['POST', '/v1/vector_stores/:store/files', addFile],
  ['POST', '/v1/vector_stores/:store/file_batches', addBatch],
  [
    'POST',
    '/v1/vector_stores/:store/file_batches/:id/cancel',
    (call) => jsonReply(changeObject(batches, call, { status: 'cancelled' })),
  ],
  ['GET', '/v1/vector_stores/:store/file_batches/:id/files', batchFiles],
  ['GET', '/v1/vector_stores/:store/files/:id/content', fileContent],
  ...objectRoutes(stores),
  ...objectRoutes(files),
  ...objectRoutes(batches),
]
