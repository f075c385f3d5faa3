// The parts of the platform that only keep objects: fine-tuning jobs, evals, containers, conversations, videos.

import { asText, objectsIn } from './json.ts'
import type { JsonObject } from './json.ts'
import { chooseModel } from './models.ts'
import { changeObject, collectionOf, makeObject, objectOf, objectRoutes } from './objects.ts'
import type { Kind } from './objects.ts'
import { pageOf } from './object-store.ts'
import { bytesReply, jsonReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { fileOf, storeFile } from './files.ts'
import { requiredText } from './world.ts'
import type { Call, Route } from './world.ts'

const jobs: Kind = {
  path: '/v1/fine_tuning/jobs',
  object: 'fine_tuning.job',
  prefix: 'ftjob-',
  verbs: ['create'],
  members: (call, body) => {
    const model = chooseModel(call.world, requiredText(body, 'model'), {
      kind: 'chat',
      fallback: 'gpt-4o-mini',
    }).served
    fileOf(call, requiredText(body, 'training_file'))
    return {
      model,
      status: 'succeeded',
      fine_tuned_model: `ft:${model}:sandbox:${asText(body['suffix']) ?? ''}:${call.world.ids.text(8)}`,
      finished_at: call.world.nowS(),
      hyperparameters: { n_epochs: 1, batch_size: 1, learning_rate_multiplier: 1 },
      organization_id: 'org-sandbox0123456789',
      result_files: [],
      validation_file: asText(body['validation_file']),
      trained_tokens: 100,
      error: null,
      seed: 1,
    }
  },
}
const evals: Kind = { path: '/v1/evals', object: 'eval', prefix: 'eval_', order: 'asc' }
const evalRuns: Kind = {
  path: '/v1/evals/:eval/runs',
  object: 'eval.run',
  prefix: 'evalrun_',
  members: (call) => ({
    eval_id: call.param('eval'),
    status: 'completed',
    result_counts: { total: 0, errored: 0, failed: 0, passed: 0 },
    model: 'gpt-4o-mini-2024-07-18',
    report_url: 'https://platform.openai.com/evaluations/sandbox',
    per_model_usage: [],
    per_testing_criteria_results: [],
    error: null,
  }),
}
const containers: Kind = {
  path: '/v1/containers',
  object: 'container',
  prefix: 'cntr_',
  verbs: ['create', 'delete'],
  members: (call, body) => {
    const memory = asText(body['memory_limit']) ?? '1g'
    call.row.units = { [`containers/${memory}`]: 1 }
    return { status: 'running', memory_limit: memory }
  },
}
const containerFiles: Kind = {
  path: '/v1/containers/:container/files',
  object: 'container.file',
  prefix: 'cfile_',
  verbs: ['delete'],
}
const conversations: Kind = {
  path: '/v1/conversations',
  object: 'conversation',
  prefix: 'conv_',
  members: () => ({ items: undefined }),
}
const videos: Kind = {
  path: '/v1/videos',
  object: 'video',
  prefix: 'video_',
  verbs: ['create', 'delete'],
  members: (call, body) => {
    const model = asText(body['model']) ?? 'sora-2'
    const seconds = asText(body['seconds']) ?? '4'
    const size = asText(body['size']) ?? '720x1280'
    call.row.servedModel = model
    call.row.units = { [`videoSeconds/${size}`]: Number(seconds) }
    const now = call.world.nowS()
    const done = { status: 'completed', completed_at: now, expires_at: now + 86_400, progress: 100 }
    return { model, ...done, remixed_from_video_id: null, error: null, seconds, size }
  },
}

function changed(kind: Kind, status: string) {
  return (call: Call): Reply => jsonReply(changeObject(kind, call, { status }))
}

function jobEvents(call: Call): Reply {
  const job = objectOf(jobs, call)
  const messages = [
    'The job has successfully completed',
    'New fine-tuned model created',
    'Fine-tuning job started',
    'Created fine-tuning job',
  ]
  const data = messages.map((message, i) => ({
    object: 'fine_tuning.job.event',
    id: `ftevent-${String(job['id'])}-${i}`,
    created_at: job['created_at'],
    level: 'info',
    message,
    data: null,
    type: 'message',
  }))
  return jsonReply({ object: 'list', data, has_more: false })
}

function addContainerFile(call: Call): Reply {
  const { filename, content, contentType, size, sha256 } = call.form().file('file')
  const name = filename ?? 'file'
  const file = storeFile(call.world, {
    filename: name,
    purpose: 'container',
    content,
    contentType: contentType ?? 'application/octet-stream',
    size,
    sha256,
  })
  const container = call.param('container')
  const made = makeObject(containerFiles, call, {
    id: file['id'],
    bytes: size,
    container_id: container,
    path: `/mnt/data/${name}`,
    source: 'user',
  })
  return jsonReply(made)
}

function createConversation(call: Call): Reply {
  const body = call.jsonOrNone()
  const conversation = makeObject(conversations, call, body)
  for (const item of objectsIn(body['items'])) keepItem(call, String(conversation['id']), item)
  return jsonReply(conversation)
}

function keepItem(call: Call, conversation: string, item: JsonObject): JsonObject {
  const text = asText(item['content'])
  const content =
    text === null
      ? {}
      : { content: [{ type: item['role'] === 'assistant' ? 'output_text' : 'input_text', text }] }
  const kept = { id: call.world.ids.id('msg_'), type: 'message', status: 'completed', ...item, ...content }
  call.world.objects.put(`conversations/${conversation}/items`, kept)
  return kept
}

const items: Kind = {
  path: '/v1/conversations/:conversation/items',
  object: 'conversation.item',
  prefix: 'msg_',
  verbs: [],
}

function addItems(call: Call): Reply {
  const conversation = call.param('conversation')
  objectOf(conversations, call.at({ id: conversation }))
  const kept = objectsIn(call.json()['items']).map((item) => keepItem(call, conversation, item))
  return jsonReply(pageOf(kept, new URLSearchParams('limit=1000'), 'asc'))
}

function deleteItem(call: Call): Reply {
  objectOf(items, call)
  call.world.objects.delete(collectionOf(items.path, call), call.param('id'))
  return jsonReply(objectOf(conversations, call.at({ id: call.param('conversation') })))
}

function videoContent(call: Call): Reply {
  objectOf(videos, call)
  return bytesReply(Buffer.from('\0\0\0\x18ftypisom\0\0\0\0isommp42', 'latin1'), 'video/mp4')
}

/** Fine-tuning, evals, containers, conversations, videos. */
export const platformRoutes: readonly Route[] = [
  ...objectRoutes(jobs),
  ['POST', '/v1/fine_tuning/jobs/:id/cancel', changed(jobs, 'cancelled')],
  ['POST', '/v1/fine_tuning/jobs/:id/pause', changed(jobs, 'paused')],
  ['POST', '/v1/fine_tuning/jobs/:id/resume', changed(jobs, 'running')],
  ['GET', '/v1/fine_tuning/jobs/:id/events', jobEvents],
  [
    'GET',
    '/v1/fine_tuning/jobs/:id/checkpoints',
    () => jsonReply({ object: 'list', data: [], first_id: null, last_id: null, has_more: false }),
  ],
  ...objectRoutes(evals),
  ...objectRoutes(evalRuns),
  ...objectRoutes(containers),
  ...objectRoutes(containerFiles),
  ['POST', '/v1/containers/:container/files', addContainerFile],
  [
    'GET',
    '/v1/containers/:container/files/:file/content',
    (call) => bytesReply(fileOf(call).content, fileOf(call).contentType),
  ],
  ['POST', '/v1/conversations', createConversation],
  ...objectRoutes(conversations),
  ['POST', '/v1/conversations/:conversation/items', addItems],
  ['DELETE', '/v1/conversations/:conversation/items/:id', deleteItem],
  ...objectRoutes(items),
  ...objectRoutes(videos),
  ['GET', '/v1/videos/:id/content', videoContent],
]
