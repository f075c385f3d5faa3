// What came is what is shown: for tests that a gateway changed nothing it was not asked to change.

import { bytesReply, jsonReply } from './reply.ts'
import type { Reply } from './reply.ts'
import type { Call, Route } from './world.ts'

const shownMax = 16 * 1024

function echo(call: Call): Reply {
  const { method, target, headers, body } = call.request
  const small = body.length <= shownMax
  return jsonReply({
    object: 'echo',
    method,
    target,
    headers,
    body: {
      length: body.length,
      sha256: body.sha256,
      text: small ? new TextDecoder().decode(body.bytes) : null,
      base64: small ? Buffer.from(body.bytes).toString('base64') : null,
    },
  })
}

function echoRaw(call: Call): Reply {
  return bytesReply(call.request.body.bytes, call.header('content-type') ?? 'application/octet-stream')
}

/** The echo endpoints: any method, any path below. */
export const echoRoutes: readonly Route[] = [
  ['*', '/v1/echo/raw', echoRaw],
  ['*', '/v1/echo', echo],
  ['*', '/v1/echo/:rest*', echo],
]
