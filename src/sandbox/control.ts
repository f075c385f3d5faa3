// The control endpoints under /sandbox, for tests of applications that run in another process. They ask for no key: the sandbox
// listens on loopback unless told otherwise and holds nothing real.

import { faultNames } from './fault-names.ts'
import type { Fault, FaultRule } from './faults.ts'
import { asNumber, asObject, asText } from './json.ts'
import type { JsonObject } from './json.ts'
import { invalid, jsonReply, missing } from './reply.ts'
import type { Reply } from './reply.ts'
import type { Call, Route } from './world.ts'

function ruleOf(body: JsonObject): FaultRule {
  const match = asObject(body['match']) ?? {}
  const fault = asText(body['fault']) ?? (asObject(body['fault']) as Fault | null)
  if (fault === null)
    throw invalid("Missing required parameter: 'fault': a name or an object with a `kind`.", 'fault')
  return {
    match: {
      method: asText(match['method']) ?? undefined,
      path: asText(match['path']) ?? undefined,
      model: asText(match['model']) ?? undefined,
    },
    fault,
    times: asNumber(body['times']) ?? undefined,
    probability: asNumber(body['probability']) ?? undefined,
    after: asNumber(body['after']) ?? undefined,
  }
}

function addFault(call: Call): Reply {
  try {
    return jsonReply({ id: call.world.registry.add(ruleOf(call.json())) }, 201)
  } catch (cause) {
    throw cause instanceof Error ? invalid(cause.message, 'fault') : cause
  }
}

function removeFault(call: Call): Reply {
  const id = call.param('id')
  if (!call.world.registry.remove(id)) throw missing(`No fault rule '${id}'.`)
  return jsonReply({ id, deleted: true })
}

function clearFaults(call: Call): Reply {
  call.world.registry.clear()
  return jsonReply({ deleted: true })
}

function listFaults(call: Call): Reply {
  return jsonReply({
    data: call.world.registry.list(),
    names: faultNames.map(({ name, does }) => ({ name, does })),
  })
}

function addReplay(call: Call): Reply {
  const body = call.json()
  const name = asText(body['name'])
  const base64 = asText(body['base64'])
  const text = asText(body['text'])
  if (name === null || (base64 === null && text === null))
    throw invalid("Expected 'name' and one of 'text' and 'base64'.")
  const bytes = base64 === null ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64')
  const splitAt = Array.isArray(body['splitAt'])
    ? body['splitAt'].filter((at) => typeof at === 'number')
    : undefined
  const pauseMs = asNumber(body['pauseMs']) ?? undefined
  return jsonReply(
    { model: call.world.registry.replay(name, Uint8Array.from(bytes), { splitAt, pauseMs }) },
    201,
  )
}

function listRequests(call: Call): Reply {
  const shown = call.world.requests.map(({ body, ...rest }) => ({
    ...rest,
    body: new TextDecoder().decode(body.subarray(0, 65536)),
  }))
  return jsonReply({ data: shown })
}

function setLatency(call: Call): Reply {
  const body = call.json()
  const { latencyMs, chunkDelayMs } = body
  call.world.setLatency({
    latencyMs: asNumber(latencyMs) ?? undefined,
    chunkDelayMs: asNumber(chunkDelayMs) ?? undefined,
  })
  return jsonReply(call.world.pace)
}

function reset(call: Call): Reply {
  call.world.reset()
  return jsonReply({ reset: true })
}

/** The control endpoints. */
export const controlRoutes: readonly Route[] = [
  ['GET', '/sandbox/faults', listFaults],
  ['POST', '/sandbox/faults', addFault],
  ['DELETE', '/sandbox/faults', clearFaults],
  ['DELETE', '/sandbox/faults/:id', removeFault],
  ['POST', '/sandbox/replays', addReplay],
  ['GET', '/sandbox/requests', listRequests],
  ['GET', '/sandbox/books', (call) => jsonReply({ data: call.world.books.rows() })],
  ['POST', '/sandbox/latency', setLatency],
  ['POST', '/sandbox/reset', reset],
]
