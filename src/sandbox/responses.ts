// The Responses API over HTTP. A response in the background is stored finished but shows itself `queued` until it is asked for again.

import { asObject, asText } from './json.ts'
import type { JsonObject } from './json.ts'
import { pageOf } from './object-store.ts'
import { invalid, jsonReply, missing, streamReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { buildResponse, storedResponses } from './response-build.ts'
import { responseFrames } from './response-stream.ts'
import { responseSocket } from './response-socket.ts'
import { countTokens } from './tokens.ts'
import type { Call, Route } from './world.ts'

const queued = 'responses queued'

function createResponse(call: Call): Reply {
  const body = call.json()
  const { response, served } = buildResponse(call.world, body, call.faults)
  const obfuscate = asObject(body['stream_options'])?.['include_obfuscation'] !== false
  if (body['stream'] === true) return streamReply(responseFrames(response, { obfuscate }), served)
  if (body['background'] !== true) return jsonReply(response, 200, served)
  if (body['store'] === false) throw invalid("'background' requires 'store' to be true.", 'background')
  call.world.objects.put(queued, { id: response['id'] })
  return jsonReply(waiting(response), 200, { ...served, usageTold: false })
}

function waiting(response: JsonObject): JsonObject {
  return {
    ...response,
    status: 'queued',
    completed_at: null,
    incomplete_details: null,
    output: [],
    usage: null,
  }
}

function found(call: Call): JsonObject {
  const id = call.param('id')
  const response = call.world.objects.get(storedResponses, id)
  if (response === null) throw missing(`Response with id '${id}' not found.`)
  return response
}

function getResponse(call: Call): Reply {
  const response = found(call)
  call.world.objects.delete(queued, String(response['id']))
  if (call.query.get('stream') !== 'true') return jsonReply(response)
  const after = Number(call.query.get('starting_after') ?? '-1')
  return streamReply(
    responseFrames(response, { obfuscate: call.query.get('include_obfuscation') !== 'false', after }),
    null,
  )
}

function cancelResponse(call: Call): Reply {
  const response = found(call)
  const id = String(response['id'])
  if (response['background'] !== true)
    throw invalid('Only responses created with background=true can be cancelled.')
  if (!call.world.objects.delete(queued, id)) return jsonReply(response)
  const cancelled = { ...waiting(response), status: 'cancelled' }
  call.world.objects.put(storedResponses, cancelled)
  return jsonReply(cancelled)
}

function deleteResponse(call: Call): Reply {
  const { id } = found(call)
  call.world.objects.delete(storedResponses, String(id))
  return jsonReply({ id, object: 'response', deleted: true })
}

function inputItems(call: Call): Reply {
  const { id } = found(call)
  return jsonReply(pageOf(call.world.objects.all(`${storedResponses}/${String(id)}/input`), call.query))
}

function countInput(call: Call): Reply {
  const body = call.json()
  const text = `${asText(body['instructions']) ?? ''}${asText(body['input']) ?? JSON.stringify(body['input'] ?? '')}`
  return jsonReply({ object: 'response.input_tokens', input_tokens: countTokens(text) })
}

/** The Responses API. */
export const responseRoutes: readonly Route[] = [
  ['GET', '/v1/responses', responseSocket],
  ['POST', '/v1/responses', createResponse],
  ['POST', '/v1/responses/input_tokens', countInput],
  ['GET', '/v1/responses/:id', getResponse],
  ['DELETE', '/v1/responses/:id', deleteResponse],
  ['POST', '/v1/responses/:id/cancel', cancelResponse],
  ['GET', '/v1/responses/:id/input_items', inputItems],
]
