// Embeddings (platform.openai.com/docs/api-reference/embeddings, read November 2026): the request's texts, and the answer
// in either of its forms. The official clients ask for base64 without being told to.

import { countOf, invalid, sift, type Abilities, type Members } from './call.ts'

const known = new Set(['model', 'input', 'encoding_format', 'dimensions'])
const textsMax = 2048

/** What a body of `POST /v1/embeddings` asks for. */
export interface EmbeddingsCall {
  readonly values: string[]
  readonly dimensions: number | null
  readonly base64: boolean
  readonly dropped: readonly string[]
}

/** @throws Failure('bad_request') */
export function embeddingsCall(body: Members, abilities: Pick<Abilities, 'lacks'>): EmbeddingsCall {
  const { kept, dropped } = sift(body, known, abilities.lacks)
  const input = kept['input']
  const values: unknown[] = Array.isArray(input) ? input : [input]
  if (
    values.length === 0 ||
    values.length > textsMax ||
    !values.every((one) => typeof one === 'string' && one !== '')
  )
    throw invalid(
      'input',
      `must be a text, or a list of 1 to ${textsMax} texts; lists of tokens are OpenAI's own`,
    )
  const format = kept['encoding_format'] ?? 'float'
  if (format !== 'float' && format !== 'base64') throw invalid('encoding_format', 'must be float or base64')
  return {
    values: values as string[],
    dimensions: countOf(kept, 'dimensions') ?? null,
    base64: format === 'base64',
    dropped,
  }
}

/** The body of an answer. `tokens` null = the provider did not say. */
export function embeddingsAnswer(
  call: EmbeddingsCall,
  answer: { embeddings: readonly number[][]; tokens: number | null; model: string },
): object {
  const { embeddings, tokens, model } = answer
  const shown = (embedding: number[]): unknown =>
    call.base64 ? Buffer.from(new Float32Array(embedding).buffer).toString('base64') : embedding
  return {
    object: 'list',
    data: embeddings.map((embedding, index) => ({ object: 'embedding', index, embedding: shown(embedding) })),
    model,
    ...(tokens === null ? {} : { usage: { prompt_tokens: tokens, total_tokens: tokens } }),
  }
}
