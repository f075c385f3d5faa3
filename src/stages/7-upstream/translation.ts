// The contract of kinds that do not speak like OpenAI. Each names the provider package that speaks its wire, loaded with
// the first request and only where such an upstream is configured, and what models behind it can be given.

import type { EmbeddingModelV4, LanguageModelV4, SharedV4ProviderOptions } from '@ai-sdk/provider'
import type { Secret } from '../../base/secret.ts'
import type { Wish } from '../../openai/translate/call.ts'
import type { ProviderSettings } from './provider.ts'

/** How a provider's models are had and what they take. */
export interface Translation {
  /** Loads the package. */
  load(): Promise<MakeModels>
  /** Parameters of OpenAI's wire that it has nothing for. */
  readonly lacks: readonly string[]
  /** Media types it takes as data. */
  readonly media: readonly string[]
  extras(wish: Wish): SharedV4ProviderOptions | undefined
  readonly reasoningNeedsItsPast: boolean
  /** Whether it has embeddings. */
  readonly embeds: boolean
  /** Its own name for `dimensions` of embeddings. */
  embeddingExtras?(dimensions: number): SharedV4ProviderOptions
}

/** What one request's models are made with. */
export interface Access {
  /** Without a slash at its end. */
  readonly baseUrl: string
  readonly key: Secret | null
  readonly keyKind: 'key' | 'token'
  readonly settings: ProviderSettings
  /** Goes over the account's own wire, and nowhere else. */
  readonly fetch: typeof fetch
}

/** Models of one access, by the provider's names. */
export interface Models {
  language(model: string): LanguageModelV4
  embedding?(model: string): EmbeddingModelV4
}

export type MakeModels = (access: Access) => Models
