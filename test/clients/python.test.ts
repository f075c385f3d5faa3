// The official Python client through the gateway, synchronous and asynchronous. It lives in a virtual environment that
// `.ci/run` makes; elsewhere these are skipped.

import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { checksOf, startService } from './service.ts'

const python = join(import.meta.dir, '../../.cache/python/bin/python')
const service = await startService()
const outcome = checksOf([python, join(import.meta.dir, 'python/checks.py')], service)

/** The client is there and can be imported. */
function usable(): boolean {
  try {
    return Bun.spawnSync([python, '-c', 'import openai'], { stdout: 'ignore', stderr: 'ignore' }).success
  } catch {
    return false
  }
}

const absent = !usable()
const checks = [
  'chat',
  'chat_stream',
  'tools_and_schema',
  'responses',
  'embeddings',
  'models_and_moderations',
  'files',
  'upload_in_parts',
  'images_and_audio',
  'batches_and_vector_stores',
  'assistants',
  'error_classes',
  'retries',
  'broken_streams',
  'leaving',
  'threads_share_a_client',
  'async_client',
]

for (const name of checks) {
  test.skipIf(absent)(`${name} (needs the Python client)`, async () => {
    expect(await outcome(name)).toBe('ok')
  })
}
