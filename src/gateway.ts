// What stays: the stages built from one configuration, and where it listens. A reload builds new stages and swaps them:
// exchanges under way end with the stages they began with, so no request sees half of a change.

import type { Clock } from './base/clock.ts'
import type { Config } from './config/schema.ts'
import { createFront } from './front.ts'
import type { KeyLookup } from './keys/key-service.ts'
import { Listeners, startable } from './listeners.ts'
import { Sweeper } from './net/wire/sweeper.ts'
import { OperatorView, type AdminBackend } from './operator-view.ts'
import { closeStages, type Stages } from './proxy.ts'
import { Running } from './running.ts'
import { createAccept } from './stages/1-accept/accept.ts'
import { createAuthenticate, JwtKeeper } from './stages/2-authenticate/authenticate.ts'
import { createLimit } from './stages/3-limit/limit.ts'
import { createTransform } from './stages/4-transform/transform.ts'
import { createCache } from './stages/5-cache/cache.ts'
import { createRoute } from './stages/6-route/route.ts'
import { createUpstream, type RefusedKeys, type UpstreamOptions } from './stages/7-upstream/upstream.ts'
import { createMeter } from './stages/8-meter/meter.ts'
import { createLog, type LogIo, type LogSettings, type LogStage } from './stages/9-log/log.ts'

export type { LogStage }

/** What a gateway is given besides its configuration. */
export interface GatewayParts {
  readonly clock: Clock
  readonly log: LogStage
  /** The sandbox of this process; asked for only where an upstream needs it. */
  readonly sandbox: () => Promise<Pick<UpstreamOptions, 'baseUrl' | 'keys'>>
  /** Keys of the store; absent = there is none. */
  readonly keys?: KeyLookup
  /** What the admin port works on besides the gateway itself. */
  readonly admin?: AdminBackend
}

export class Gateway {
  readonly #sweeper: Sweeper
  readonly #listeners: Listeners
  readonly #refusedKeys: RefusedKeys = new Map()
  readonly #jwtKeeper: JwtKeeper
  readonly #view: OperatorView
  /** Exchanges under way. */
  readonly running = new Running()
  #stages!: Stages

  private constructor(private readonly parts: GatewayParts) {
    this.#sweeper = new Sweeper(parts.clock)
    this.#jwtKeeper = new JwtKeeper({ clock: parts.clock, tell: parts.log.event })
    const handler = createFront({
      stages: () => this.#stages,
      clock: parts.clock,
      running: this.running,
    })
    this.#view = new OperatorView(parts, {
      stages: () => this.#stages,
      connections: () => this.#listeners.openConnections,
      exchanges: () => this.running.size,
    })
    this.#listeners = new Listeners({ handler, sweeper: this.#sweeper, admin: this.#view })
  }

  /** Starts all listeners or none. @throws StartFailure where an address cannot be had */
  static async start(config: Config, parts: GatewayParts): Promise<Gateway> {
    const gateway = new Gateway(parts)
    await gateway.reload(config)
    return gateway
  }

  /** Addresses of the proxy port, and of the admin port, as bound. */
  get addresses(): Pick<Listeners, 'proxy' | 'admin'> {
    return this.#listeners
  }

  /** Exchanges under way. */
  get exchanges(): number {
    return this.running.size
  }

  /** Puts a configuration in force. Where it cannot be, everything stays as it was. @throws StartFailure */
  async reload(config: Config): Promise<void> {
    const previous = this.#stages as Stages | undefined
    const next = await this.#build(config)
    // In this order: the first request may come while the last address is being bound.
    this.#stages = next
    try {
      this.#listeners.move(config)
    } catch (cause) {
      if (previous !== undefined) this.#stages = previous
      closeStages(next)
      throw cause
    }
    if (previous !== undefined) closeStages(previous)
  }

  /** Accepts no more and resolves when every exchange has ended. */
  async drain(): Promise<void> {
    this.#view.draining = true
    await this.#listeners.drain()
  }

  /** Cuts what is still open and frees every address. */
  stop(): void {
    this.#listeners.stop()
    closeStages(this.#stages)
  }

  async #build(config: Config): Promise<Stages> {
    const authenticate = this.#authenticate(config)
    const upstream = await this.#upstream(config).catch((cause: unknown) => {
      authenticate.close()
      throw cause
    })
    return {
      accept: createAccept({ ...config.server, ...config.server.limits }),
      authenticate,
      limit: createLimit([]),
      transform: createTransform([]),
      cache: createCache(null),
      route: createRoute(upstream.accounts),
      upstream,
      meter: createMeter(),
      log: this.#view.keeping(this.parts.log),
    }
  }

  #authenticate(config: Config): Stages['authenticate'] {
    const { clock, keys: stored = null } = this.parts
    const options = { ...config.access, anonymous: config.access.anonymous === 'allow', stored, clock }
    return startable(() => createAuthenticate(options, this.#jwtKeeper))
  }

  async #upstream(config: Config): Promise<Stages['upstream']> {
    const upstreams: UpstreamOptions[] = []
    for (const each of config.upstreams) {
      if (each.provider === 'sandbox') upstreams.push({ ...each, ...(await this.parts.sandbox()) })
      else upstreams.push({ ...each, baseUrl: new URL(each.baseUrl) })
    }
    const { clock, log } = this.parts
    const warn = (message: string) => log.event('warn', message)
    const parts = { clock, sweeper: this.#sweeper, refusedKeys: this.#refusedKeys, warn }
    return startable(() => createUpstream(upstreams, parts))
  }
}

/** Opens the access log, which outlives every configuration. @throws StartFailure where it cannot be written */
export function openLog(settings: LogSettings, io: LogIo): LogStage {
  return startable(() => createLog(settings, io))
}
