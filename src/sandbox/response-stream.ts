// A finished response told as events, in the order and with the members recorded from OpenAI. `sequence_number` counts from 0 over all
// events of the stream; the terminal event (`response.completed`, or `response.incomplete`) carries the whole response and the usage.

import { hashText } from './ids.ts'
import { asList, asObject, asText, objectsIn } from './json.ts'
import type { JsonObject } from './json.ts'
import { frame } from './reply.ts'
import type { Frame } from './reply.ts'
import { tokenPieces } from './tokens.ts'

/** An event before it has its number. */
interface Event {
  readonly type: string
  readonly fields: JsonObject
  readonly tokens: number
}

function event(type: string, fields: JsonObject, tokens = 0): Event {
  return { type: `response.${type}`, fields, tokens }
}

function* messageEvents(item: JsonObject, at: JsonObject): Generator<Event> {
  const part = asObject(asList(item['content'])?.[0]) ?? {}
  const text = asText(part['text']) ?? ''
  const where = { item_id: item['id'], ...at, content_index: 0 }
  yield event('output_item.added', { ...at, item: { ...item, status: 'in_progress', content: [] } })
  yield event('content_part.added', { ...where, part: { ...part, text: '' } })
  for (const delta of tokenPieces(text))
    yield event('output_text.delta', { ...where, delta, logprobs: [] }, 1)
  yield event('output_text.done', { ...where, text, logprobs: [] })
  yield event('content_part.done', { ...where, part })
  yield event('output_item.done', { ...at, item })
}

function* callEvents(item: JsonObject, at: JsonObject): Generator<Event> {
  const custom = item['type'] === 'custom_tool_call'
  const field = custom ? 'input' : 'arguments'
  const name = custom ? 'custom_tool_call_input' : 'function_call_arguments'
  const whole = asText(item[field]) ?? ''
  const where = { item_id: item['id'], ...at }
  const named = tokenPieces(asText(item['name']) ?? '').length
  yield event('output_item.added', { ...at, item: { ...item, status: 'in_progress', [field]: '' } }, named)
  for (const delta of tokenPieces(whole)) yield event(`${name}.delta`, { ...where, delta }, 1)
  // The description asks for `name` here; recordings of early 2026 lack it.
  yield event(`${name}.done`, { ...where, ...(custom ? {} : { name: item['name'] }), [field]: whole })
  yield event('output_item.done', { ...at, item })
}

function* searchEvents(item: JsonObject, at: JsonObject): Generator<Event> {
  const where = { item_id: item['id'], ...at }
  yield event('output_item.added', { ...at, item: { ...item, status: 'in_progress' } })
  for (const step of ['in_progress', 'searching', 'completed'])
    yield event(`${String(item['type'])}.${step}`, where)
  yield event('output_item.done', { ...at, item })
}

function* reasoningEvents(item: JsonObject, at: JsonObject): Generator<Event> {
  yield event('output_item.added', { ...at, item: { ...item, summary: [] } })
  for (const [index, part] of objectsIn(item['summary']).entries()) {
    const where = { item_id: item['id'], ...at, summary_index: index }
    const text = asText(part['text']) ?? ''
    yield event('reasoning_summary_part.added', { ...where, part: { ...part, text: '' } })
    for (const delta of tokenPieces(text)) yield event('reasoning_summary_text.delta', { ...where, delta })
    yield event('reasoning_summary_text.done', { ...where, text })
    yield event('reasoning_summary_part.done', { ...where, part })
  }
  yield event('output_item.done', { ...at, item })
}

function* events(response: JsonObject): Generator<Event> {
  const opening = {
    ...response,
    status: 'in_progress',
    completed_at: null,
    incomplete_details: null,
    output: [],
    usage: null,
  }
  if (response['background'] === true) yield event('queued', { response: { ...opening, status: 'queued' } })
  yield event('created', { response: opening })
  yield event('in_progress', { response: opening })
  for (const [index, item] of objectsIn(response['output']).entries()) {
    const at = { output_index: index }
    if (item['type'] === 'message') yield* messageEvents(item, at)
    else if (item['type'] === 'reasoning') yield* reasoningEvents(item, at)
    else if (asText(item['type'])?.endsWith('_search_call') === true) yield* searchEvents(item, at)
    else yield* callEvents(item, at)
  }
  yield event(asText(response['status']) ?? 'completed', { response })
}

const padding = 'xT4bN8qL2wZ6rJ0cV'

/** The frames of a finished response; those numbered up to `after` are left out. */
export function* responseFrames(
  response: JsonObject,
  options: { obfuscate: boolean; after?: number },
): Generator<Frame> {
  const { obfuscate, after = -1 } = options
  let sequence = 0
  for (const { type, fields, tokens } of events(response)) {
    const number = sequence++
    if (number <= after) continue
    const padded =
      obfuscate && type.endsWith('.delta')
        ? { obfuscation: padding.slice(0, 1 + (hashText(`${number}`) % 16)) }
        : {}
    const usage = fields['response'] !== undefined && asObject(fields['response'])?.['usage'] != null
    yield frame({ type, sequence_number: number, ...fields, ...padded }, { event: type, tokens, usage })
  }
}
