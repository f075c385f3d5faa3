// The stages, built from one configuration: what each is given of it, and of what outlives it. One place, so that a later
// kind is found by whoever looks where it comes from.

import type { Clock } from './base/clock.ts'
import { processEnvironment } from './config/env.ts'
import { runTokenCommand } from './config/run-command.ts'
import type { Config } from './config/schema.ts'
import type { KeyLookup } from './keys/key-service.ts'
import { answerPolicy } from './answer-policy.ts'
import { noLedger, type Ledger } from './ledger/ledger.ts'
import type { MemoryObjects, Objects } from './objects/objects.ts'
import { ownerOf } from './objects/owner.ts'
import { startable, StartFailure } from './listeners.ts'
import type { Sweeper } from './net/wire/sweeper.ts'
import type { Stages } from './proxy.ts'
import { createAccept } from './stages/1-accept/accept.ts'
import { createAuthenticate, type JwtKeeper } from './stages/2-authenticate/authenticate.ts'
import { createObjects, createTransform } from './stages/4-transform/transform.ts'
import {
  createLimit,
  plainCosts,
  type Costs,
  type LimitMemory,
  type SharedStore,
  type SpendLookup,
  type UpstreamQuota,
} from './stages/3-limit/limit.ts'
import { createRoute, usualRoute, type AccountMemory, type BreakerShare, type SeenObjects } from './stages/6-route/route.ts' // prettier-ignore
import {
  createCache,
  explainPair,
  Idempotency,
  type CacheKeeper,
  type IdempotencyParts,
} from './stages/5-cache/cache.ts'
import { createUpstream, type RefusedKeys, type UpstreamOptions } from './stages/7-upstream/upstream.ts'
import { createMeter, type Estimator, type Pricing } from './stages/8-meter/meter.ts'

import type { LogStage } from './stages/9-log/log.ts'

export type { Pricing }

/** Two requests as the cache sees them, and what tells them apart. */
export type ExplainedPair = ReturnType<typeof explainPair>

/** What every build of the stages is given besides its configuration: it outlives them. */
export interface AssemblyParts {
  readonly clock: Clock
  readonly log: LogStage
  /** The sandbox of this process; asked for only where an upstream needs it. */
  readonly sandbox: () => Promise<Pick<UpstreamOptions, 'baseUrl' | 'keys'>>
  /** Keys of the store; absent = there is none. */
  readonly keys?: KeyLookup
  /** Absent = no rows are kept. */
  readonly ledger?: Ledger
  /** Absent = there is no store to keep answers in. */
  readonly idempotency?: IdempotencyParts
  /** Absent = nothing has a price. */
  readonly pricing?: Pricing
  /** Whose the objects are that upstreams keep; absent = remembered by this process alone. */
  readonly objects?: Objects
  /** Redis; absent = there is none. */
  readonly redis?: SharedStore
  /** What gateways tell each other of upstreams; absent = each is on its own. */
  readonly breakers?: BreakerShare
  /** Sums of the ledger; absent = there is none. */
  readonly spend?: SpendLookup
  /** What requests cost at most, and what they did cost; absent = counted in bytes, without prices. */
  readonly costs?: Costs
  /** How long what this process holds in Redis outlives it; absent = a minute. */
  readonly leaseMs?: number
}

/** What a gateway keeps from one configuration to the next. */
export interface Kept {
  readonly sweeper: Sweeper
  readonly refusedKeys: RefusedKeys
  readonly jwtKeeper: JwtKeeper
  readonly cacheKeeper: CacheKeeper
  /** Where the parts bring none. */
  readonly objects: MemoryObjects
  readonly accounts: AccountMemory
  /** Objects that nobody had to own: what answers said of them. */
  readonly seen: SeenObjects
  readonly limitMemory: LimitMemory
  readonly estimator: Estimator
}

/** @throws StartFailure where a file or an address it needs cannot be had */
export async function assemble(config: Config, parts: AssemblyParts, kept: Kept): Promise<Stages> {
  const authenticate = authenticateStage(config, parts, kept)
  const upstream = await upstreamStage(config, parts, kept).catch((cause: unknown) => {
    authenticate.close()
    throw cause
  })
  const estimate = kept.estimator.exact.bind(kept.estimator)
  const meter = createMeter({
    ...parts,
    estimate,
    bug: parts.log.bug,
    warn: (text) => parts.log.event('warn', text),
  })
  const costs = parts.pricing === undefined ? plainCosts : { estimate: meter.worstCase, spent: meter.spent }
  const limit = limitStage(config, { costs, ...parts }, kept)
  await limit.ready().catch((cause: unknown) => {
    authenticate.close()
    upstream.close()
    limit.close()
    throw new StartFailure(`cannot read what was spent from the ledger: ${(cause as Error).message}`)
  })
  const route = routeStage(config, parts, { kept, upstream, quota: limit.quota })
  const send = limit.around(meter.around(upstream.send))
  return {
    accept: createAccept({ ...config.server, ...config.server.limits, ...knownBodies(config) }),
    authenticate,
    limit,
    transform: createTransform([objectsRule(config, parts, kept)]),
    cache: cacheStage(config, parts, kept),
    route,
    upstream: { ...upstream, send },
    ask: (x) => route.attempt(x, send),
    meter,
    log: parts.log,
  }
}

/** Bytes of requests kept to know them again, as a part of what answers may have. */
const knownPart = 8
const knownBytesMin = 32 * 1024 * 1024

/** Without a cache hardly any request comes twice. */
function knownBodies({ cache }: Config): { readonly knownBodies?: number } {
  if (cache.mode === 'off' && !cache.record) return {}
  return { knownBodies: Math.max(knownBytesMin, cache.store.memory / knownPart) }
}

function cacheStage(config: Config, parts: AssemblyParts, { cacheKeeper }: Kept): Stages['cache'] {
  const { path, key = null, redis = [] } = config.storage
  const { ledger = noLedger } = parts
  const place = { folder: path, key, redis }
  return createCache(config.cache, {
    clock: parts.clock,
    keeper: cacheKeeper,
    policy: answerPolicy(config),
    place,
    trouble: () => ledger.trouble(),
    idempotency: idempotencyOf(config, parts),
  })
}

/** Whether two requests would share an answer under a configuration, and why. */
export function explainCache(config: Config, pair: Parameters<typeof explainPair>[2]): ExplainedPair {
  return explainPair(config.cache, answerPolicy(config), pair)
}

function objectsRule({ access }: Config, parts: AssemblyParts, kept: Kept) {
  const { owner, unknown, sockets } = access.objects
  // Tokens can be anybody's, and so can the users and apps that a key names.
  const open = access.jwt.length > 0 || owner === 'user' || owner === 'app'
  const fixed = new Set(
    access.keys.map(({ name, team, app, user }) =>
      ownerOf({ kind: 'key', key: name, keyId: null, team, app, user }, owner),
    ),
  )
  if (access.anonymous === 'allow') fixed.add('anonymous')
  // The same set until a key changes: asked with every request, it is looked into once.
  let seen: ReadonlySet<string> | undefined
  let more = false
  const several = (): boolean => {
    if (open || fixed.size > 1 || parts.keys === undefined) return open || fixed.size > 1
    const stored = parts.keys.someOwners(owner)
    if (stored !== seen) more = stored.union(fixed).size > 1
    seen = stored
    return more
  }
  return createObjects({ objects: parts.objects ?? kept.objects, owner, unknown, sockets, several })
}

function idempotencyOf(config: Config, { clock, log, idempotency }: AssemblyParts): Idempotency | null {
  const settings = config.meter.idempotency
  if (!settings.enabled || idempotency === undefined) return null
  return new Idempotency(idempotency, settings, {
    clock,
    bug: (cause) => log.bug(cause),
    warn: (text) => log.event('warn', text),
  })
}

function authenticateStage(
  config: Config,
  { clock, keys }: AssemblyParts,
  { jwtKeeper }: Kept,
): Stages['authenticate'] {
  const options = {
    ...config.access,
    anonymous: config.access.anonymous === 'allow',
    stored: keys ?? null,
    clock,
  }
  return startable(() => createAuthenticate(options, jwtKeeper))
}

function limitStage(config: Config, parts: AssemblyParts, { limitMemory }: Kept): Stages['limit'] {
  const { clock, log, costs = plainCosts, redis = null, spend = null, leaseMs } = parts
  return createLimit({
    limits: config.limits,
    upstreams: new Map(
      config.upstreams.flatMap(({ name, limits }) => (limits === undefined ? [] : [[name, limits] as const])),
    ),
    clock,
    memory: limitMemory,
    costs,
    shared: redis,
    whenRedisDown: config.storage.whenRedisDown,
    spend,
    warn: (text) => log.event('warn', text),
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(parts.keys === undefined ? {} : { keyName: parts.keys.nameOf.bind(parts.keys) }),
  })
}

async function upstreamStage(
  config: Config,
  { clock, log, sandbox }: AssemblyParts,
  { sweeper, refusedKeys }: Kept,
): Promise<Stages['upstream']> {
  const upstreams: UpstreamOptions[] = []
  for (const each of config.upstreams) {
    if (each.provider === 'sandbox') upstreams.push({ ...each, ...(await sandbox()) })
    else upstreams.push({ ...each, baseUrl: new URL(each.baseUrl) })
  }
  const warn = (message: string) => log.event('warn', message)
  const runCommand = (text: string) => runTokenCommand(text, processEnvironment())
  return startable(() => createUpstream(upstreams, { clock, sweeper, refusedKeys, warn, runCommand }))
}

function routeStage(
  config: Config,
  { clock }: AssemblyParts,
  { kept, upstream, quota }: { kept: Kept; upstream: Stages['upstream']; quota: UpstreamQuota },
): Stages['route'] {
  const members = config.upstreams.map((each, index) => ({
    target: upstream.accounts[index]!,
    weight: each.weight,
    models: each.models,
    firstTokenMs: each.provider === 'sandbox' ? Infinity : each.timeouts.firstToken,
  }))
  return createRoute(
    { members, routes: config.routes, usual: usualRoute() },
    {
      clock,
      sweeper: kept.sweeper,
      memory: kept.accounts,
      probe: upstream.probe,
      lookup: kept.seen,
      quota,
    },
  )
}
