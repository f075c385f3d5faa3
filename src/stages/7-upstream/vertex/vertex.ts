// Google Cloud's Vertex AI (cloud.google.com/vertex-ai/generative-ai/docs, read November 2026): Gemini and Claude, with an
// access token of the operator's. The models are those of @ai-sdk/google and @ai-sdk/anthropic, given Vertex's paths as
// @ai-sdk/google-vertex does; that package itself was refused, since it brings Google's login library, which looks for
// credentials in the environment and fetches tokens past our wire.

import { newId } from '../../../base/id.ts'
import type { Provider } from '../provider.ts'
import type { Access, MakeModels } from '../translation.ts'

export const vertex: Provider = {
  credentialLine: () => '',
  accountLines: () => '',
  translation: {
    lacks: ['parallel_tool_calls'],
    media: ['*'],
    reasoningNeedsItsPast: true,
    embeds: false,
    extras: ({ effort }) =>
      effort === null || effort === 'none'
        ? undefined
        : { googleVertex: { thinkingConfig: { includeThoughts: true } } },
    load: async (): Promise<MakeModels> => {
      const { GoogleLanguageModel } = await import('@ai-sdk/google/internal')
      const { AnthropicLanguageModel } = await import('@ai-sdk/anthropic/internal')
      return (access) => {
        const { baseUrl, fetch } = access
        const headers = credentials(access)
        const supportedUrls = () => ({ '*': [/^https?:\/\/.*$/, /^gs:\/\/.*$/] })
        const generateId = () => newId('call')
        const gemini = (model: string) =>
          new GoogleLanguageModel(model, {
            provider: 'google.vertex.chat',
            baseURL: model.startsWith('endpoints/') ? baseUrl : `${baseUrl}/publishers/google`,
            headers,
            fetch,
            generateId,
            supportedUrls,
          })
        const claude = (model: string) =>
          new AnthropicLanguageModel(model, {
            provider: 'vertex.anthropic.messages',
            baseURL: `${baseUrl}/publishers/anthropic/models`,
            headers,
            fetch,
            buildRequestUrl: (base, streams) =>
              `${base}/${model}:${streams ? 'streamRawPredict' : 'rawPredict'}`,
            transformRequestBody: ({ model: _, ...body }) => ({
              ...body,
              anthropic_version: 'vertex-2023-10-16',
            }),
            supportsNativeStructuredOutput: false,
            supportsStrictTools: false,
            supportedUrls: () => ({ 'image/*': [/^https?:\/\/.*$/], 'application/pdf': [/^https?:\/\/.*$/] }),
          })
        return { language: (model) => (model.startsWith('claude-') ? claude(model) : gemini(model)) }
      }
    },
  },
}

function credentials({ key, keyKind }: Access): Record<string, string> {
  if (key === null) return {}
  return keyKind === 'token'
    ? { Authorization: `Bearer ${key.reveal()}` }
    : { 'x-goog-api-key': key.reveal() }
}
