// Clients on Node, where most users run theirs: the official client, `fetch` (undici) and `node:http`, in a process of
// their own.

import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { checksOf, startService } from './service.ts'

const node = Bun.which('node')
const absent = node === null
const service = await startService()
const outcome = checksOf(
  [node ?? 'node', '--experimental-websocket', '--no-warnings', join(import.meta.dir, 'node/checks.mjs')],
  service,
)
const checks = [
  'chat',
  'streams',
  'tools',
  'embeddings',
  'files',
  'audio',
  'errors',
  'retries',
  'brokenStreams',
  'leaving',
  'parallel',
  'fetch',
  'http',
  'realtime',
]

for (const name of checks) {
  test.skipIf(absent)(`${name} (needs Node)`, async () => {
    expect(await outcome(name)).toBe('ok')
  })
}
