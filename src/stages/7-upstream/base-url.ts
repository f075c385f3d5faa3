// Where the API of a provider begins, for those that need not be told.

import { presets, type PresetName } from './presets.ts'

/** The settings that say where an upstream is. */
export interface Whereabouts {
  readonly provider: string
  readonly baseUrl?: string | undefined
  readonly region?: string
  readonly project?: string | null
  readonly location?: string
}

const own: Readonly<Record<string, string>> = {
  openai: 'https://api.openai.com/v1',
  anthropic: 'https://api.anthropic.com/v1',
  google: 'https://generativelanguage.googleapis.com/v1beta',
  cohere: 'https://api.cohere.com/v2',
}

/** The base URL as configured, else the provider's own. */
export function baseUrlOf(upstream: Whereabouts): string {
  const { provider, baseUrl, region = '', project = '', location = 'global' } = upstream
  if (baseUrl !== undefined) return baseUrl
  if (provider === 'bedrock') {
    const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
    return `https://bedrock-runtime.${region}.${suffix}`
  }
  if (provider === 'vertex')
    return `https://${vertexHost(location)}/v1beta1/projects/${project}/locations/${location}`
  return own[provider] ?? presets[provider as PresetName].baseUrl
}

function vertexHost(location: string): string {
  if (location === 'global') return 'aiplatform.googleapis.com'
  // Multi-regions have hosts of another form.
  return location === 'eu' || location === 'us'
    ? `aiplatform.${location}.rep.googleapis.com`
    : `${location}-aiplatform.googleapis.com`
}
