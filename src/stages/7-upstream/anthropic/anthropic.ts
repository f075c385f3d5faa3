// Anthropic's Messages API (docs.claude.com/en/api/messages, read November 2026), through @ai-sdk/anthropic.

import type { Provider } from '../provider.ts'

export const anthropic: Provider = {
  credentialLine: () => '',
  accountLines: () => '',
  translation: {
    lacks: ['frequency_penalty', 'presence_penalty', 'seed'],
    media: ['image/*', 'application/pdf'],
    reasoningNeedsItsPast: true,
    embeds: false,
    extras: ({ parallelToolCalls }) =>
      parallelToolCalls ? undefined : { anthropic: { disableParallelToolUse: true } },
    load: async () => {
      const { createAnthropic } = await import('@ai-sdk/anthropic')
      return ({ baseUrl, key, fetch }) => {
        const provider = createAnthropic({ baseURL: baseUrl, apiKey: key?.reveal() ?? 'none', fetch })
        return { language: (model) => provider.languageModel(model) }
      }
    },
  },
}
