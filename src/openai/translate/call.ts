// A request on its way to a provider that does not speak like OpenAI: read from OpenAI's wire into the prompt, tools and
// settings that all of the provider packages take (LanguageModelV4 of @ai-sdk/provider). What a provider lacks is noted
// by the name the client used, so that it can be told what was left out, or be refused.

import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider'
import { Failure } from '../../failure.ts'

/** A JSON object of unknown members. */
export type Members = Readonly<Record<string, unknown>>

/** What one provider's model can be given. */
export interface Abilities {
  /** Parameters of OpenAI's wire that it has nothing for. */
  readonly lacks: ReadonlySet<string>
  /** Media types it takes as data, such as `image/*`; `*` = any. */
  readonly media: readonly string[]
  /** URLs it fetches by itself, by media type. Nobody fetches them for it: that would be a door into our network. */
  readonly urls: Readonly<Record<string, readonly RegExp[]>>
  /** Settings of its own for what has no common name. */
  extras(wish: Wish): SharedV4ProviderOptions | undefined
  /** A turn that called tools cannot be continued with reasoning unless its reasoning is sent along. */
  readonly reasoningNeedsItsPast: boolean
}

/** What `Abilities.extras` may depend on. */
export interface Wish {
  /** False = one tool call at a time was asked for. */
  readonly parallelToolCalls: boolean
  readonly effort: string | null
}

/** A request as the packages take it. */
export interface Call {
  readonly options: LanguageModelV4CallOptions
  /** Names of parameters that were left out. */
  readonly dropped: readonly string[]
}

/** Efforts of reasoning that the packages know. */
export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] as const

/** One of `efforts`; absent = the provider's own. @throws Failure */
export function effortOf(value: unknown, param: string): (typeof efforts)[number] | undefined {
  if (value === undefined || value === null) return undefined
  const known = efforts.find((effort) => effort === value)
  if (known === undefined) throw invalid(param, `must be one of ${efforts.join(', ')}`)
  return known
}

/** An object, or null. */
export function membersOf(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
}

/** A refusal of what the client wrote. */
export function invalid(param: string, what: string): Failure {
  return new Failure('bad_request', `Invalid '${param}': ${what}.`, { param })
}

/** A refusal of what the provider of the upstream cannot take. */
export function cannot(param: string, what: string): Failure {
  return new Failure('bad_request', `'${param}' cannot be sent to this model's provider: ${what}.`, { param })
}

/** A finite number, or undefined where nothing is said. @throws Failure */
export function numberOf(body: Members, param: string): number | undefined {
  const value = body[param]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(param, 'must be a number')
  return value
}

/** A positive whole number, or undefined. @throws Failure */
export function countOf(body: Members, param: string): number | undefined {
  const value = numberOf(body, param)
  if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
    throw invalid(param, 'must be a whole number of at least 1')
  return value
}

/** Parameters that mean nothing to the answer where they have one of these values; others are unsupported. */
const idle: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  store: (value) => value === false,
  logprobs: (value) => value === false,
  background: (value) => value === false,
  logit_bias: (value) => membersOf(value) !== null && Object.keys(value as object).length === 0,
  modalities: (value) => JSON.stringify(value) === '["text"]',
  service_tier: (value) => value === 'auto' || value === 'default',
  truncation: (value) => value === 'disabled',
  verbosity: (value) => value === 'medium',
  top_logprobs: (value) => value === 0,
}
/** Notes for the provider, or hints: an answer without them is the same answer. */
const notes = new Set([
  'user',
  'metadata',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'stream_options',
  'include',
])

/** Splits what a body holds into what can be passed on and the names of what cannot. */
export function sift(
  body: Members,
  known: ReadonlySet<string>,
  lacks: ReadonlySet<string>,
): { kept: Members; dropped: string[] } {
  const kept: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  const dropped: string[] = []
  for (const [name, value] of Object.entries(body)) {
    if (value === null || value === undefined) continue
    const harmless = notes.has(name) || idle[name]?.(value) === true
    if (known.has(name) && !lacks.has(name)) kept[name] = value
    else if (name === 'parallel_tool_calls' && value === true) continue
    else if (!harmless) dropped.push(name)
  }
  return { kept, dropped }
}

/** Settings that both endpoints call the same. @throws Failure */
export function commonSettings(body: Members): Partial<LanguageModelV4CallOptions> {
  return {
    ...given('temperature', numberOf(body, 'temperature')),
    ...given('topP', numberOf(body, 'top_p')),
    ...given('topK', numberOf(body, 'top_k')),
  }
}

/** `{ [name]: value }`, or nothing where there is no value: an absent member and undefined are not the same to every package. */
export function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { [name in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [name in Name]?: Value })
}

/** What a tool's `parameters` say; absent = no parameters. @throws Failure */
export function functionTool(tool: Members, param: string): LanguageModelV4FunctionTool {
  const { name, description, parameters, strict } = tool
  if (typeof name !== 'string' || name === '') throw invalid(`${param}.name`, 'must be text')
  const schema = parameters ?? { type: 'object', properties: {} }
  if (membersOf(schema) === null) throw invalid(`${param}.parameters`, 'must be a JSON schema')
  return {
    type: 'function',
    name,
    inputSchema: schema as LanguageModelV4FunctionTool['inputSchema'],
    ...given('description', typeof description === 'string' ? description : undefined),
    ...given('strict', strict === true ? true : undefined),
  }
}

/** Tools and choice, narrowed to the allowed ones where the choice names some. @throws Failure */
export function chooseTools(
  tools: LanguageModelV4FunctionTool[],
  choice: unknown,
  allowed: (tool: Members) => unknown,
): Pick<LanguageModelV4CallOptions, 'tools' | 'toolChoice'> {
  if (tools.length === 0) return {}
  if (choice === undefined || choice === null) return { tools }
  if (choice === 'auto' || choice === 'none' || choice === 'required')
    return { tools, toolChoice: { type: choice } }
  const named = membersOf(choice)
  if (named?.['type'] === 'function') {
    const toolName = allowed(named)
    if (typeof toolName !== 'string' || !tools.some((tool) => tool.name === toolName))
      throw invalid('tool_choice', 'must name one of the tools')
    return { tools, toolChoice: { type: 'tool', toolName } }
  }
  if (named?.['type'] === 'allowed_tools') {
    const inner = membersOf(named['allowed_tools']) ?? named
    const list = Array.isArray(inner['tools']) ? inner['tools'] : []
    const names = new Set(list.map((tool) => allowed(membersOf(tool) ?? {})))
    const left = tools.filter((tool) => names.has(tool.name))
    if (left.length === 0) throw invalid('tool_choice', 'allows none of the tools')
    return { tools: left, toolChoice: { type: inner['mode'] === 'required' ? 'required' : 'auto' } }
  }
  throw invalid('tool_choice', 'must be auto, none, required, or name a function')
}

/** The form of the answer that `response_format` or `text.format` asks for. @throws Failure */
export function responseFormatOf(
  format: unknown,
  param: string,
): Pick<LanguageModelV4CallOptions, 'responseFormat'> {
  if (format === undefined || format === null) return {}
  const asked = membersOf(format)
  const type = asked?.['type']
  if (type === 'text') return {}
  if (type === 'json_object') return { responseFormat: { type: 'json' } }
  if (type !== 'json_schema') throw invalid(param, 'must be text, json_object or json_schema')
  const { schema, name, description } = membersOf(asked!['json_schema']) ?? asked!
  if (membersOf(schema) === null) throw invalid(`${param}.schema`, 'must be a JSON schema')
  return {
    responseFormat: {
      type: 'json',
      schema: schema as NonNullable<LanguageModelV4FunctionTool['inputSchema']>,
      ...given('name', typeof name === 'string' ? name : undefined),
      ...given('description', typeof description === 'string' ? description : undefined),
    },
  }
}

/** Arguments of a function call as a client sends them back. @throws Failure */
export function argumentsOf(text: unknown, param: string): unknown {
  if (text === undefined || text === null || text === '') return {}
  if (typeof text !== 'string') throw invalid(param, 'must be JSON in a text')
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw invalid(param, 'is not valid JSON')
  }
}
