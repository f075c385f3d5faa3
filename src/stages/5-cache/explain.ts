// Why two requests share an answer, or do not: `headgate cache explain`. Whether they do is asked of the very code that answers
// requests (asked.ts); what differs is then looked for part by part, in the form in which the parts are compared.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { canonicalMembers } from '../../openai/canonical-request.ts'
import { canonicalText, isObject, readOneMeaning, type Json } from '../../openai/canonical-json.ts'
import { AskedIndex, contextOf, endpointOf, namesTools, type Asked } from './asked.ts'
import { directivesOf } from './directives.ts'
import type { CacheOptions } from './options.ts'
import { tenantOf } from './tenant.ts'
import { ttlOf } from './ttl.ts'

/** One of the two. */
export interface ExplainedRequest {
  /** The operation; null = none whose answers are kept. */
  readonly endpoint: string | null
  readonly model: string | null
  readonly stream: boolean
  /** Digest under which its answer is kept; null = it is not. */
  readonly key: string | null
  /** Why it is not answered from the cache, or its answer not kept. Empty = nothing stands against it. */
  readonly why: readonly string[]
  /** For how long a JSON answer would be fresh; 0 = not kept. */
  readonly ttlMs: number
}

/** A place where the two differ; null = it is not there. */
export interface Difference {
  /** `endpoint`, `scope`, `query`, `header openai-beta`, `body.messages[0].content`. */
  readonly where: string
  readonly a: string | null
  readonly b: string | null
}

/** What `cache explain` tells. */
export interface ExplainedPair {
  /** Both have a part in the cache and get each other's answers. */
  readonly share: boolean
  readonly a: ExplainedRequest
  readonly b: ExplainedRequest
  /** In the order of the digest: scope, endpoint, query, headers, body by names. */
  readonly differences: readonly Difference[]
  /** There are more. */
  readonly cut: boolean
  /** Texts of lists to embed that both ask for: their vectors are shared, whatever else differs. */
  readonly sharedTexts: number
}

const differencesMax = 100
const shownMax = 120
const leadIn = 30

/** Explains two requests under one configuration; `policy`: the digest of its settings that change answers. */
export function explainPair(
  options: CacheOptions,
  policy: string,
  pair: readonly [Exchange, Exchange],
): ExplainedPair {
  const index = new AskedIndex({ ...options, policy })
  const asked = [index.of(pair[0]), index.of(pair[1])] as const
  const [a, b] = [explained(pair[0], asked[0], options), explained(pair[1], asked[1], options)]
  const same = a.key !== null && a.key === b.key
  const differences = same ? [] : [...differing(pair, options)]
  const texts = new Set(asked[0]?.items ?? [])
  return {
    share: same && a.why.length === 0 && b.why.length === 0,
    a,
    b,
    differences: differences.slice(0, differencesMax),
    cut: differences.length > differencesMax,
    sharedTexts: same ? 0 : new Set(asked[1]?.items ?? []).intersection(texts).size,
  }
}

function explained(x: Exchange, asked: Asked | null, options: CacheOptions): ExplainedRequest {
  const endpoint = endpointOf(x.request.method, x.request.path)
  const key = asked === null || asked.key === '' ? null : asked.key
  const model = asked?.model ?? null
  const why: string[] = []
  if (options.mode === 'off') why.push('cache.mode is off')
  if (endpoint === null) why.push(`answers to ${x.request.method} ${x.request.path} are never kept`)
  else if (asked === null) why.push('it has no body')
  else if (asked.why !== null) why.push(asked.why)
  const { said, ttlMs: wished } = saidOf(x)
  why.push(...said)
  const facts = { endpoint: endpoint ?? '', model, team: x.principal.team, status: 200 }
  const ttlMs = ttlOf({ ...facts, contentType: 'application/json' }, options, wished)
  if (key !== null && ttlMs === 0)
    why.push(
      wished === 0
        ? 'its x-headgate-cache-ttl says that its answer is not kept'
        : 'a rule of cache.rules says that its answer is not kept (ttl: 0s)',
    )
  const value = bodyOf(x)
  return { endpoint, model, stream: value?.['stream'] === true, key, why, ttlMs }
}

/** What its header fields say about the cache. */
function saidOf(x: Exchange): { readonly said: string[]; readonly ttlMs: number | null } {
  try {
    const { read, write, maxAgeSeconds, ttlMs } = directivesOf(x.request.headers)
    const said: string[] = []
    if (!write) said.push('its headers want no cache at all (x-no-cache, cache-control: no-store)')
    else if (!read)
      said.push('its headers want the upstream asked (cache-control: no-cache); that answer is kept')
    else if (maxAgeSeconds <= 0) said.push('its headers want no stored answer (cache-control: max-age=0)')
    return { said, ttlMs }
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause
    return { said: [`it is refused: ${cause.message}`], ttlMs: null }
  }
}

function bodyOf(x: Exchange): { [name: string]: Json } | null {
  const value = readOneMeaning(x.requestBody?.whole ?? new Uint8Array(0))?.value ?? null
  return isObject(value) ? value : null
}

function* differing([a, b]: readonly [Exchange, Exchange], options: CacheOptions): Generator<Difference> {
  const bodies = [bodyOf(a), bodyOf(b)] as const
  yield* unlike('scope', tenantText(a, bodies[0], options), tenantText(b, bodies[1], options))
  const operations = [
    endpointOf(a.request.method, a.request.path),
    endpointOf(b.request.method, b.request.path),
  ]
  const whole = ({ request }: Exchange): string => `${request.method} ${request.path}`
  yield* unlike('endpoint', operations[0] ?? whole(a), operations[1] ?? whole(b))
  const names = new Set(options.headers.map((name) => name.toLowerCase()))
  yield* fields(contextOf(a, names), contextOf(b, names))
  const [one, other] = bodies
  if (one === null || other === null) return
  const operation = operations[0] ?? ''
  // What defaults are left out depends on the operation; of two operations nothing is the same anyway.
  const members = [one, other].map((body) => canonicalMembers(body, operation, options.normalize))
  const before = [...members[0]!.keys(), ...members[1]!.keys()]
  let found = false
  for (const name of [...new Set(before)].sort()) {
    for (const difference of inside(`body.${name}`, members[0]!.get(name), members[1]!.get(name))) {
      found = true
      yield difference
    }
  }
  const exact = (x: Exchange): boolean => readOneMeaning(x.requestBody!.whole!)!.inexact
  if (!found && (exact(a) || exact(b)))
    yield {
      where: 'body',
      a: 'a number with more digits than a double holds: equal to nothing but its very bytes',
      b: 'other bytes',
    }
}

function* unlike(where: string, a: string | null, b: string | null): Generator<Difference> {
  if (a !== b) yield { where, a: shown(a, b), b: shown(b, a) }
}

/** Who shares with it, in the words of the digest. */
function tenantText(
  x: Exchange,
  body: { [name: string]: Json } | null,
  { scope }: CacheOptions,
): string | null {
  const tenant = tenantOf(x.principal, scope, body !== null && namesTools(body))
  if (tenant === null) return null
  const [kind, name, team, env] = JSON.parse(tenant) as (string | null)[]
  if (kind === 'all') return name === null ? 'all' : `all, env ${name}`
  const parts = [`${kind} ${name}`]
  if (team != null && kind !== 'team') parts.push(`team ${team}`)
  if (env != null) parts.push(`env ${env}`)
  return parts.join(', ')
}

/** Query and header fields by their names; one that comes twice is one with both values. */
function linesOf(context: string): Map<string, string> {
  const [query = '', ...lines] = context.split('\n')
  const found = new Map<string, string>()
  if (query !== '') found.set('query', query)
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const name = `header ${line.slice(0, colon)}`
    const before = found.get(name)
    const value = line.slice(colon + 1)
    found.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return found
}

function* fields(a: string, b: string): Generator<Difference> {
  const [one, other] = [linesOf(a), linesOf(b)]
  let found = false
  for (const where of new Set(['query', ...one.keys(), ...other.keys()])) {
    for (const difference of unlike(where, one.get(where) ?? null, other.get(where) ?? null)) {
      found = true
      yield difference
    }
  }
  // Lines count in the order in which they come.
  if (!found) yield* unlike('order of headers', inOneLine(a), inOneLine(b))
}

function inOneLine(context: string): string {
  return context.split('\n').join(' ').trim()
}

/** Down to the first value on each way that is not alike. */
function* inside(where: string, a: Json | undefined, b: Json | undefined): Generator<Difference> {
  if (a !== undefined && b !== undefined && canonicalText(a) === canonicalText(b)) return
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let at = 0; at < Math.max(a.length, b.length); at++) yield* inside(`${where}[${at}]`, a[at], b[at])
  } else if (isObject(a) && isObject(b)) {
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
    for (const name of names) yield* inside(`${where}.${name}`, own(a, name), own(b, name))
  } else yield* unlike(where, textOf(a), textOf(b))
}

function own(value: { [name: string]: Json }, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function textOf(value: Json | undefined): string | null {
  return value === undefined ? null : canonicalText(value)
}

/** A long text from shortly before the place where the other one goes on differently. */
function shown(text: string | null, other: string | null): string | null {
  if (text === null || text.length <= shownMax) return text
  const against = other ?? ''
  let same = 0
  while (same < against.length && text[same] === against[same]) same++
  const from = Math.max(0, same - leadIn)
  const cut = text.slice(from, from + shownMax)
  return `${from > 0 ? '…' : ''}${cut}${from + cut.length < text.length ? '…' : ''} (${text.length} characters)`
}
