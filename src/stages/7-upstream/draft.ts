// What a provider's package would leave out of a request, known before anything is sent: the package is given a `fetch` that
// answers with an empty stream, and it tells its warnings in the first part of it. For upstreams where such parameters are
// refused: a refusal that came behind the answer would be paid for.

import type { LanguageModelV4, LanguageModelV4CallOptions, SharedV4Warning } from '@ai-sdk/provider'

/** Reaches nobody. */
export const unsentFetch = Object.assign(
  () =>
    Promise.resolve(
      new Response(new Blob([]).stream(), { headers: { 'content-type': 'text/event-stream' } }),
    ),
  { preconnect: () => {} },
)

/** The warnings of a model whose `fetch` is the one above; none where it does not say. */
export async function warningsOf(
  model: LanguageModelV4,
  options: LanguageModelV4CallOptions,
): Promise<readonly SharedV4Warning[]> {
  try {
    const { stream } = await model.doStream(options)
    const reader = stream.getReader()
    const { value } = await reader.read()
    await reader.cancel()
    return value?.type === 'stream-start' ? value.warnings : []
  } catch {
    // What is wrong shows where the request is really made.
    return []
  }
}
