// Amazon Bedrock's Converse API (docs.aws.amazon.com/bedrock/latest/APIReference, read November 2026), through
// @ai-sdk/amazon-bedrock, which also signs requests (SigV4). A Bedrock API key is used where there is one.

import type { Provider } from '../provider.ts'
import type { Access } from '../translation.ts'

export const bedrock: Provider = {
  credentialLine: () => '',
  accountLines: () => '',
  translation: {
    lacks: ['frequency_penalty', 'presence_penalty', 'seed', 'parallel_tool_calls'],
    media: ['image/*', 'application/pdf'],
    reasoningNeedsItsPast: true,
    embeds: true,
    extras: () => undefined,
    embeddingExtras: (dimensions) => ({ bedrock: { dimensions } }),
    load: async () => {
      const { createAmazonBedrock } = await import('@ai-sdk/amazon-bedrock')
      return (access) => {
        const provider = createAmazonBedrock({
          baseURL: access.baseUrl,
          region: access.settings.region ?? 'us-east-1',
          fetch: access.fetch,
          ...credentials(access),
        })
        return {
          language: (model) => provider.languageModel(model),
          embedding: (model) => provider.embeddingModel(model),
        }
      }
    },
  },
}

/** Everything is said, so that the package does not look into the environment for what is missing. */
function credentials({ key, settings }: Access): object {
  if (key !== null) return { apiKey: key.reveal() }
  const { accessKeyId, secretAccessKey, sessionToken } = settings
  return {
    // A key of blanks counts as none there, where an absent one is looked for.
    apiKey: ' ',
    credentialProvider: () =>
      Promise.resolve({
        accessKeyId: accessKeyId?.reveal() ?? '',
        secretAccessKey: secretAccessKey?.reveal() ?? '',
        ...(sessionToken === undefined || sessionToken === null
          ? {}
          : { sessionToken: sessionToken.reveal() }),
      }),
  }
}
