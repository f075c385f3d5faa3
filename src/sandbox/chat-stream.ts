// A chat completion as SSE frames, member for member as recorded from OpenAI: a chunk with the role, a chunk a token, a chunk with the
// finish reason; with `include_usage` every chunk carries `usage: null` and one more, with no choices, carries the usage.
// `obfuscation` pads every chunk to hide token lengths; OpenAI sends it unless told not to.

import type { BookUsage } from './books.ts'
import { hashText } from './ids.ts'
import { asObject, asText, objectsIn } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { doneFrame, frame } from './reply.ts'
import type { Frame } from './reply.ts'
import { tokenPieces } from './tokens.ts'
import { chatUsage } from './usage.ts'

/** A finished completion to be told in pieces. */
export interface ChatStream {
  readonly common: {
    id: string
    created: number
    model: string
    service_tier: string
    system_fingerprint: string
  }
  /** As in the plain answer. */
  readonly choices: readonly JsonObject[]
  /** What the client is told; null = a fault keeps it back. */
  readonly usage: BookUsage | null
  /** Alternatives per token where log probabilities were asked for; else null. */
  readonly top: number | null
  readonly includeUsage: boolean
  readonly obfuscate: boolean
}

const padding = 'aB3dE5gH7jK9mN1pQ'

interface Delta {
  readonly delta: object
  readonly tokens: number
  readonly reason: string | null
  readonly logprobs: Json | object | null
}

function plain(delta: object, tokens = 0): Delta {
  return { delta, tokens, reason: null, logprobs: null }
}

function* toolDeltas(call: JsonObject, index: number): Generator<Delta> {
  const custom = call['type'] === 'custom'
  const member = custom ? 'custom' : 'function'
  const inner = asObject(call[member]) ?? {}
  const name = asText(inner['name']) ?? ''
  const field = custom ? 'input' : 'arguments'
  const opening = { index, id: call['id'], type: call['type'], [member]: { name, [field]: '' } }
  yield plain({ tool_calls: [opening] }, tokenPieces(name).length)
  for (const piece of tokenPieces(asText(inner[field]) ?? '')) {
    yield plain({ tool_calls: [{ index, [member]: { [field]: piece } }] }, 1)
  }
}

function* deltas(choice: JsonObject): Generator<Delta> {
  const message = asObject(choice['message']) ?? {}
  const calls = objectsIn(message['tool_calls'])
  const reason = asText(choice['finish_reason'])
  const audio = asObject(message['audio'])
  yield plain({ role: 'assistant', content: calls.length > 0 ? null : '', refusal: null })
  const logprobs = objectsIn(asObject(choice['logprobs'])?.['content'])
  for (const [i, piece] of tokenPieces(asText(message['content']) ?? '').entries()) {
    const own = logprobs[i] === undefined ? null : { content: [logprobs[i]], refusal: null }
    yield { delta: { content: piece }, tokens: 1, reason: null, logprobs: own }
  }
  if (audio !== null) {
    yield plain({ audio: { id: audio['id'] ?? null, data: audio['data'] ?? '' } })
    for (const piece of tokenPieces(asText(audio['transcript']) ?? ''))
      yield plain({ audio: { transcript: piece } }, 1)
    yield plain({ audio: { expires_at: audio['expires_at'] ?? 0 } })
  }
  for (const [index, call] of calls.entries()) yield* toolDeltas(call, index)
  yield { delta: {}, tokens: 0, reason, logprobs: null }
}

/** The frames of a completion, `[DONE]` last. */
export function* chatFrames(stream: ChatStream): Generator<Frame> {
  const { common, includeUsage, obfuscate } = stream
  const { id, created, model, service_tier, system_fingerprint } = common
  const head = { id, object: 'chat.completion.chunk', created, model, service_tier, system_fingerprint }
  const withNull = includeUsage && stream.usage !== null ? { usage: null } : {}
  let count = 0
  const pad = (): object =>
    obfuscate ? { obfuscation: padding.slice(0, 2 + (hashText(`${count++}`) % 14)) } : {}
  for (const [index, choice] of stream.choices.entries()) {
    for (const { delta, tokens, reason, logprobs } of deltas(choice)) {
      const choices = [{ index, delta, logprobs, finish_reason: reason }]
      yield frame({ ...head, choices, ...withNull, ...pad() }, { tokens })
    }
  }
  if (includeUsage && stream.usage !== null) {
    yield frame({ ...head, choices: [], usage: chatUsage(stream.usage), ...pad() }, { usage: true })
  }
  yield doneFrame
}
