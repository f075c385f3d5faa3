// Builds a response (the Responses API): reads the input items, takes up an earlier response or a conversation, decides, and writes the
// whole response object. HTTP and WebSocket both use it; the stream is told afterwards from the finished object (`response-stream.ts`).

import type { BookUnits, BookUsage } from './books.ts'
import { checkNumbers } from './chat-check.ts'
import { contentMedia, contentText, formatOf, lastUserText } from './content.ts'
import type { Fault } from './faults.ts'
import { asList, asNumber, asObject, asText, objectsIn } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { chooseModel } from './models.ts'
import { decide } from './outcome.ts'
import type { Ask, Outcome, ToolSpec } from './outcome.ts'
import { invalid } from './reply.ts'
import type { Served } from './reply.ts'
import { inputUsage, responseUsage, toldUsage } from './usage.ts'
import type { World } from './world.ts'

/** Collection of stored responses; `responses/ID/input` holds each one's input items. */
export const storedResponses = 'responses'
const hopsMax = 50

/** A response that is finished, and what the books say. */
export interface BuiltResponse {
  readonly response: JsonObject
  readonly inputItems: readonly JsonObject[]
  readonly served: Served
  readonly told: BookUsage | null
}

/** The input as items; a plain text is one message of the user. */
function itemsOf(world: World, input: Json | undefined): JsonObject[] {
  const plain = asText(input)
  const items: JsonObject[] =
    plain === null
      ? objectsIn(input)
      : [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: plain }] }]
  return items.map((item) => {
    const message = item['role'] !== undefined && item['type'] === undefined
    const content = asText(item['content'])
    const parts =
      content === null
        ? {}
        : { content: [{ type: item['role'] === 'assistant' ? 'output_text' : 'input_text', text: content }] }
    return {
      id: asText(item['id']) ?? world.ids.id('msg_'),
      ...(message ? { type: 'message' } : {}),
      ...item,
      ...parts,
    }
  })
}

/** What was said before: earlier responses, oldest first, and the conversation's items. @throws Refusal 400 */
function historyOf(world: World, body: JsonObject): JsonObject[] {
  const conversation = asText(body['conversation']) ?? asText(asObject(body['conversation'])?.['id'])
  const items = conversation === null ? [] : world.objects.all(`conversations/${conversation}/items`)
  let id = asText(body['previous_response_id'])
  const turns: JsonObject[][] = []
  for (let hop = 0; id !== null && hop < hopsMax; hop++) {
    const earlier = world.objects.get(storedResponses, id)
    if (earlier === null) {
      throw invalid(
        `Previous response with id '${id}' not found.`,
        'previous_response_id',
        'previous_response_not_found',
      )
    }
    turns.unshift([...world.objects.all(`${storedResponses}/${id}/input`), ...objectsIn(earlier['output'])])
    id = asText(earlier['previous_response_id'])
  }
  return [...items, ...turns.flat()]
}

function toolsOf(body: JsonObject): ToolSpec[] {
  return objectsIn(body['tools']).flatMap((tool): ToolSpec[] => {
    const name = asText(tool['name'])
    const custom = tool['type'] === 'custom'
    if (name === null || (tool['type'] !== 'function' && !custom)) return []
    return [{ name, parameters: asObject(tool['parameters']), custom }]
  })
}

function toolChoiceOf(choice: Json | undefined): Ask['toolChoice'] {
  if (choice === 'none' || choice === 'required') return choice
  const name = asText(asObject(choice)?.['name'])
  return name === null ? 'auto' : { names: [name] }
}

function askOf(
  world: World,
  body: JsonObject,
  faults: readonly Fault[],
): { ask: Ask; inputItems: JsonObject[] } {
  const asked = asText(body['model'])
  if (asked === null)
    throw invalid("Missing required parameter: 'model'.", 'model', 'missing_required_parameter')
  const model = chooseModel(world, asked, { kind: 'chat', fallback: 'gpt-4o-mini' })
  checkNumbers(body)
  const sources = ['input', 'previous_response_id', 'prompt', 'conversation']
  if (sources.every((name) => body[name] == null)) {
    throw invalid(
      `One of "input" or "previous_response_id" or 'prompt' or 'conversation_id' must be provided.`,
      null,
      'missing_required_parameter',
    )
  }
  const inputItems = itemsOf(world, body['input'])
  const all = [...historyOf(world, body), ...inputItems]
  const isResult = (item: JsonObject): boolean => (asText(item['type']) ?? '').endsWith('_call_output')
  const ending = inputItems.slice(inputItems.findLastIndex((item) => !isResult(item)) + 1)
  const texts = all.map(
    (item) =>
      contentText(item['content']) || contentText(item['output']) || (asText(item['arguments']) ?? ''),
  )
  const ask: Ask = {
    model,
    prompt: lastUserText(all),
    text: [asText(body['instructions']) ?? '', ...texts].join('\n'),
    images: all.reduce((sum, item) => sum + contentMedia(item['content']), 0),
    messages: all.length,
    toolResults: ending.map((item) => contentText(item['output'])),
    tools: toolsOf(body),
    toolChoice: toolChoiceOf(body['tool_choice']),
    parallel: body['parallel_tool_calls'] !== false,
    format: formatOf(asObject(asObject(body['text'])?.['format'])),
    maxTokens: asNumber(body['max_output_tokens']),
    stops: [],
    effort: asText(asObject(body['reasoning'])?.['effort']),
    faults,
  }
  return { ask, inputItems }
}

/** Which of the sandbox's own tools are called: each that the request names, once. */
function searchesOf(body: JsonObject): { web: boolean; files: boolean } {
  const types =
    body['tool_choice'] === 'none' ? [] : objectsIn(body['tools']).map((tool) => asText(tool['type']))
  const web = types.some((type) => type?.startsWith('web_search') === true)
  return { web, files: types.includes('file_search') }
}

/** A search is charged; that one of its pages was opened is told and free. */
function unitsOf(body: JsonObject): BookUnits | null {
  const { web, files } = searchesOf(body)
  const preview = objectsIn(body['tools']).some(
    (tool) => asText(tool['type'])?.startsWith('web_search_preview') === true,
  )
  if (!web && !files) return null
  const name = preview ? 'webSearches/preview' : 'webSearches'
  return { ...(web ? { [name]: 1 } : {}), ...(files ? { fileSearches: 1 } : {}) }
}

function searchItems({ ids }: World, body: JsonObject, query: string): JsonObject[] {
  const { web, files } = searchesOf(body)
  const status = 'completed'
  const call = (action: JsonObject) => ({ id: ids.id('ws_'), type: 'web_search_call', status, action })
  const pages = [call({ type: 'search', query }), call({ type: 'open_page', url: 'https://example.com/' })]
  const found = { id: ids.id('fs_'), type: 'file_search_call', status, queries: [query], results: null }
  return [...(web ? pages : []), ...(files ? [found] : [])]
}

function outputOf(
  world: World,
  body: JsonObject,
  outcome: Outcome & { thinks: boolean; prompt: string },
): JsonObject[] {
  const items: JsonObject[] = []
  const { ids } = world
  if (outcome.thinks) {
    const wanted = asText(asObject(body['reasoning'])?.['summary'])
    const summary =
      wanted === null
        ? []
        : [{ type: 'summary_text', text: '**Reading the request**\n\nThe sandbox thinks as asked.' }]
    const encrypted =
      asList(body['include'])?.includes('reasoning.encrypted_content') === true
        ? { encrypted_content: 'c2FuZGJveA==' }
        : {}
    items.push({ id: ids.id('rs_'), type: 'reasoning', ...encrypted, summary })
  }
  items.push(...searchItems(world, body, outcome.prompt))
  for (const call of outcome.calls) {
    const ends = { call_id: ids.id('call_'), name: call.name }
    if (call.custom)
      items.push({
        id: ids.id('ctc_'),
        type: 'custom_tool_call',
        status: 'completed',
        input: call.input,
        ...ends,
      })
    else
      items.push({
        id: ids.id('fc_'),
        type: 'function_call',
        status: 'completed',
        arguments: call.input,
        ...ends,
      })
  }
  if (outcome.calls.length > 0) return items
  const status = outcome.reason === 'stop' ? 'completed' : 'incomplete'
  const content = [{ type: 'output_text', annotations: [], logprobs: [], text: outcome.text }]
  items.push({ id: ids.id('msg_'), type: 'message', status, content, role: 'assistant' })
  return items
}

function settingsOf(body: JsonObject): JsonObject {
  const reasoning = asObject(body['reasoning'])
  const text = asObject(body['text'])
  return {
    instructions: body['instructions'] ?? null,
    max_output_tokens: body['max_output_tokens'] ?? null,
    max_tool_calls: body['max_tool_calls'] ?? null,
    metadata: body['metadata'] ?? {},
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    previous_response_id: body['previous_response_id'] ?? null,
    prompt_cache_key: body['prompt_cache_key'] ?? null,
    reasoning: { effort: reasoning?.['effort'] ?? null, summary: reasoning?.['summary'] ?? null },
    safety_identifier: body['safety_identifier'] ?? null,
    service_tier:
      body['service_tier'] === undefined || body['service_tier'] === 'auto'
        ? 'default'
        : body['service_tier'],
    store: body['store'] ?? true,
    temperature: body['temperature'] ?? 1,
    text: { format: text?.['format'] ?? { type: 'text' }, verbosity: text?.['verbosity'] ?? 'medium' },
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    top_logprobs: body['top_logprobs'] ?? 0,
    top_p: body['top_p'] ?? 1,
    truncation: body['truncation'] ?? 'disabled',
    user: body['user'] ?? null,
  }
}

/** Builds the whole response to a request body; stores it unless `store` is false. @throws Refusal */
export function buildResponse(world: World, body: JsonObject, faults: readonly Fault[]): BuiltResponse {
  const { ask, inputItems } = askOf(world, body, faults)
  const outcome = decide(ask)
  const usage = { ...inputUsage(world, ask), output: outcome.tokens, reasoning: outcome.reasoning }
  const told = toldUsage(usage, faults)
  const why = { length: 'max_output_tokens', content_filter: 'content_filter', stop: null, tool_calls: null }[
    outcome.reason
  ]
  const now = world.nowS()
  const response: JsonObject = {
    id: world.ids.id('resp_'),
    object: 'response',
    created_at: now,
    status: why === null ? 'completed' : 'incomplete',
    background: body['background'] === true,
    completed_at: why === null ? now : null,
    error: null,
    incomplete_details: why === null ? null : { reason: why },
    model: ask.model.served,
    output: outputOf(world, body, { ...outcome, thinks: ask.model.reasoning, prompt: ask.prompt }),
    ...settingsOf(body),
    usage: told === null ? null : (responseUsage(told) as JsonObject),
  }
  const built = {
    response,
    inputItems,
    told,
    served: {
      model: ask.model.served,
      usage: told ?? usage,
      units: unitsOf(body),
      usageTold: told !== null,
    },
  }
  if (body['store'] !== false) keep(world, body, built)
  return built
}

function keep(world: World, body: JsonObject, { response, inputItems }: BuiltResponse): void {
  const id = String(response['id'])
  world.objects.put(storedResponses, response)
  for (const item of inputItems) world.objects.put(`${storedResponses}/${id}/input`, item)
  const conversation = asText(body['conversation']) ?? asText(asObject(body['conversation'])?.['id'])
  if (conversation === null) return
  for (const item of [...inputItems, ...objectsIn(response['output'])]) {
    world.objects.put(`conversations/${conversation}/items`, item)
  }
}
