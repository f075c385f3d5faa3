// Cohere's API, version 2 (docs.cohere.com/reference/chat, read November 2026), through @ai-sdk/cohere.

import type { Provider } from '../provider.ts'

export const cohere: Provider = {
  credentialLine: () => '',
  accountLines: () => '',
  translation: {
    lacks: ['parallel_tool_calls'],
    media: ['image/*'],
    reasoningNeedsItsPast: false,
    embeds: true,
    extras: () => undefined,
    embeddingExtras: (outputDimension) => ({ cohere: { outputDimension } }),
    load: async () => {
      const { createCohere } = await import('@ai-sdk/cohere')
      return ({ baseUrl, key, fetch }) => {
        const provider = createCohere({ baseURL: baseUrl, apiKey: key?.reveal() ?? 'none', fetch })
        return {
          language: (model) => provider.languageModel(model),
          embedding: (model) => provider.embeddingModel(model),
        }
      }
    },
  },
}
