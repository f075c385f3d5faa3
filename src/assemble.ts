// The stages, built from one configuration: what each is given of it, and of what outlives it. One place, so that a later
// kind is found by whoever looks where it comes from.

import type { Clock } from './base/clock.ts'
import type { Config } from './config/schema.ts'
import type { KeyLookup } from './keys/key-service.ts'
import { answerPolicy } from './answer-policy.ts'
import { startable } from './listeners.ts'
import type { Sweeper } from './net/wire/sweeper.ts'
import type { Stages } from './proxy.ts'
import { createAccept } from './stages/1-accept/accept.ts'
import { createAuthenticate, type JwtKeeper } from './stages/2-authenticate/authenticate.ts'
import { createLimit } from './stages/3-limit/limit.ts'
import { createTransform } from './stages/4-transform/transform.ts'
import { createCache, type CacheKeeper } from './stages/5-cache/cache.ts'
import { createRoute } from './stages/6-route/route.ts'
import { createUpstream, type RefusedKeys, type UpstreamOptions } from './stages/7-upstream/upstream.ts'
import { createMeter } from './stages/8-meter/meter.ts'
import type { LogStage } from './stages/9-log/log.ts'

/** What every build of the stages is given besides its configuration: it outlives them. */
export interface AssemblyParts {
  readonly clock: Clock
  readonly log: LogStage
  /** The sandbox of this process; asked for only where an upstream needs it. */
  readonly sandbox: () => Promise<Pick<UpstreamOptions, 'baseUrl' | 'keys'>>
  /** Keys of the store; absent = there is none. */
  readonly keys?: KeyLookup
}

/** What a gateway keeps from one configuration to the next. */
export interface Kept {
  readonly sweeper: Sweeper
  readonly refusedKeys: RefusedKeys
  readonly jwtKeeper: JwtKeeper
  readonly cacheKeeper: CacheKeeper
}

/** @throws StartFailure where a file or an address it needs cannot be had */
export async function assemble(config: Config, parts: AssemblyParts, kept: Kept): Promise<Stages> {
  const authenticate = authenticateStage(config, parts, kept)
  const upstream = await upstreamStage(config, parts, kept).catch((cause: unknown) => {
    authenticate.close()
    throw cause
  })
  const meter = createMeter(parts)
  return {
    accept: createAccept({ ...config.server, ...config.server.limits }),
    authenticate,
    limit: createLimit([]),
    transform: createTransform([]),
    cache: cacheStage(config, parts, kept),
    route: createRoute(upstream.accounts),
    upstream: { ...upstream, send: meter.around(upstream.send) },
    meter,
    log: parts.log,
  }
}

function cacheStage(config: Config, { clock }: AssemblyParts, { cacheKeeper }: Kept): Stages['cache'] {
  const { path, key = null, redis } = config.storage
  const place = { folder: path, key, redis: redis === undefined ? [] : [redis] }
  return createCache(config.cache, { clock, keeper: cacheKeeper, policy: answerPolicy(config), place })
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
  return startable(() => createUpstream(upstreams, { clock, sweeper, refusedKeys, warn }))
}
