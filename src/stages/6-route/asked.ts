// What a request asks for, as far as the way it takes depends on it.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { endOfItems, firstMember, memberNames, memberPlaces } from '../../openai/member-place.ts'

/** The model asked for: of the JSON body, or of the path; null = none, or it cannot be seen. */
export function askedModel(x: Exchange): string | null {
  if (x.endpoint!.modelInPath) {
    const { path } = x.request
    return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
  }
  return x.model
}

/** Whether the request runs a model that stands where it cannot be seen, such as in a form. */
export function isUnseen(x: Exchange): boolean {
  return x.endpoint!.model === 'elsewhere' && x.bodyBytes === null && x.requestBody !== null
}

/** Whether the body is here, so that it can be sent more than once. */
export function isResendable({ requestBody }: Exchange): boolean {
  return requestBody === null || requestBody.whole !== null
}

/** Whether the same request may be sent again though it may have been worked on. */
export function isRepeatable(x: Exchange): boolean {
  const { endpoint, bodyBytes } = x
  if (!endpoint!.repeatable) return false
  if (endpoint!.operation !== 'responses' || bodyBytes === null) return true
  // What goes on by itself, or adds to something, would do so twice.
  return !changesSomething(bodyBytes, 'conversation') && !changesSomething(bodyBytes, 'background')
}

function changesSomething(bytes: Uint8Array, name: string): boolean {
  return memberPlaces(bytes, name).some(({ start, end }) => {
    const value = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
    return value !== 'null' && value !== 'false'
  })
}

const prefixBytesMax = 4096
/** A first message shorter than this says little: the second counts too. */
const shortBytes = 256
const cacheKey = Buffer.from('"prompt_cache_key"')
const cacheKeyName = memberNames('prompt_cache_key')
const beginnings = memberNames('messages', 'input', 'prompt', 'instructions', 'system')

/**
 * A number that requests with the same beginning of their prompt have in common: of `prompt_cache_key` where there is one,
 * else of the model and the first message or two. 0 where there is no prompt.
 */
export function prefixOf({ bodyBytes }: Exchange, model: string | null): number {
  if (bodyBytes === null) return 0
  const keyed = Buffer.prototype.indexOf.call(bodyBytes, cacheKey) >= 0
  const named = keyed ? firstMember(bodyBytes, cacheKeyName) : -1
  if (named >= 0 && bodyBytes[named] === 34)
    return hashOf(bodyBytes, named, endOfItems(bodyBytes, named, 1)) ^ 1
  const start = firstMember(bodyBytes, beginnings)
  if (start < 0) return 0
  let end = endOfItems(bodyBytes, start, 1)
  if (end - start < shortBytes) end = endOfItems(bodyBytes, start, 2)
  const hash = hashOf(bodyBytes, start, Math.min(end, start + prefixBytesMax))
  return model === null ? hash : hash ^ Bun.hash.crc32(model)
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  // Not by `subarray`, which of a Buffer makes another, at three times the price.
  return Bun.hash.crc32(new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start))
}

/** Where models have other names, the name must be one: a body that has two would be routed by one and run the other. @throws Failure */
export function namesOneModel({ bodyBytes }: Exchange): void {
  if (bodyBytes === null || memberPlaces(bodyBytes, 'model').length < 2) return
  throw new Failure('bad_request', 'The body names its model twice. Name it once.', { param: 'model' })
}
