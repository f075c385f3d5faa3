// What is asked, as the digest by which answers are shared: SHA-256 over parts that each carry their length, so that no part
// can pass for the end of another: tenant, policy, endpoint with path and query, header fields that matter, model, body.
// What comes of a body that is known by its bytes is kept with it: so repeats, which are nearly all that a cache is for, are
// neither parsed nor hashed.

import { Note } from '../../base/known-bytes.ts'
import type { Exchange } from '../../exchange.ts'
import { canonicalRequest, memberText, type Normalization } from '../../openai/canonical-request.ts'
import { isObject, readOneMeaning, type Json, type ReadJson } from '../../openai/canonical-json.ts'
import type { CacheOptions } from './options.ts'
import type { Wish } from './render.ts'
import { tenantOf } from './tenant.ts'

/** What is known of a request. */
export interface Asked {
  /** Hex of the digest; '' = this request has no part in the cache. */
  readonly key: string
  readonly endpoint: string
  readonly wish: Wish
  readonly model: string | null
  /** Of a list of texts to embed, the digest of each; null = it is no such list. */
  readonly items: readonly string[] | null
  /** Why it has no part, for people; null = it has. */
  readonly why: string | null
}

/** Operations whose answers may be kept, by method and path. */
const endpoints = new Map([
  ['POST /v1/chat/completions', 'chat.completions'],
  ['POST /v1/responses', 'responses'],
  ['POST /v1/completions', 'completions'],
  ['POST /v1/embeddings', 'embeddings'],
  ['POST /v1/moderations', 'moderations'],
  ['POST /v1/images/generations', 'images.generations'],
  ['POST /v1/audio/speech', 'audio.speech'],
])
const byPath = new Map([...endpoints].map(([route, operation]) => [route.slice('POST '.length), operation]))
const itemsMax = 2048
const noBody = new Uint8Array(0)

/** What the digest depends on besides the request. */
export interface AskedOptions
  extends Pick<CacheOptions, 'scope' | 'onlyWhen' | 'stateful' | 'headers'>, Pick<CacheOptions, 'normalize'> {
  /** Digest of all settings that change answers. */
  readonly policy: string
}

/** Requests of a configuration, by their bytes. */
export class AskedIndex {
  readonly #headers: ReadonlySet<string>

  constructor(private readonly options: AskedOptions) {
    this.#headers = new Set(options.headers.map((name) => name.toLowerCase()))
  }

  /** What is asked; null where this kind of request has no part in the cache. */
  of(x: Exchange): Asked | null {
    const { request, principal } = x
    const endpoint = endpointOf(request.method, request.path)
    if (endpoint === null || request.upgrade !== null) return null
    const body = endpoint === 'models' ? noBody : (x.requestBody?.whole ?? null)
    if (body === null || (endpoint !== 'models' && body.length === 0)) return null
    const context = this.#contextOf(x)
    const known = body === x.bodyBytes ? x.knownBody : null
    if (known === null) return this.#read(x, endpoint, { body, context })
    // By the names as they are: putting a tenant together costs more than comparing them.
    const { scope } = this.options
    const who = scope === 'user' ? principal.user : scope === 'app' ? principal.app : null
    let seen = seenNote.kept(known)
    if (seen?.index === this) {
      const now = { principal, who, endpoint, context }
      for (const one of seen.requests) if (isSame(one, now)) return one.asked
    } else {
      for (const old of seen?.requests ?? []) known.grow(-weightOf(old))
      seenNote.keep(known, (seen = { index: this, requests: [] }))
    }
    const asked = this.#read(x, endpoint, { body, context })
    const { key, keyId, team, env, kind, user } = principal
    if (seen.requests.length >= seenMax) known.grow(-weightOf(seen.requests.shift()!))
    const now = { endpoint, context, who, key, keyId, team, env, kind, user, asked }
    seen.requests.push(now)
    known.grow(weightOf(now))
    return asked
  }

  #contextOf(x: Exchange): string {
    const { known } = x.request.headers
    if (known === null) return contextOf(x, this.#headers)
    const kept = contextNote.kept(known)
    if (kept?.index === this) return kept.context
    const context = contextOf(x, this.#headers)
    contextNote.keep(known, { index: this, context })
    return context
  }

  #read(x: Exchange, endpoint: string, sent: { body: Uint8Array; context: string }): Asked {
    const wish: Wish = endpoint === 'models' || endpoint === 'audio.speech' ? 'as it is' : 'json'
    const none: Asked = { key: '', endpoint, wish, model: null, items: null, why: nobodys }
    if (endpoint === 'models') {
      const key = this.#digest(x, { tools: false, parts: [endpoint, sent.context] })
      return key === null ? none : { ...none, key, why: null }
    }
    const read = readOneMeaning(sent.body)
    if (read === null || !isObject(read.value)) return { ...none, why: noMeaning }
    const value = read.value
    const model = typeof value['model'] === 'string' ? value['model'] : null
    const why = this.#leftOut(endpoint, value)
    if (why !== null) return { ...none, model, why }
    const tools = namesTools(value)
    const parts = [endpoint, sent.context, model ?? '']
    // Numbers that a double does not hold make a request equal to nothing but its own bytes.
    const text = read.inexact
      ? `exactly ${Bun.SHA256.hash(sent.body, 'hex')}`
      : canonicalRequest(value, endpoint, this.options.normalize)
    const key = this.#digest(x, { tools, parts: [...parts, text] })
    if (key === null) return { ...none, model }
    return {
      key,
      why: null,
      endpoint,
      wish: wishOf(endpoint, value),
      model,
      items: this.#items(x, read, { endpoint, parts }),
    }
  }

  #items(x: Exchange, read: ReadJson, what: { endpoint: string; parts: readonly string[] }): string[] | null {
    const value = read.value as { [name: string]: Json }
    const { input } = value
    if (what.endpoint !== 'embeddings' || read.inexact) return null
    const inputs = typeof input === 'string' ? [input] : input
    if (!Array.isArray(inputs) || inputs.length === 0 || inputs.length > itemsMax) return null
    // A list of numbers is one text, given as tokens.
    const list = inputs.every((item) => typeof item === 'number') ? [inputs] : inputs
    if (!list.every((item) => typeof item === 'string' || Array.isArray(item))) return null
    const how: Normalization = this.options.normalize
    const rest = canonicalRequest(value, what.endpoint, { ...how, leaveOut: 'input' })
    const keys = list.map((item) =>
      this.#digest(x, {
        tools: false,
        parts: [...what.parts, 'one of a list', rest, memberText('input', item, how)],
      }),
    )
    return keys.every((key) => key !== null) ? keys : null
  }

  #digest({ principal }: Exchange, what: { tools: boolean; parts: readonly string[] }): string | null {
    const tenant = tenantOf(principal, this.options.scope, what.tools)
    if (tenant === null) return null
    return digestOf([tenant, this.options.policy, ...what.parts])
  }

  /** Why a request has no part in the cache; null = it has. */
  #leftOut(endpoint: string, body: { [name: string]: Json }): string | null {
    const { stateful, onlyWhen } = this.options
    const { temperature, n } = body
    const { temperatureMax, nMax } = onlyWhen
    const samples = endpoint === 'chat.completions' || endpoint === 'responses' || endpoint === 'completions'
    const warmth = typeof temperature === 'number' ? temperature : 1
    if (temperatureMax !== undefined && samples && warmth > temperatureMax) return tooWarm
    if (nMax !== undefined && typeof n === 'number' && n > nMax) return tooMany
    if (stateful) return null
    if (body['store'] === true) return stateOf('store: true')
    if (body['background'] === true) return stateOf('background')
    if (body['previous_response_id'] != null) return stateOf('previous_response_id')
    return body['conversation'] != null ? stateOf('conversation') : null
  }
}

const nobodys = 'its caller has no name that answers could be kept under (cache.scope)'
const noMeaning =
  'its body is no JSON object that every reader takes alike: look for a member given twice, a byte order mark, broken UTF-8'
const tooWarm =
  'its temperature is above cache.onlyWhen.temperatureMax (where it says nothing, it counts as 1)'
const tooMany = 'its n is above cache.onlyWhen.nMax'

function stateOf(member: string): string {
  return `it makes or continues state at the provider (${member}); cache.stateful: true takes it in`
}

/** What besides path and body tells requests apart, by `more` header names: '' for nearly all. */
export function contextOf({ request }: Pick<Exchange, 'request'>, more: ReadonlySet<string>): string {
  const { headers, query } = request
  let lines = ''
  for (let index = 0; index < headers.size; index++) {
    if (headers.id(index) !== 0 && more.size === 0) {
      if (!headers.nameStartsWith(index, 'openai-')) continue
    }
    const relevant =
      headers.nameStartsWith(index, 'openai-') || (more.size > 0 && more.has(headers.name(index)))
    if (!relevant) continue
    const name = headers.name(index)
    // Those two choose an account and go no further.
    if (name === 'openai-organization' || name === 'openai-project') continue
    lines += `${name}:${headers.value(index)}\n`
  }
  return lines === '' && query === '' ? '' : `${query}\n${lines}`
}

/** SHA-256 over parts that each carry their length. */
export function digestOf(parts: readonly string[]): string {
  return Bun.SHA256.hash(parts.map((part) => `${part.length}:${part}`).join(''), 'hex')
}

/** The same request, to be told in the form it wishes for, where its first answer cannot be. */
export function variantOf(asked: Asked): Asked {
  return { ...asked, key: variantKey(asked.key, asked.wish), items: null }
}

/** The digest under which an answer in another form is kept. */
export function variantKey(key: string, wish: Asked['wish']): string {
  return digestOf([key, wish])
}

/** The operation whose answers may be kept; null = none of them. */
export function endpointOf(method: string, path: string): string | null {
  if (method === 'POST') return byPath.get(path) ?? null
  return method === 'GET' && path === '/v1/models' ? 'models' : null
}

/** Whether a request lets the model call something. */
export function namesTools(body: { [name: string]: Json }): boolean {
  return hasMembers(body['tools']) || hasMembers(body['functions'])
}

function hasMembers(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : value != null
}

function wishOf(endpoint: string, { stream, stream_options: options }: { [name: string]: Json }): Wish {
  if (endpoint === 'audio.speech' || endpoint === 'embeddings' || endpoint === 'moderations')
    return 'as it is'
  if (stream !== true) return 'json'
  return isObject(options) && options['include_usage'] === true ? 'events with usage' : 'events'
}

/** A request seen before, with the names that made its tenant. */
interface Seen {
  readonly endpoint: string
  readonly context: string
  readonly who: string | null
  readonly kind: string
  readonly key: string | null
  readonly keyId: string | null
  readonly user: string | null
  readonly team: string | null
  readonly env: string | null
  readonly asked: Asked
}

/** What the same body came to, the latest last; of an index: another one has other settings. */
interface SeenBody {
  readonly index: AskedIndex
  readonly requests: Seen[]
}

/** What one takes in memory, about: nearly all of it are the digests of lists. */
function weightOf({ asked, context }: Seen): number {
  return 256 + 2 * context.length + (asked.items?.length ?? 0) * 96
}

/** Callers of one body that are told apart. */
const seenMax = 4
const seenNote = new Note<SeenBody>()
/** Header names that count are an index's own. */
const contextNote = new Note<{ readonly index: AskedIndex; readonly context: string }>()

interface Now {
  readonly principal: Exchange['principal']
  readonly who: string | null
  readonly endpoint: string
  readonly context: string
}

/** All names, whatever the scope: one more reading of a body is cheap, one tenant taken for another is not. */
function isSame(one: Seen, { principal, who, endpoint, context }: Now): boolean {
  return (
    one.endpoint === endpoint &&
    one.context === context &&
    one.who === who &&
    one.key === principal.key &&
    one.keyId === principal.keyId &&
    one.team === principal.team &&
    one.env === principal.env &&
    one.user === principal.user &&
    one.kind === principal.kind
  )
}
