// POST /v1/embeddings. A vector is the sum of hashed words and of hashed three-letter runs, each a fixed pseudo-random direction, made
// unit length: the same text gives the same vector, texts that share words or spelling are close, others nearly square to each other.

import { Sequence, hashText } from './ids.ts'
import { asList, asNumber, asText } from './json.ts'
import type { Json } from './json.ts'
import { chooseModel } from './models.ts'
import { invalid, jsonReply } from './reply.ts'
import type { Reply } from './reply.ts'
import { countTokens } from './tokens.ts'
import { toldUsage } from './usage.ts'
import type { Call, Route } from './world.ts'

const sizes: Record<string, number> = {
  'text-embedding-3-small': 1536,
  'text-embedding-3-large': 3072,
  'text-embedding-ada-002-v2': 1536,
}
const sizeDefault = 1536
const inputsMax = 2048
const wordWeight = 1
const runWeight = 0.35
/** Directions per feature: enough that two features rarely share all, few enough to be quick. */
const spread = 8

function addFeature(vector: Float64Array, feature: string, weight: number): void {
  const sequence = new Sequence(hashText(feature))
  for (let i = 0; i < spread; i++) {
    const at = sequence.below(vector.length)
    vector[at] = vector[at]! + (sequence.next() < 0.5 ? -weight : weight)
  }
}

/** The unit vector of a text in `size` dimensions. */
export function embed(text: string, size: number): Float64Array {
  const vector = new Float64Array(size)
  const words =
    text
      .toLowerCase()
      .normalize('NFKC')
      .match(/[\p{L}\p{N}]+/gu) ?? []
  for (const word of words) {
    addFeature(vector, `word ${word}`, wordWeight)
    const edged = ` ${word} `
    for (let i = 0; i + 3 <= edged.length; i++) addFeature(vector, `run ${edged.slice(i, i + 3)}`, runWeight)
  }
  if (words.length === 0) addFeature(vector, `text ${text}`, wordWeight)
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)) || 1
  return vector.map((value) => value / length)
}

/** The inputs as texts with their token counts. @throws Refusal 400 */
function inputsOf(input: Json | undefined): { text: string; tokens: number }[] {
  const fromTokens = (tokens: Json[]): { text: string; tokens: number } => ({
    text: `tokens ${tokens.join(' ')}`,
    tokens: tokens.length,
  })
  const fromText = (text: string): { text: string; tokens: number } => ({
    text,
    tokens: Math.max(countTokens(text), 1),
  })
  const one = asText(input)
  const list = asList(input)
  const wrong = invalid(
    `'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.`,
    'input',
  )
  if (one === '' || (one === null && (list === null || list.length === 0 || list.length > inputsMax)))
    throw wrong
  if (one !== null || list === null) return [fromText(one ?? '')]
  if (list.every((item) => typeof item === 'number')) return [fromTokens(list)]
  return list.map((item) => {
    const tokens = asList(item)
    const text = asText(item)
    if (text !== null && text !== '') return fromText(text)
    if (tokens === null || tokens.length === 0) throw wrong
    return fromTokens(tokens)
  })
}

function encode(vector: Float64Array, base64: boolean): number[] | string {
  const single = Float32Array.from(vector)
  return base64 ? Buffer.from(single.buffer).toString('base64') : Array.from(single)
}

function createEmbeddings(call: Call): Reply {
  const body = call.json()
  const asked = asText(body['model'])
  if (asked === null) throw invalid('you must provide a model parameter')
  const model = chooseModel(call.world, asked, { kind: 'embedding', fallback: 'text-embedding-3-small' })
  const full = sizes[model.served] ?? sizeDefault
  const size = asNumber(body['dimensions']) ?? full
  if (!Number.isInteger(size) || size < 1 || size > full) {
    throw invalid(`Invalid value for 'dimensions' = ${size}. Must be between 1 and ${full}.`, 'dimensions')
  }
  const inputs = inputsOf(body['input'])
  const base64 = body['encoding_format'] === 'base64'
  const data = inputs.map(({ text }, index) => ({
    object: 'embedding',
    index,
    embedding: encode(embed(text, size), base64),
  }))
  const usage = {
    input: inputs.reduce((sum, { tokens }) => sum + tokens, 0),
    cachedInput: 0,
    output: 0,
    reasoning: 0,
  }
  const told = toldUsage(usage, call.faults)
  const shown = told === null ? {} : { usage: { prompt_tokens: told.input, total_tokens: told.input } }
  const served = { model: model.served, usage: told ?? usage, usageTold: told !== null }
  return jsonReply({ object: 'list', data, model: model.served, ...shown }, 200, served)
}

/** Embeddings. */
export const embeddingRoutes: readonly Route[] = [['POST', '/v1/embeddings', createEmbeddings]]
