// The Gemini API (ai.google.dev/api, read November 2026), through @ai-sdk/google.

import type { Provider } from '../provider.ts'

export const google: Provider = {
  credentialLine: () => '',
  accountLines: () => '',
  translation: {
    lacks: ['parallel_tool_calls'],
    media: ['*'],
    reasoningNeedsItsPast: false,
    embeds: true,
    // Thoughts are left out of answers unless they are asked for.
    extras: ({ effort }) =>
      effort === null || effort === 'none'
        ? undefined
        : { google: { thinkingConfig: { includeThoughts: true } } },
    embeddingExtras: (outputDimensionality) => ({ google: { outputDimensionality } }),
    load: async () => {
      const { createGoogle } = await import('@ai-sdk/google')
      return ({ baseUrl, key, fetch }) => {
        const provider = createGoogle({ baseURL: baseUrl, apiKey: key?.reveal() ?? 'none', fetch })
        return {
          language: (model) => provider.languageModel(model),
          embedding: (model) => provider.embeddingModel(model),
        }
      }
    },
  },
}
