// Promise: who reads the access log sees why the front refused a request, also where the client saw nothing of it.

import { expect, test } from 'bun:test'
import { ask, promiseTests, startGate } from './harness.ts'

promiseTests()

test.each([
  ['TLS', Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]), 'This looks like TLS; the port speaks plain HTTP.'],
  ['no Host', Buffer.from('GET /v1/models HTTP/1.1\r\n\r\n'), 'Exactly one valid Host header is needed.'],
])('%s', async (_what, bytes, detail) => {
  const gate = await startGate({ upstreams: [{ name: 'main', provider: 'sandbox' }] })
  const answer = await ask(gate.port, bytes)
  expect(answer.status).toBe(400)
  expect(answer.json().error.message).toBe(detail)
  expect(await gate.logged(() => true)).toMatchObject({ status: 400, failure: 'malformed_request', detail })
})
