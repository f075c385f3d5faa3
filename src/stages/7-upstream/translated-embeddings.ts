// Embeddings of a provider that does not speak like OpenAI. Some take few texts at once: a list is then asked for in parts,
// one after the other, up to a bound.

import type { Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { embeddingsAnswer, embeddingsCall } from '../../openai/translate/embeddings.ts'
import { refusing } from './asking.ts'
import { jsonReply, type Sending } from './sending.ts'

const partsMax = 32

/** Asks for embeddings. @throws Failure */
export async function sendEmbeddings(sending: Sending): Promise<Reply> {
  const { models, model: name, translation, body, account, signal } = sending
  const model = models.embedding!(name)
  const lacks = translation.embeddingExtras === undefined ? ['dimensions'] : []
  const call = embeddingsCall(body, { lacks: new Set(lacks) })
  refusing(account, call.dropped)
  const atOnce = (await model.maxEmbeddingsPerCall) ?? call.values.length
  if (call.values.length > atOnce * partsMax) {
    const message = `This provider takes ${atOnce} texts at once, and ${atOnce * partsMax} in one request here. Send fewer.`
    throw new Failure('bad_request', message, { param: 'input' })
  }
  const providerOptions =
    call.dimensions === null ? undefined : translation.embeddingExtras?.(call.dimensions)
  const embeddings: number[][] = []
  let tokens: number | null = null
  for (let start = 0; start < call.values.length; start += atOnce) {
    const part = await model.doEmbed({
      values: call.values.slice(start, start + atOnce),
      abortSignal: signal,
      ...(providerOptions === undefined ? {} : { providerOptions }),
    })
    embeddings.push(...part.embeddings)
    if (part.usage !== undefined) tokens = (tokens ?? 0) + part.usage.tokens
  }
  return jsonReply(sending, embeddingsAnswer(call, { embeddings, tokens, model: name }), call.dropped)
}
