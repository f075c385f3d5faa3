// The most that a call can cost in tokens, known before it is sent: what a reservation takes from a budget. A token is at
// least a byte of text, so the body's length bounds what is read of it; pictures, files and earlier turns that the body
// only names are bounded by what the model can read at all. What may be written is what the request allows, or the
// model's ceiling, times the answers asked for. Nothing is parsed: members are looked for by name, and the largest
// number wins wherever it stands, so that a name given twice, or put deeper, never makes the bound smaller. Every factor is bounded
// before it is multiplied.

import { Finding } from '../../base/known-bytes.ts'
import type { Exchange } from '../../exchange.ts'
import { limitsOf } from '../../openai/model-limits.ts'
import { plainNames } from '../../openai/plain-names.ts'
import { tokensMax } from '../../openai/usage.ts'

/** Tokens; integers from 0 to `tokensMax`. */
export interface WorstCase {
  readonly inputTokens: number
  readonly outputTokens: number
}

/** Answers of one call; OpenAI allows 128, and 20 for `best_of`. */
const answersMax = 128
/** Most tokens of one image that a model makes (gpt-image-1, high, 1024x1536: 6,240), with what may be added. */
const imageTokensMax = 8000
const secondsOfSpeech = 16_384

const lengthNames = ['"max_tokens"', '"max_completion_tokens"', '"max_output_tokens"'].map((name) =>
  Buffer.from(name),
)
const answerNames = ['"n"', '"best_of"'].map((name) => Buffer.from(name))
/** What the body only names, and the model reads all the same. */
const namedNames = [
  '"image_url"', '"input_image"', '"input_file"', '"file_id"', '"file_data"', '"input_audio"', '"previous_response_id"',
  '"conversation"', '"assistant_id"', '"web_search', '"file_search"', '"mcp"',
].map((name) => Buffer.from(name)) // prettier-ignore
const promptName = Buffer.from('"prompt"')
const colon = 58

/** The bound of this exchange's call. A few native searches over the body; nothing where no model is run. */
export function worstCase(x: Exchange): WorstCase {
  const { endpoint } = x
  if (endpoint === null || endpoint.metered !== 'usage') return nothing
  const bound = boundNote.of(x.knownBody, x)
  // The same body may have been asked of another endpoint, and its model read in another way.
  return bound.operation === endpoint.operation && bound.model === x.model ? bound : boundOf(x)
}

interface Bound extends WorstCase {
  readonly operation: string
  readonly model: string | null
}

const boundNote = new Finding(boundOf)

function boundOf(x: Exchange): Bound {
  const { operation } = x.endpoint!
  return { operation, model: x.model, ...boundAt(x, operation) }
}

function boundAt(x: Exchange, operation: string): WorstCase {
  const { bodyBytes } = x
  const limits = limitsOf(x.model)
  if (bodyBytes === null) {
    // A form or a socket: what is in it is not known here.
    return { inputTokens: limits.context, outputTokens: Math.max(limits.output, secondsOfSpeech) }
  }
  const body = plainNames(bodyBytes)
  const answers = Math.min(answersMax, Math.max(1, largestOf(body, answerNames)))
  if (operation.startsWith('images.'))
    return { inputTokens: bounded(bodyBytes.length + imageTokensMax), outputTokens: imageTokensMax * answers }
  if (operation === 'embeddings') return { inputTokens: bodyBytes.length, outputTokens: 0 }
  if (operation === 'audio.speech') return { inputTokens: bodyBytes.length, outputTokens: secondsOfSpeech }
  const asked = largestOf(body, lengthNames)
  const each = Math.min(asked > 0 ? asked : limits.output, tokensMax)
  const more = namesMore(body, operation)
  return {
    // What a conversation has grown to cannot be more than the model reads, nor less than what is sent now.
    inputTokens: bounded(more ? Math.max(bodyBytes.length, limits.context) : bodyBytes.length),
    outputTokens: bounded(each * answers),
  }
}

const nothing: WorstCase = { inputTokens: 0, outputTokens: 0 }

function bounded(tokens: number): number {
  return Math.min(tokens, tokensMax)
}

function namesMore(body: Uint8Array, operation: string): boolean {
  // A prompt is the text itself, but to the responses API it is the name of one that the provider keeps.
  if (operation === 'responses' && Buffer.prototype.indexOf.call(body, promptName) >= 0) return true
  return namedNames.some((name) => Buffer.prototype.indexOf.call(body, name) >= 0)
}

/** The largest number that any of these names has anywhere; 0 = none. */
function largestOf(body: Uint8Array, names: readonly Uint8Array[]): number {
  let largest = 0
  for (const name of names) {
    let at = Buffer.prototype.indexOf.call(body, name)
    while (at >= 0) {
      const start = at + name.length
      largest = Math.max(largest, numberAt(body, start))
      at = Buffer.prototype.indexOf.call(body, name, start)
    }
  }
  return largest
}

/** The whole number behind a colon, saturated; 0 where there is none. */
function numberAt(body: Uint8Array, from: number): number {
  let at = from
  while (body[at]! <= 32) at += 1
  if (body[at] !== colon) return 0
  at += 1
  while (body[at]! <= 32) at += 1
  // Some servers take numbers in quotes.
  const text = Buffer.prototype.latin1Slice.call(body, at, Math.min(body.length, at + 40)) as string
  const number = Number(/^"?(\d+(?:\.\d*)?(?:[eE][+]?\d{1,4})?)/.exec(text)?.[1] ?? 0)
  return Math.min(Math.ceil(number), tokensMax)
}
