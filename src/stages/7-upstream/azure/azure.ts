// Azure OpenAI (learn.microsoft.com/azure/ai-foundry/openai/reference and …/api-version-lifecycle, read November 2026):
// OpenAI's own wire below one of two paths. `v1` is OpenAI's path, where a version is optional; the older one names the
// deployment in the path and always wants a version. What Azure adds to answers (content filter results) passes as it is.

import { Failure } from '../../../failure.ts'
import type { Asking, Provider, ProviderSettings } from '../provider.ts'

/** Endpoints that the older path has below a deployment; everything else is below `/openai`. */
const ofDeployment =
  /^\/v1\/(?:chat\/completions|completions|embeddings|images\/(?:generations|edits)|audio\/(?:speech|transcriptions|translations))$/

export const azure: Provider = {
  credentialLine: (key, kind) => {
    if (key === null) return ''
    return kind === 'token' ? `Authorization: Bearer ${key.reveal()}\r\n` : `api-key: ${key.reveal()}\r\n`
  },
  accountLines: () => '',
  target: (request, settings) =>
    settings.api === 'deployments' ? deploymentTarget(request, settings) : v1Target(request, settings),
}

function v1Target({ basePath, path, query }: Asking, { apiVersion }: ProviderSettings): string {
  return `${basePath}/openai${path}${versioned(query, apiVersion ?? null)}`
}

function deploymentTarget(request: Asking, settings: ProviderSettings): string {
  const { basePath, path, query } = request
  const rest = path.slice('/v1'.length)
  const end = versioned(query, settings.apiVersion ?? null)
  if (!ofDeployment.test(path)) return `${basePath}/openai${rest}${end}`
  const deployment = request.model ?? settings.deployment ?? null
  // A server may take these for a way out of the folder.
  if (deployment !== null && /^\.{1,2}$/.test(deployment))
    throw new Failure('not_found', 'No deployment has this name.', { param: 'model' })
  if (deployment !== null)
    return `${basePath}/openai/deployments/${encodeURIComponent(deployment)}${rest}${end}`
  const message =
    'This upstream needs a model that it can read, and the request names none. Its operator can set `deployment`.'
  throw new Failure('bad_request', message, { param: 'model' })
}

/** The query with our version in place of the client's: which version is spoken is the operator's choice. */
function versioned(query: string, apiVersion: string | null): string {
  if (apiVersion === null) return query
  const kept = query
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '' && !/^api-version(?:=|$)/i.test(pair))
  return `?${[...kept, `api-version=${encodeURIComponent(apiVersion)}`].join('&')}`
}
