// Batches: each line of the input file is run through the endpoint it names, so a batch's answers are those of the single calls. A
// batch is complete at once, or seems in progress for a set number of looks.

import { createHash } from 'node:crypto'
import { chatRoutes } from './chat.ts'
import { completionRoutes } from './completions.ts'
import { embeddingRoutes } from './embeddings.ts'
import { fileOf, storeFile } from './files.ts'
import { asObject, asText } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { moderationRoutes } from './moderations.ts'
import { pageOf } from './object-store.ts'
import { invalid, jsonReply, missing, Refusal, utf8 } from './reply.ts'
import type { Reply } from './reply.ts'
import { responseRoutes } from './responses.ts'
import { requiredText } from './world.ts'
import type { Call, Handler, Route } from './world.ts'

const linesMax = 50_000
const handlers = new Map<string, Handler>()
for (const [method, path, handler] of [
  ...chatRoutes,
  ...responseRoutes,
  ...completionRoutes,
  ...embeddingRoutes,
  ...moderationRoutes,
]) {
  if (method === 'POST') handlers.set(path, handler)
}
const endpoints = [
  '/v1/chat/completions',
  '/v1/responses',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/moderations',
]

async function runLine(call: Call, endpoint: string, body: JsonObject): Promise<Reply> {
  const bytes = utf8(JSON.stringify({ ...body, stream: false }))
  const request = {
    ...call.request,
    body: { length: bytes.length, sha256: '', bytes, parts: null, formProblem: null },
  }
  try {
    return await handlers.get(endpoint)!(call.with(request))
  } catch (cause) {
    if (cause instanceof Refusal) return cause.toReply()
    throw cause
  }
}

interface Ran {
  readonly output: string
  readonly errors: string
  readonly completed: number
  readonly failed: number
}

async function runAll(call: Call, endpoint: string, lines: readonly string[]): Promise<Ran> {
  let [output, errors, completed, failed] = ['', '', 0, 0]
  for (const line of lines) {
    const item = asObject(JSON.parse(line) as Json) ?? {}
    const reply = await runLine(call, endpoint, asObject(item['body']) ?? {})
    const text = reply.body.kind === 'bytes' ? new TextDecoder().decode(reply.body.bytes) : 'null'
    const response = {
      status_code: reply.status,
      request_id: call.world.ids.id('req_'),
      body: JSON.parse(text) as Json,
    }
    const row =
      JSON.stringify({
        id: call.world.ids.id('batch_req_'),
        custom_id: asText(item['custom_id']),
        response,
        error: null,
      }) + '\n'
    if (reply.status === 200) {
      output += row
      completed++
    } else {
      errors += row
      failed++
    }
  }
  return { output, errors, completed, failed }
}

function resultFile(call: Call, text: string, name: string): Json {
  if (text === '') return null
  const content = utf8(text)
  const sha256 = createHash('sha256').update(content).digest('hex')
  const file = {
    filename: `${name}.jsonl`,
    purpose: 'batch_output',
    contentType: 'application/jsonl',
    content,
    size: content.length,
    sha256,
  }
  return storeFile(call.world, file)['id'] ?? null
}

async function createBatch(call: Call): Promise<Reply> {
  const body = call.json()
  const endpoint = requiredText(body, 'endpoint')
  if (!endpoints.includes(endpoint))
    throw invalid(
      `Invalid value: '${endpoint}'. Supported values are: ${endpoints.join(', ')}.`,
      'endpoint',
      'invalid_value',
    )
  const inputFile = requiredText(body, 'input_file_id')
  const lines = new TextDecoder()
    .decode(fileOf(call, inputFile).content)
    .split('\n')
    .filter((line) => line.trim() !== '')
  if (lines.length > linesMax) throw invalid(`A batch holds at most ${linesMax} requests.`, 'input_file_id')
  const ran = await runAll(call, endpoint, lines)
  const now = call.world.nowS()
  const id = call.world.ids.id('batch_')
  const batch: JsonObject = {
    id,
    object: 'batch',
    endpoint,
    errors: null,
    input_file_id: inputFile,
    completion_window: asText(body['completion_window']) ?? '24h',
    status: 'completed',
    output_file_id: resultFile(call, ran.output, `${id}_output`),
    error_file_id: resultFile(call, ran.errors, `${id}_error`),
    created_at: now,
    in_progress_at: now,
    expires_at: now + 86_400,
    finalizing_at: now,
    completed_at: now,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    request_counts: { total: lines.length, completed: ran.completed, failed: ran.failed },
    metadata: body['metadata'] ?? null,
  }
  call.world.objects.put('batches', batch)
  call.world.objects.put('batch polls', { id, left: call.world.settings.batchPolls })
  return jsonReply(shown(batch, 'validating'))
}

/** A batch that is not done yet, from the outside. */
function shown(batch: JsonObject, status: string): JsonObject {
  return {
    ...batch,
    status,
    output_file_id: null,
    error_file_id: null,
    finalizing_at: null,
    completed_at: null,
    request_counts: { total: 0, completed: 0, failed: 0 },
  }
}

function found(call: Call): JsonObject {
  const id = call.param('id')
  const batch = call.world.objects.get('batches', id)
  if (batch === null) throw missing(`No batch found with id '${id}'.`)
  return batch
}

function getBatch(call: Call): Reply {
  const batch = found(call)
  const id = String(batch['id'])
  const left = Number(call.world.objects.get('batch polls', id)?.['left'] ?? 0)
  call.world.objects.put('batch polls', { id, left: left - 1 })
  return jsonReply(left > 0 && batch['status'] === 'completed' ? shown(batch, 'in_progress') : batch)
}

function cancelBatch(call: Call): Reply {
  const batch = found(call)
  const cancelled = { ...shown(batch, 'cancelled'), cancelled_at: call.world.nowS() }
  call.world.objects.put('batches', cancelled)
  return jsonReply({
    ...cancelled,
    status: 'cancelling',
    cancelling_at: call.world.nowS(),
    cancelled_at: null,
  })
}

/** Batches. */
export const batchRoutes: readonly Route[] = [
  ['POST', '/v1/batches', createBatch],
  ['GET', '/v1/batches', (call) => jsonReply(pageOf(call.world.objects.all('batches'), call.query))],
  ['GET', '/v1/batches/:id', getBatch],
  ['POST', '/v1/batches/:id/cancel', cancelBatch],
]
