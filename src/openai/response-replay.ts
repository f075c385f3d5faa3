// A finished response told as events (platform.openai.com, API reference, "Streaming events", read November 2026), in the
// order OpenAI sends them; and the response that a recorded stream ended with. Events count from 0; the last one carries the
// whole response, so whatever is not told step by step is still told. An output item whose steps are not known here is told
// by its beginning and its end alone, as OpenAI does with new kinds of items.

import { isObject, type Json } from './canonical-json.ts'

type Members = { [name: string]: Json }

/** One event: `type`, `sequence_number` and what it is about. */
export type ResponseEvent = Members

/** The response that a stream of events ended with; null where it did not complete, or lacks an item that was told. */
export function responseFromEvents(events: readonly Json[]): Members | null {
  const last = events.at(-1)
  if (!isObject(last) || last['type'] !== 'response.completed' || !isObject(last['response'])) return null
  const response = last['response']
  const output = Array.isArray(response['output']) ? response['output'] : []
  for (const event of events) {
    if (!isObject(event)) return null
    if (event['type'] === 'error' || event['type'] === 'response.failed') return null
    if (event['type'] !== 'response.output_item.done') continue
    const index = event['output_index']
    const item = typeof index === 'number' ? output[index] : undefined
    if (!isObject(item) || !isObject(event['item']) || item['type'] !== event['item']['type']) return null
  }
  return response
}

/** A finished response as events; null where it is none. */
export function eventsOfResponse(response: Json): ResponseEvent[] | null {
  if (!isObject(response) || response['status'] !== 'completed' || !Array.isArray(response['output']))
    return null
  const opening: Members = { ...response, status: 'in_progress', output: [], usage: null }
  if ('completed_at' in opening) opening['completed_at'] = null
  const events: ResponseEvent[] = []
  const say = (type: string, fields: Members): void => {
    events.push({ type: `response.${type}`, sequence_number: events.length, ...fields })
  }
  say('created', { response: opening })
  say('in_progress', { response: opening })
  for (const [index, item] of response['output'].entries()) {
    if (!isObject(item)) return null
    tellItem(item, { item_id: item['id'] ?? '', output_index: index }, say)
  }
  say('completed', { response })
  return events
}

type Say = (type: string, fields: Members) => void

function tellItem(item: Members, at: Members, say: Say): void {
  const index = at['output_index']!
  const { type } = item
  const running: Members = 'status' in item ? { status: 'in_progress' } : {}
  const added = (empty: Members): void =>
    say('output_item.added', { output_index: index, item: { ...item, ...running, ...empty } })
  if (type === 'message') {
    added({ content: [] })
    tellContent(item, at, say)
  } else if (type === 'reasoning') {
    added({ summary: [], ...(Array.isArray(item['content']) ? { content: [] } : {}) })
    tellSummary(item, at, say)
    tellContent(item, at, say)
  } else if (type === 'function_call') {
    added({ arguments: '' })
    tellText(
      'function_call_arguments',
      { ...at, name: item['name'] ?? '' },
      { name: 'arguments', text: item['arguments'], say },
    )
  } else if (type === 'custom_tool_call') {
    added({ input: '' })
    tellText('custom_tool_call_input', at, { name: 'input', text: item['input'], say })
  } else if (type === 'mcp_call') {
    added({ arguments: '', output: null })
    say('mcp_call.in_progress', at)
    tellText('mcp_call_arguments', at, { name: 'arguments', text: item['arguments'], say })
    say(item['error'] == null ? 'mcp_call.completed' : 'mcp_call.failed', at)
  } else if (type === 'code_interpreter_call') {
    added({ code: '', outputs: [] })
    say('code_interpreter_call.in_progress', at)
    tellText('code_interpreter_call_code', at, { name: 'code', text: item['code'], say })
    say('code_interpreter_call.interpreting', at)
    say('code_interpreter_call.completed', at)
  } else {
    added({})
    const steps = stepsOf[String(type)] ?? []
    for (const step of steps) say(`${String(type)}.${step}`, at)
  }
  say('output_item.done', { output_index: index, item })
}

const stepsOf: Readonly<Record<string, readonly string[]>> = {
  web_search_call: ['in_progress', 'searching', 'completed'],
  file_search_call: ['in_progress', 'searching', 'completed'],
  image_generation_call: ['in_progress', 'generating', 'completed'],
  mcp_list_tools: ['in_progress', 'completed'],
}

function tellText(type: string, at: Members, what: { name: string; text: Json | undefined; say: Say }): void {
  const { name, text, say } = what
  const { name: called, ...where } = at
  const whole = typeof text === 'string' ? text : ''
  if (whole !== '') say(`${type}.delta`, { ...where, delta: whole })
  say(`${type}.done`, { ...where, ...(called === undefined ? {} : { name: called }), [name]: whole })
}

function tellContent(item: Members, at: Members, say: Say): void {
  const parts = Array.isArray(item['content']) ? item['content'] : []
  for (const [index, part] of parts.entries()) {
    if (!isObject(part)) continue
    const where: Members = { ...at, content_index: index }
    const { type } = part
    if (type === 'output_text') {
      const text = typeof part['text'] === 'string' ? part['text'] : ''
      const logprobs = Array.isArray(part['logprobs']) ? part['logprobs'] : []
      const empty = { ...part, text: '', annotations: [], ...('logprobs' in part ? { logprobs: [] } : {}) }
      say('content_part.added', { ...where, part: empty })
      if (text !== '') say('output_text.delta', { ...where, delta: text, logprobs })
      const annotations = Array.isArray(part['annotations']) ? part['annotations'] : []
      for (const [number, annotation] of annotations.entries())
        say('output_text.annotation.added', { ...where, annotation_index: number, annotation })
      say('output_text.done', { ...where, text, logprobs })
    } else if (type === 'refusal') {
      const refusal = typeof part['refusal'] === 'string' ? part['refusal'] : ''
      say('content_part.added', { ...where, part: { ...part, refusal: '' } })
      say('refusal.delta', { ...where, delta: refusal })
      say('refusal.done', { ...where, refusal })
    } else if (type === 'reasoning_text') {
      const text = typeof part['text'] === 'string' ? part['text'] : ''
      say('content_part.added', { ...where, part: { ...part, text: '' } })
      say('reasoning_text.delta', { ...where, delta: text })
      say('reasoning_text.done', { ...where, text })
    } else say('content_part.added', { ...where, part })
    say('content_part.done', { ...where, part })
  }
}

function tellSummary(item: Members, at: Members, say: Say): void {
  const parts = Array.isArray(item['summary']) ? item['summary'] : []
  for (const [index, part] of parts.entries()) {
    if (!isObject(part)) continue
    const where: Members = { ...at, summary_index: index }
    const text = typeof part['text'] === 'string' ? part['text'] : ''
    say('reasoning_summary_part.added', { ...where, part: { ...part, text: '' } })
    if (text !== '') say('reasoning_summary_text.delta', { ...where, delta: text })
    say('reasoning_summary_text.done', { ...where, text })
    say('reasoning_summary_part.done', { ...where, part })
  }
}
