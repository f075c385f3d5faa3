// Files and uploads. A file of any size streams through: its size and SHA-256 are of the whole, its content is kept up to 8 MB, and
// asking for the content of a bigger one says so instead of giving a part.

import { createHash } from 'node:crypto'
import { asList, asNumber, asObject, asText } from './json.ts'
import type { JsonObject } from './json.ts'
import { pageOf } from './object-store.ts'
import { bytesReply, invalid, jsonReply, missing } from './reply.ts'
import type { Reply } from './reply.ts'
import { requiredText } from './world.ts'
import type { Call, Route, StoredFile, World } from './world.ts'

const partBytesMax = 8 * 1024 * 1024

/** Stores a file and gives its object. */
export function storeFile(
  world: World,
  file: {
    filename: string
    purpose: string
    content: Uint8Array
    contentType: string
    size: number
    sha256: string
  },
): JsonObject {
  const { filename, purpose, content, contentType, size, sha256 } = file
  const object = {
    object: 'file',
    id: world.ids.id('file-'),
    purpose,
    filename,
    bytes: size,
    created_at: world.nowS(),
    expires_at: null,
    status: 'processed',
    status_details: null,
    // Not OpenAI's: what arrived, for tests of big uploads.
    sha256,
  }
  world.keepFile(object.id, { object, content, contentType, size, sha256 })
  return object
}

/** A stored file. @throws Refusal 404 */
export function fileOf(call: Call, id = call.param('file')): StoredFile {
  const file = call.world.files.get(id)
  if (file === undefined) throw missing(`No such File object: ${id}`)
  return file
}

function createFile(call: Call): Reply {
  const form = call.form()
  const { filename, content, contentType, size, sha256 } = form.file('file')
  const purpose = form.field('purpose')
  if (purpose === null) throw invalid("'purpose' is a required property", 'purpose')
  const type = contentType ?? 'application/octet-stream'
  return jsonReply(
    storeFile(call.world, {
      filename: filename ?? 'file',
      purpose,
      content,
      contentType: type,
      size,
      sha256,
    }),
  )
}

function listFiles(call: Call): Reply {
  const purpose = call.query.get('purpose')
  const all = [...call.world.files.values()].map(({ object }) => object)
  return jsonReply(
    pageOf(
      all.filter((file) => purpose === null || file['purpose'] === purpose),
      call.query,
    ),
  )
}

function fileContent(call: Call): Reply {
  const { content, contentType, size } = fileOf(call)
  if (content.length < size)
    throw invalid(`The sandbox kept ${content.length} of ${size} bytes of this file.`)
  return bytesReply(content, contentType)
}

function deleteFile(call: Call): Reply {
  const { object } = fileOf(call)
  call.world.dropFile(String(object['id']))
  return jsonReply({ id: object['id'], object: 'file', deleted: true })
}

function createUpload(call: Call): Reply {
  const body = call.json()
  const now = call.world.nowS()
  const upload: JsonObject = {
    id: call.world.ids.id('upload_'),
    object: 'upload',
    bytes: asNumber(body['bytes']) ?? 0,
    created_at: now,
    filename: requiredText(body, 'filename'),
    purpose: requiredText(body, 'purpose'),
    status: 'pending',
    expires_at: now + 3600,
    mime_type: requiredText(body, 'mime_type'),
  }
  call.world.objects.put('uploads', upload)
  return jsonReply(upload)
}

function pendingUpload(call: Call): JsonObject {
  const id = call.param('upload')
  const upload = call.world.objects.get('uploads', id)
  if (upload === null) throw missing(`No such Upload object: ${id}`)
  if (upload['status'] !== 'pending')
    throw invalid(`Upload ${id} is already ${asText(upload['status']) ?? ''}.`)
  return upload
}

function addPart(call: Call): Reply {
  const upload = pendingUpload(call)
  const { content, size, sha256 } = call.form().file('data')
  const id = call.world.ids.id('part_')
  const part: JsonObject = {
    id,
    object: 'upload.part',
    created_at: call.world.nowS(),
    upload_id: upload['id'],
  }
  call.world.keepFile(id, { object: part, content, contentType: 'application/octet-stream', size, sha256 })
  return jsonReply(part)
}

function completeUpload(call: Call): Reply {
  const upload = pendingUpload(call)
  const ids = (asList(call.json()['part_ids']) ?? []).map((id) => asText(id) ?? '')
  const parts = ids.map((id) => fileOf(call, id))
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  if (size !== upload['bytes'])
    throw invalid(`Expected ${Number(upload['bytes'])} bytes but ${size} were uploaded.`, 'part_ids')
  const whole = Buffer.concat(parts.map(({ content }) => content))
  const complete = whole.length === size
  const sha256 = complete ? createHash('sha256').update(whole).digest('hex') : ''
  for (const id of ids) call.world.dropFile(id)
  const { filename, purpose, mime_type } = upload
  const file = storeFile(call.world, {
    filename: String(filename),
    purpose: String(purpose),
    content: Uint8Array.from(whole.subarray(0, partBytesMax)),
    contentType: String(mime_type),
    size,
    sha256,
  })
  const completed = { ...upload, status: 'completed', file: asObject(file) }
  call.world.objects.put('uploads', completed)
  return jsonReply(completed)
}

function cancelUpload(call: Call): Reply {
  const cancelled = { ...pendingUpload(call), status: 'cancelled' }
  call.world.objects.put('uploads', cancelled)
  return jsonReply(cancelled)
}

/** Files and uploads. */
export const fileRoutes: readonly Route[] = [
  ['POST', '/v1/files', createFile],
  ['GET', '/v1/files', listFiles],
  ['GET', '/v1/files/:file', (call) => jsonReply(fileOf(call).object)],
  ['DELETE', '/v1/files/:file', deleteFile],
  ['GET', '/v1/files/:file/content', fileContent],
  ['POST', '/v1/uploads', createUpload],
  ['POST', '/v1/uploads/:upload/parts', addPart],
  ['POST', '/v1/uploads/:upload/complete', completeUpload],
  ['POST', '/v1/uploads/:upload/cancel', cancelUpload],
]
