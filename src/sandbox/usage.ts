// Usage of an answer, in the shapes of chat completions and of responses, and what a fault makes of it. Cached tokens follow OpenAI's
// rule: a prompt of 1024 tokens or more whose first 1024 were seen before counts as cached in steps of 128.

import type { BookUnits, BookUsage } from './books.ts'
import type { Fault } from './faults.ts'
import { hashText } from './ids.ts'
import { tokenPieces } from './tokens.ts'
import type { World } from './world.ts'

const cacheFrom = 1024
const cacheStep = 128
const prefixesMax = 10_000
const imageTokens = 85

/** Input tokens of a prompt (texts joined, images counted apart), remembering its start for the next. */
export function inputUsage(
  world: World,
  prompt: { text: string; images: number; messages: number },
): { input: number; cachedInput: number } {
  const pieces = tokenPieces(prompt.text)
  const input = pieces.length + prompt.images * imageTokens + prompt.messages * 3
  if (pieces.length < cacheFrom) return { input, cachedInput: 0 }
  const start = hashText(pieces.slice(0, cacheFrom).join(''))
  if (world.prefixes.has(start))
    return { input, cachedInput: Math.floor(pieces.length / cacheStep) * cacheStep }
  if (world.prefixes.size >= prefixesMax) world.prefixes.clear()
  world.prefixes.add(start)
  return { input, cachedInput: 0 }
}

const effortTokens: Record<string, number> = {
  none: 0,
  minimal: 0,
  low: 64,
  medium: 128,
  high: 256,
  xhigh: 512,
}

/** Reasoning tokens of a model that thinks first. */
export function reasoningTokens(reasoning: boolean, effort: string | null): number {
  return reasoning ? (effortTokens[effort ?? 'medium'] ?? 128) : 0
}

/** What the client is told: the usage, null where a fault keeps it back, zeros where a fault says so. */
export function toldUsage(usage: BookUsage, faults: readonly Fault[]): BookUsage | null {
  if (faults.some(({ kind }) => kind === 'no-usage')) return null
  if (faults.some(({ kind }) => kind === 'usage-zero'))
    return { input: 0, cachedInput: 0, output: 0, reasoning: 0 }
  return usage
}

/** `usage` of chat completions. */
export function chatUsage(usage: BookUsage): object {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cachedInput, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

/** `usage` of responses. */
export function responseUsage(usage: BookUsage): object {
  return {
    input_tokens: usage.input,
    input_tokens_details: { cached_tokens: usage.cachedInput, cache_write_tokens: 0 },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.input + usage.output,
  }
}

/** Two usages together; null counts as none. */
export function addUsage(one: BookUsage | null, other: BookUsage | null): BookUsage | null {
  if (one === null || other === null) return one ?? other
  return {
    input: one.input + other.input,
    cachedInput: one.cachedInput + other.cachedInput,
    output: one.output + other.output,
    reasoning: one.reasoning + other.reasoning,
  }
}

/** The same for what is charged apart. */
export function addUnits(one: BookUnits | null, other: BookUnits | null): BookUnits | null {
  if (one === null || other === null) return one ?? other
  const sum: Record<string, number> = { ...one }
  for (const [name, value] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + value
  return sum
}
