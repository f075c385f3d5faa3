// What OpenAI refuses about a chat completion's parameters, in its words, as far as clients are known to depend on them.

import { asList, asNumber, asObject, asText, objectsIn } from './json.ts'
import type { JsonObject } from './json.ts'
import type { ModelChoice } from './models.ts'
import { contentText } from './content.ts'
import { invalid } from './reply.ts'
import type { Refusal } from './reply.ts'

interface Range {
  readonly min: number
  readonly max: number
  readonly whole: boolean
}

const ranges: Record<string, Range> = {
  temperature: { min: 0, max: 2, whole: false },
  top_p: { min: 0, max: 1, whole: false },
  presence_penalty: { min: -2, max: 2, whole: false },
  frequency_penalty: { min: -2, max: 2, whole: false },
  n: { min: 1, max: 128, whole: true },
  top_logprobs: { min: 0, max: 20, whole: true },
  max_tokens: { min: 1, max: Infinity, whole: true },
  max_completion_tokens: { min: 1, max: Infinity, whole: true },
  max_output_tokens: { min: 16, max: Infinity, whole: true },
}
const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function']

/** Refuses numbers outside their range. @throws Refusal 400 */
export function checkNumbers(body: JsonObject): void {
  for (const [name, { min, max, whole }] of Object.entries(ranges)) {
    const value = body[name]
    if (value === undefined || value === null) continue
    const kind = whole ? 'integer' : 'decimal'
    const number = asNumber(value)
    if (number === null || (whole && !Number.isInteger(number))) {
      throw invalid(
        `Invalid type for '${name}': expected ${whole ? 'an integer' : 'a decimal'}, but got ${JSON.stringify(value).slice(0, 60)} instead.`,
        name,
        'invalid_type',
      )
    }
    if (number < min) {
      throw invalid(
        `Invalid '${name}': ${kind} below minimum value. Expected a value >= ${min}, but got ${number} instead.`,
        name,
        `${kind}_below_min_value`,
      )
    }
    if (number > max) {
      throw invalid(
        `Invalid '${name}': ${kind} above maximum value. Expected a value <= ${max}, but got ${number} instead.`,
        name,
        `${kind}_above_max_value`,
      )
    }
  }
}

function missingParameter(name: string): Refusal {
  return invalid(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter')
}

function checkMessage(message: JsonObject | null, i: number, answered: Set<string>): void {
  const at = `messages[${i}]`
  if (message === null) throw invalid(`Invalid type for '${at}': expected an object.`, at, 'invalid_type')
  const role = asText(message['role'])
  if (role === null) throw missingParameter(`${at}.role`)
  if (!roles.includes(role)) {
    const listed = roles.map((name) => `'${name}'`).join(', ')
    throw invalid(`Invalid value: '${role}'. Supported values are: ${listed}.`, `${at}.role`, 'invalid_value')
  }
  for (const call of objectsIn(message['tool_calls'])) answered.add(asText(call['id']) ?? '')
  if (role === 'tool' && !answered.has(asText(message['tool_call_id']) ?? '')) {
    throw invalid(
      "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
      `${at}.role`,
    )
  }
  if (role !== 'assistant' && role !== 'tool' && message['content'] === undefined)
    throw missingParameter(`${at}.content`)
}

/** Refuses what is wrong with the messages. @throws Refusal 400 */
export function checkMessages(body: JsonObject): void {
  const messages = asList(body['messages'])
  if (body['messages'] === undefined) throw missingParameter('messages')
  if (messages === null)
    throw invalid("Invalid type for 'messages': expected an array of objects.", 'messages', 'invalid_type')
  if (messages.length === 0) {
    const message =
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
    throw invalid(message, 'messages', 'empty_array')
  }
  const answered = new Set<string>()
  for (const [i, message] of messages.entries()) checkMessage(asObject(message), i, answered)
}

/** Refuses combinations that OpenAI refuses. @throws Refusal 400 */
export function checkChat(body: JsonObject, model: ModelChoice): void {
  checkNumbers(body)
  checkMessages(body)
  if (model.reasoning && body['max_tokens'] != null) {
    const message =
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    throw invalid(message, 'max_tokens', 'unsupported_parameter')
  }
  if (body['stream_options'] != null && body['stream'] !== true) {
    throw invalid(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    )
  }
  const stops = asList(body['stop'])
  if (stops !== null && stops.length > 4) {
    const message = `Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length ${stops.length} instead.`
    throw invalid(message, 'stop', 'array_above_max_length')
  }
  const format = asObject(body['response_format'])
  const said = objectsIn(body['messages']).map((message) => contentText(message['content']))
  if (format?.['type'] === 'json_object' && !said.some((text) => /json/i.test(text))) {
    const message =
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    throw invalid(message, 'messages')
  }
}
