// What OpenAI takes for granted where a request says nothing (platform.openai.com, API reference and openapi.json, read
// November 2026): a default spelled out asks for the same answer as one left out. Only what holds for every model is here:
// `reasoning_effort`, `size` or `verbosity` depend on the model, so their absence is not the same as any value.
// A request's `null` is the same as its absence for every member that is listed.

import { canonicalText, type Json } from './canonical-json.ts'

type Defaults = Readonly<Record<string, readonly Json[]>>

const sampling: Defaults = { temperature: [1, null], top_p: [1, null] }
const nullable = (...names: string[]): Defaults => Object.fromEntries(names.map((name) => [name, [null]]))

const table: Readonly<Record<string, Defaults>> = {
  'chat.completions': {
    ...sampling,
    ...nullable(
      'audio', 'logit_bias', 'max_completion_tokens', 'max_tokens', 'metadata', 'prediction', 'seed', 'stop', 'user',
      'web_search_options', 'top_logprobs', 'reasoning_effort', 'verbosity', 'safety_identifier', 'prompt_cache_key',
    ), // prettier-ignore
    n: [1, null],
    presence_penalty: [0, null],
    frequency_penalty: [0, null],
    logprobs: [false, null],
    store: [false, null],
    service_tier: ['auto', null],
    modalities: [['text'], null],
    response_format: [{ type: 'text' }],
    parallel_tool_calls: [true],
  },
  responses: {
    ...sampling,
    ...nullable(
      'conversation', 'instructions', 'max_output_tokens', 'max_tool_calls', 'metadata', 'previous_response_id', 'prompt',
      'reasoning', 'safety_identifier', 'prompt_cache_key', 'user', 'top_logprobs',
    ), // prettier-ignore
    background: [false, null],
    include: [[], null],
    parallel_tool_calls: [true, null],
    service_tier: ['auto', null],
    text: [{ format: { type: 'text' } }],
    tool_choice: ['auto'],
    tools: [[]],
    truncation: ['disabled', null],
  },
  completions: {
    ...sampling,
    ...nullable('logit_bias', 'logprobs', 'seed', 'stop', 'suffix', 'user'),
    best_of: [1, null],
    echo: [false, null],
    frequency_penalty: [0, null],
    presence_penalty: [0, null],
    max_tokens: [16, null],
    n: [1, null],
  },
  embeddings: { encoding_format: ['float'], ...nullable('dimensions', 'user') },
  moderations: { model: ['omni-moderation-latest'] },
  'images.generations': {
    n: [1, null],
    moderation: ['auto', null],
    ...nullable('user', 'output_compression'),
  },
  'audio.speech': { response_format: ['mp3'], speed: [1], stream_format: ['audio'] },
}

const texts = new Map(
  Object.entries(table).map(([operation, defaults]) => [
    operation,
    new Map(Object.entries(defaults).map(([name, values]) => [name, new Set(values.map(canonicalText))])),
  ]),
)

/** Whether `name: value` says no more than its absence. */
export function isDefault(operation: string, name: string, value: Json): boolean {
  return texts.get(operation)?.get(name)?.has(canonicalText(value)) ?? false
}

/** The defaults by operation, for the documentation's test. */
export const requestDefaults = table
