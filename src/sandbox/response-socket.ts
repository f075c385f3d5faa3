// The Responses API over WebSocket: the client sends `response.create` with the fields of the HTTP body, the server answers with the
// same events as the SSE stream, one a message. One connection carries many responses, one after another.

import { asObject, asText } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { splitModel } from './fault-names.ts'
import { faultOf } from './script.ts'
import { Refusal } from './reply.ts'
import type { Reply } from './reply.ts'
import { refusalOf } from './refusals.ts'
import { buildResponse } from './response-build.ts'
import { responseFrames } from './response-stream.ts'
import { addUnits, addUsage } from './usage.ts'
import { socketReply } from './websocket.ts'
import type { SocketPeer } from './websocket.ts'
import type { Call } from './world.ts'

function errorEvent(refusal: Refusal): string {
  return JSON.stringify({ type: 'error', status: refusal.status, error: refusal.error })
}

function answer(call: Call, peer: SocketPeer, text: string): void {
  const message = asObject(JSON.parse(text) as Json)
  if (message === null || message['type'] !== 'response.create') {
    throw new Refusal(400, {
      message: "Expected an event of type 'response.create'.",
      type: 'invalid_request_error',
      param: 'type',
      code: null,
    })
  }
  const body: JsonObject = { ...asObject(message['response']), ...message, type: undefined }
  const model = asText(body['model']) ?? call.row.model ?? ''
  const faults = [...call.faults, ...splitModel(model).faults]
  const refusal = refusalOf(faults, 'sk-sandbox-socket')
  if (refusal !== null) throw refusal
  if (faultOf(faults, 'reset') !== null) return peer.reset()
  if (faultOf(faults, 'silence') !== null) return
  const { response, served } = buildResponse(call.world, { ...body, model }, faults)
  call.row.servedModel = served.model
  call.row.usage = addUsage(call.row.usage, served.usage)
  call.row.units = addUnits(call.row.units, served.units ?? null)
  const cut = faultOf(faults, 'cut')
  let sent = 0
  for (const { data, tokens, usage } of responseFrames(response, { obfuscate: false })) {
    if (cut !== null && sent >= cut.frames) return peer.reset()
    peer.send(data)
    sent++
    call.row.framesSent++
    call.row.outputSent += tokens
    call.row.usageSent ||= usage
  }
}

/** GET /v1/responses with an upgrade. */
export function responseSocket(call: Call): Reply {
  return socketReply(call, ['responses', 'realtime'], (peer) => ({
    message(data) {
      try {
        answer(call, peer, typeof data === 'string' ? data : '')
      } catch (cause) {
        const broken = {
          message: 'The message is not valid JSON.',
          type: 'invalid_request_error',
          param: null,
          code: 'invalid_json',
        }
        if (!(cause instanceof Refusal) && !(cause instanceof SyntaxError)) throw cause
        peer.send(errorEvent(cause instanceof Refusal ? cause : new Refusal(400, broken)))
      }
    },
    closed() {},
  }))
}
