// POST /v1/chat/completions and the stored completions behind it. The whole answer is decided before the first byte, so that a stream
// and a plain answer to the same call say the same and their usage is known to the books even when a fault cuts them.

import { chatFrames } from './chat-stream.ts'
import { checkChat } from './chat-check.ts'
import { contentMedia, contentText, formatOf, lastUserText } from './content.ts'
import { asList, asNumber, asObject, asText, objectsIn } from './json.ts'
import type { JsonObject } from './json.ts'
import { hashText } from './ids.ts'
import { chooseModel } from './models.ts'
import { pageOf } from './object-store.ts'
import { decide } from './outcome.ts'
import type { Ask, Outcome, ToolSpec } from './outcome.ts'
import { invalid, jsonReply, missing, streamReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { tokenPieces } from './tokens.ts'
import { chatUsage, inputUsage, toldUsage } from './usage.ts'
import type { Call, Route } from './world.ts'

const stored = 'chat.completions'
const messagesOf = (id: string): string => `${stored}/${id}/messages`

function toolsOf(body: JsonObject): ToolSpec[] {
  const tools = objectsIn(body['tools']).flatMap((tool): ToolSpec[] => {
    const custom = tool['type'] === 'custom'
    const spec = asObject(tool[custom ? 'custom' : 'function'])
    const name = asText(spec?.['name'])
    return name === null ? [] : [{ name, parameters: asObject(spec?.['parameters']), custom }]
  })
  const functions = objectsIn(body['functions']).map((spec) => ({
    name: asText(spec['name']) ?? '',
    parameters: asObject(spec['parameters']),
    custom: false,
  }))
  return [...tools, ...functions]
}

function toolChoiceOf(body: JsonObject): Ask['toolChoice'] {
  const choice = body['tool_choice']
  if (choice === 'none' || choice === 'required') return choice
  const named = asObject(choice)
  if (named === null) return 'auto'
  const allowed = asObject(named['allowed_tools'])
  if (allowed !== null) {
    const names = objectsIn(allowed['tools']).map(
      (tool) => asText(asObject(tool['function'])?.['name']) ?? '',
    )
    return allowed['mode'] === 'required' ? { names: names.slice(0, 1) } : 'auto'
  }
  const name = asText((asObject(named['function']) ?? asObject(named['custom']))?.['name'])
  if (name === null)
    throw invalid(
      "Missing required parameter: 'tool_choice.function'.",
      'tool_choice.function',
      'missing_required_parameter',
    )
  return { names: [name] }
}

function askOf(call: Call, body: JsonObject): Ask {
  const asked = asText(body['model'])
  if (asked === null) throw invalid('you must provide a model parameter')
  const model = chooseModel(call.world, asked, { kind: 'chat', fallback: 'gpt-4o-mini' })
  checkChat(body, model)
  const messages = objectsIn(body['messages'])
  const ending = messages.slice(
    messages.findLastIndex((message) => !['tool', 'function'].includes(asText(message['role']) ?? '')) + 1,
  )
  return {
    model,
    prompt: lastUserText(messages),
    text: messages.map((message) => contentText(message['content'])).join('\n'),
    images: messages.reduce((sum, message) => sum + contentMedia(message['content']), 0),
    messages: messages.length,
    toolResults: ending.map((message) => contentText(message['content'])),
    tools: toolsOf(body),
    toolChoice: toolChoiceOf(body),
    parallel: body['parallel_tool_calls'] !== false,
    format: formatOf(asObject(body['response_format'])),
    maxTokens: asNumber(body['max_completion_tokens']) ?? asNumber(body['max_tokens']),
    stops:
      asList(body['stop'])?.map((stop) => asText(stop) ?? '') ??
      [asText(body['stop']) ?? ''].filter((stop) => stop !== ''),
    effort: asText(body['reasoning_effort']),
    faults: call.faults,
  }
}

/** Log probabilities of a text, made up from its pieces; always below zero. */
export function logprobsOf(text: string, top: number): object {
  const content = tokenPieces(text).map((token) => {
    const logprob = -((hashText(token) % 1000) + 1) / 1000
    const one = { token, logprob, bytes: [...Buffer.from(token)] }
    const others = Array.from({ length: top }, (_, i) =>
      i === 0 ? one : { ...one, token: `${token}${i}`, logprob: logprob - i, bytes: null },
    )
    return { ...one, top_logprobs: others }
  })
  return { content, refusal: null }
}

function toolCallObjects(call: Call, outcome: Outcome): object[] {
  return outcome.calls.map(({ name, input, custom }) => {
    const id = call.world.ids.id('call_')
    return custom
      ? { id, type: 'custom', custom: { name, input } }
      : { id, type: 'function', function: { name, arguments: input } }
  })
}

function messageOf(call: Call, body: JsonObject, outcome: Outcome): object {
  const tools = outcome.calls.length > 0 ? { tool_calls: toolCallObjects(call, outcome) } : {}
  const content = outcome.calls.length > 0 ? null : outcome.text
  const base = { role: 'assistant', content, refusal: null, annotations: [] }
  if (asList(body['modalities'])?.includes('audio') !== true) return { ...base, ...tools }
  const audio = {
    id: call.world.ids.id('audio_'),
    data: 'AAAA',
    expires_at: call.world.nowS() + 3600,
    transcript: outcome.text,
  }
  return { ...base, content: null, audio, ...tools }
}

function keep(call: Call, completion: JsonObject, body: JsonObject): void {
  const { objects, ids } = call.world
  const extra = ['metadata', 'temperature', 'top_p', 'tools', 'tool_choice', 'seed', 'response_format']
  const kept = Object.fromEntries(
    extra.map((name) => [name, body[name] ?? (name === 'metadata' ? {} : null)]),
  )
  objects.put(stored, {
    ...completion,
    ...kept,
    request_id: ids.id('req_'),
    input_user: asText(body['user']),
  })
  const id = asText(completion['id']) ?? ''
  for (const [i, message] of objectsIn(body['messages']).entries())
    objects.put(messagesOf(id), { id: `${id}-${i}`, ...message })
}

function createCompletion(call: Call): Reply {
  const body = call.json()
  const ask = askOf(call, body)
  const n = asNumber(body['n']) ?? 1
  const outcomes = Array.from({ length: n }, (_, variant) => decide(ask, variant))
  const usage = {
    ...inputUsage(call.world, ask),
    output: outcomes.reduce((sum, { tokens }) => sum + tokens, 0),
    reasoning: outcomes.reduce((sum, { reasoning }) => sum + reasoning, 0),
  }
  const told = toldUsage(usage, call.faults)
  const tier = asText(body['service_tier'])
  const top = body['logprobs'] === true ? (asNumber(body['top_logprobs']) ?? 0) : null
  const choices = outcomes.map((outcome, index) => ({
    index,
    message: messageOf(call, body, outcome),
    logprobs: top === null ? null : logprobsOf(outcome.text, top),
    finish_reason: outcome.reason,
  }))
  const common = {
    id: call.world.ids.id('chatcmpl-'),
    created: call.world.nowS(),
    model: ask.model.served,
    service_tier: tier === null || tier === 'auto' ? 'default' : tier,
    system_fingerprint: 'fp_sandbox0001',
  }
  const { id, created, model, ...rest } = common
  const usageField = told === null ? {} : { usage: chatUsage(told) }
  const completion = { id, object: 'chat.completion', created, model, choices, ...usageField, ...rest }
  if (body['store'] === true) keep(call, completion as unknown as JsonObject, body)
  const served = { model, usage: told ?? usage, usageTold: told !== null }
  if (body['stream'] !== true) return jsonReply(completion, 200, served)
  const options = asObject(body['stream_options'])
  const shown = {
    includeUsage: options?.['include_usage'] === true,
    obfuscate: options?.['include_obfuscation'] !== false,
  }
  return streamReply(
    chatFrames({ common, choices: choices as unknown as JsonObject[], usage: told, top, ...shown }),
    served,
  )
}

function getStored(call: Call): JsonObject {
  const id = call.param('id')
  const found = call.world.objects.get(stored, id)
  if (found === null) throw missing(`Completion with id '${id}' not found.`)
  return found
}

function listStored(call: Call): Reply {
  const model = call.query.get('model')
  const all = call.world.objects.all(stored).filter((one) => model === null || one['model'] === model)
  return jsonReply(pageOf(all, call.query, 'asc'))
}

function updateStored(call: Call): Reply {
  const updated = { ...getStored(call), metadata: call.json()['metadata'] ?? {} }
  call.world.objects.put(stored, updated)
  return jsonReply(updated)
}

function deleteStored(call: Call): Reply {
  const { id } = getStored(call)
  call.world.objects.delete(stored, String(id))
  return jsonReply({ object: 'chat.completion.deleted', id, deleted: true })
}

function storedMessages(call: Call): Reply {
  const { id } = getStored(call)
  return jsonReply(pageOf(call.world.objects.all(messagesOf(String(id))), call.query, 'asc'))
}

/** Chat completions. */
export const chatRoutes: readonly Route[] = [
  ['POST', '/v1/chat/completions', createCompletion],
  ['GET', '/v1/chat/completions', listStored],
  ['GET', '/v1/chat/completions/:id', (call) => jsonReply(getStored(call))],
  ['POST', '/v1/chat/completions/:id', updateStored],
  ['DELETE', '/v1/chat/completions/:id', deleteStored],
  ['GET', '/v1/chat/completions/:id/messages', storedMessages],
]
