// What a principal may do. A list that is set is a fence: what it does not name, and what cannot be checked against it,
// is refused.

import { isNamed } from '../../base/glob.ts'
import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { lenientName, visitMembers, type MemberSearch } from '../../openai/json-keys.ts'

/** @throws Failure('access_denied') where the principal's list does not name this endpoint; unknown ones are never named */
export function mayUseEndpoint(x: Exchange): void {
  const { endpoints } = x.principal
  if (endpoints === null) return
  const { operation } = x.endpoint!
  if (operation !== 'unknown' && isNamed(endpoints, operation)) return
  throw new Failure('access_denied', `${named(x)} may not use this endpoint. Ask its owner for access.`)
}

/**
 * Holds a request against its principal's list of models: what runs a model must show which, once, in a JSON body, and no
 * member that could name another model may name one that is not on the list.
 * @throws Failure('model_not_allowed' | 'bad_request' | 'invalid_json' | 'unsupported_media_type')
 */
export function mayUseModel(x: Exchange): void {
  const { models } = x.principal
  if (models === null) return
  const { request } = x
  const { model, modelInPath } = x.endpoint!
  const unreadable = x.bodyBytes === null && x.requestBody !== null
  if (model === 'elsewhere' || unreadable) throw unchecked(x)
  // A look at a model changes nothing; what is deleted must be the principal's to use.
  if (modelInPath && request.method !== 'GET' && !isNamed(models, modelOf(request.path)))
    throw new Failure('model_not_allowed', `${named(x)} may not use this model.`, { param: 'model' })
  if (x.bodyBytes !== null && x.bodyBytes.length > 0) checkBody(x, x.bodyBytes)
  if (model === 'body' && x.model === null)
    throw new Failure('model_not_allowed', 'The body names no model.', { param: 'model' })
}

function unchecked(x: Exchange): Failure {
  const why = 'does not show in a JSON body which model it runs'
  return new Failure(
    'model_not_allowed',
    `${named(x)} is bound to certain models, and this request ${why}. Ask the key's owner for access.`,
  )
}

/** The model in a path, as the upstream decodes it: the front has let no escape through that does not decode. */
function modelOf(path: string): string {
  return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
}

// Beside `model` itself: fallbacks as OpenRouter (`models`) and LiteLLM (`fallbacks`) take them. Not looked into are
// a client's own data and JSON schemas, which no upstream takes a model from. `input` and `messages` are looked into:
// an item of `input` may bring tools, and a tool its model.
const naming: MemberSearch = {
  names: new Set(['model', 'models', 'fallbacks']),
  skipped: new Set(['metadata', 'variables', 'parameters', 'properties', 'schema', 'input_schema']),
}

function checkBody(x: Exchange, bytes: Uint8Array): void {
  checkMediaType(x)
  x.json()
  const models = x.principal.models!
  let count = 0
  visitMembers(bytes, naming, ({ name, depth, texts }) => {
    const outermost = depth === 1 && lenientName(name) === 'model'
    if (outermost && ++count > 1)
      throw new Failure('bad_request', 'The body names its model twice. Name it once.', { param: 'model' })
    if (outermost && name !== 'model')
      throw new Failure('model_not_allowed', 'The body spells "model" in another way.', { param: 'model' })
    if (texts !== null && texts.every((text) => isNamed(models, text))) return
    const which = outermost
      ? 'this model'
      : `what the body names in a nested or further "${lenientName(name)}"`
    throw new Failure('model_not_allowed', `${named(x)} may not use ${which}.`, { param: 'model' })
  })
}

// An upstream that goes by another label, or by the second of two, would read the same bytes as a form, or in UTF-7.
function checkMediaType(x: Exchange): void {
  const { headers } = x.request
  const type = headers.count('content-type') === 1 ? headers.get('content-type')! : ''
  if (/^application\/json(?:[ \t]*;[ \t]*charset=(?:utf-?8|"utf-?8"))?$/i.test(type)) return
  throw new Failure(
    'unsupported_media_type',
    `${named(x)} is bound to certain models: send one Content-Type, application/json, with the body.`,
  )
}

function named({ principal }: Exchange): string {
  return principal.key === null ? 'Your token' : `The key "${principal.key}"`
}
