// What the sandbox's "model" does with a prompt, the same for chat completions and responses: answer in words, answer in JSON, or call
// tools. A tool is called when the caller insists, or when the prompt uses a word of the tool's name (`get_weather`: "weather") and no
// tool has answered yet. Everything follows from the prompt.

import type { Fault } from './faults.ts'
import type { JsonObject } from './json.ts'
import type { ModelChoice } from './models.ts'
import { answerText, cutAnswer, textOfLength } from './prose.ts'
import { schemaInstance, wordsIn } from './schema-instance.ts'
import { countTokens, tokenPieces } from './tokens.ts'
import { reasoningTokens } from './usage.ts'

/** A tool that may be called; a custom one takes text instead of JSON. */
export interface ToolSpec {
  readonly name: string
  readonly parameters: JsonObject | null
  readonly custom: boolean
}

/** A prompt, whichever endpoint it came by. */
export interface Ask {
  readonly model: ModelChoice
  /** The last words of the user. */
  readonly prompt: string
  /** All texts of the conversation, for counting. */
  readonly text: string
  readonly images: number
  readonly messages: number
  /** Answers of tools at the conversation's end. */
  readonly toolResults: readonly string[]
  readonly tools: readonly ToolSpec[]
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly names: readonly string[] }
  readonly parallel: boolean
  readonly format: 'text' | 'json' | { readonly schema: JsonObject }
  readonly maxTokens: number | null
  readonly stops: readonly string[]
  readonly effort: string | null
  readonly faults: readonly Fault[]
}

/** A call of a tool. */
export interface ToolCall {
  readonly name: string
  /** JSON text, or plain text for a custom tool. */
  readonly input: string
  readonly custom: boolean
}

/** What came of it. */
export interface Outcome {
  readonly text: string
  readonly calls: readonly ToolCall[]
  readonly reason: 'stop' | 'length' | 'tool_calls' | 'content_filter'
  readonly reasoning: number
  /** All output tokens, reasoning included. */
  readonly tokens: number
}

const callsMax = 8

function mentions(prompt: string, tool: ToolSpec): boolean {
  const parts = tool.name.split(/[_\-.\s]|(?<=[a-z])(?=[A-Z])/).map((part) => part.toLowerCase())
  const words = parts.filter(
    (part) => part.length > 3 && !['call', 'tool', 'function', 'with'].includes(part),
  )
  const lower = prompt.toLowerCase()
  return lower.includes(tool.name.toLowerCase()) || words.some((word) => lower.includes(word))
}

function wantedTools(ask: Ask): readonly ToolSpec[] {
  const { toolChoice, tools, prompt } = ask
  if (tools.length === 0 || toolChoice === 'none') return []
  if (typeof toolChoice === 'object') return tools.filter(({ name }) => toolChoice.names.includes(name))
  if (toolChoice === 'auto' && ask.toolResults.length > 0) return []
  const mentioned = tools.filter((tool) => mentions(prompt, tool))
  return mentioned.length === 0 && toolChoice === 'required' ? tools.slice(0, 1) : mentioned
}

/** Calls of the wanted tools; one tool asked about two places ("in Paris and London") is called for each. */
function toolCalls(ask: Ask): ToolCall[] {
  const wanted = wantedTools(ask)
  const words = wordsIn(ask.prompt)
  const calls: ToolCall[] = []
  const several = ask.parallel && wanted.length === 1 && words.length > 1 && / and |, /.test(ask.prompt)
  for (const tool of wanted) {
    for (let i = 0; i < (several ? words.length : 1); i++) {
      const hints = [...words.slice(i), ...words.slice(0, i)]
      const input = tool.custom
        ? ask.prompt
        : JSON.stringify(schemaInstance(tool.parameters ?? { type: 'object' }, hints))
      calls.push({ name: tool.name, input, custom: tool.custom })
    }
  }
  return calls.slice(0, ask.parallel ? callsMax : 1)
}

function words(ask: Ask, variant: number): string {
  if (ask.model.tokens !== null) return textOfLength(ask.model.tokens)
  if (ask.format === 'json') return JSON.stringify({ answer: answerText(ask.prompt, variant), ok: true })
  if (typeof ask.format === 'object')
    return JSON.stringify(schemaInstance(ask.format.schema, wordsIn(ask.prompt)))
  if (ask.toolResults.length > 0)
    return `The tools said: ${ask.toolResults.map((result) => result.slice(0, 400)).join('; ')}`
  return answerText(ask.prompt, variant)
}

/** The outcome of a prompt; `variant` numbers the choices of one call. */
export function decide(ask: Ask, variant = 0): Outcome {
  const room = ask.maxTokens ?? Infinity
  const reasoning = Math.min(reasoningTokens(ask.model.reasoning, ask.effort), room)
  const filtered = ask.faults.some(({ kind }) => kind === 'finish-content-filter')
  const calls = filtered ? [] : toolCalls(ask)
  if (calls.length > 0) {
    const spoken = calls.reduce((sum, call) => sum + countTokens(call.name) + countTokens(call.input), 0)
    return { text: '', calls, reason: 'tool_calls', reasoning, tokens: reasoning + spoken }
  }
  const whole = words(ask, variant)
  const cut = cutAnswer(whole, ask.maxTokens === null ? null : room - reasoning, ask.stops)
  const pieces = tokenPieces(cut.text)
  const text = filtered ? pieces.slice(0, Math.ceil(pieces.length / 2)).join('') : cut.text
  const reason = filtered ? 'content_filter' : cut.reason
  return { text, calls: [], reason, reasoning, tokens: reasoning + countTokens(text) }
}
