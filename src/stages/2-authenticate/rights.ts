// What a principal may do. A list that is set is a fence: what it does not name, and what cannot be checked against it,
// is refused.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { topLevelKeyCount } from '../../openai/json-keys.ts'

/** @throws Failure('access_denied') where the principal's list does not name this endpoint; unknown ones are never named */
export function mayUseEndpoint(x: Exchange): void {
  const { endpoints } = x.principal
  if (endpoints === null) return
  const { operation } = x.endpoint!
  if (operation !== 'unknown' && endpoints.some((glob) => matches(glob, operation))) return
  throw new Failure('access_denied', `${named(x)} may not use this endpoint. Ask its owner for access.`)
}

/** @throws Failure('model_not_allowed') where the principal's list does not name the model, or it cannot be read */
export function mayUseModel(x: Exchange): void {
  const { models } = x.principal
  if (models === null) return
  const endpoint = x.endpoint!
  if (x.bodyBytes === null) {
    // Multipart bodies and sockets name their model where this stage cannot read it; a look at objects names none.
    const harmless = x.requestBody === null && x.request.upgrade === null && endpoint.operation !== 'unknown'
    if (harmless) return
    throw new Failure(
      'model_not_allowed',
      `${named(x)} is bound to certain models, and this request's model cannot be checked.`,
    )
  }
  x.json()
  const model = x.model
  if (model === null && endpoint.metered === 'free') return
  if (topLevelKeyCount(x.bodyBytes, 'model') > 1) {
    throw new Failure('bad_request', 'The body names its model twice. Name it once.', { param: 'model' })
  }
  if (model !== null && models.some((glob) => matches(glob, model))) return
  const message = model === null ? 'The body names no model.' : `${named(x)} may not use this model.`
  throw new Failure('model_not_allowed', message, { param: 'model' })
}

function named({ principal }: Exchange): string {
  return principal.key === null ? 'Your token' : `The key "${principal.key}"`
}

/** `*` stands for any characters; linear in both lengths' product at worst, which the configuration bounds. */
function matches(glob: string, text: string): boolean {
  const parts = glob.split('*')
  if (parts.length === 1) return glob === text
  const last = parts.at(-1)!
  if (!text.startsWith(parts[0]!) || text.length < parts[0]!.length + last.length || !text.endsWith(last))
    return false
  let at = parts[0]!.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
