// What stays: the stages built from one configuration, and where it listens. A reload builds new stages and swaps them:
// exchanges under way end with the stages they began with, so no request sees half of a change.

import type { AdminServer } from './admin/admin.ts'
import type { Clock } from './base/clock.ts'
import type { Config } from './config/schema.ts'
import { createFront } from './front.ts'
import { Listeners, StartFailure } from './listeners.ts'
import type { HttpServer } from './net/wire/server.ts'
import { Sweeper } from './net/wire/sweeper.ts'
import type { Stages } from './proxy.ts'
import { createAccept } from './stages/1-accept/accept.ts'
import { createAuthenticate } from './stages/2-authenticate/authenticate.ts'
import { createLimit } from './stages/3-limit/limit.ts'
import { createTransform } from './stages/4-transform/transform.ts'
import { createCache } from './stages/5-cache/cache.ts'
import { createRoute } from './stages/6-route/route.ts'
import { createUpstream, type UpstreamOptions, type UpstreamStage } from './stages/7-upstream/upstream.ts'
import { createMeter } from './stages/8-meter/meter.ts'
import { createLog, type LogIo, type LogSettings, type LogStage } from './stages/9-log/log.ts'

export type { LogStage }

/** What a gateway is given besides its configuration. */
export interface GatewayParts {
  readonly clock: Clock
  readonly log: LogStage
  /** The sandbox of this process; asked for only where an upstream needs it. */
  readonly sandbox: () => Promise<Pick<UpstreamOptions, 'baseUrl' | 'keys'>>
}

export class Gateway {
  readonly #sweeper: Sweeper
  readonly #listeners: Listeners
  #stages!: Stages
  #exchanges = 0
  #draining = false

  private constructor(private readonly parts: GatewayParts) {
    this.#sweeper = new Sweeper(parts.clock)
    const handler = createFront({
      stages: () => this.#stages,
      clock: parts.clock,
      began: () => void this.#exchanges++,
      ended: () => void this.#exchanges--,
    })
    const health = {
      notReady: () => this.#notReady(),
      counts: () => ({ connections: this.#listeners.openConnections, exchanges: this.#exchanges }),
    }
    this.#listeners = new Listeners({ handler, sweeper: this.#sweeper, health })
  }

  /** Starts all listeners or none. @throws StartFailure where an address cannot be had */
  static async start(config: Config, parts: GatewayParts): Promise<Gateway> {
    const gateway = new Gateway(parts)
    await gateway.reload(config)
    return gateway
  }

  /** Addresses of the proxy port, and of the admin port, as bound. */
  get addresses(): { readonly proxy: readonly HttpServer[]; readonly admin: AdminServer } {
    return this.#listeners
  }

  /** Exchanges under way. */
  get exchanges(): number {
    return this.#exchanges
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
      next.upstream.close()
      throw cause
    }
    previous?.upstream.close()
  }

  /** Accepts no more and resolves when every exchange has ended. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#listeners.drain()
  }

  /** Cuts what is still open and frees every address. */
  stop(): void {
    this.#listeners.stop()
    this.#stages.upstream.close()
  }

  async #build(config: Config): Promise<Stages> {
    const { limits, publicHosts } = config.server
    const { anonymous, keys } = config.access
    const upstream = await this.#upstream(config)
    return {
      accept: createAccept({
        publicHosts,
        jsonBodyBytesMax: limits.jsonBodyBytes,
        uploadBytesMax: limits.uploadBytes,
      }),
      authenticate: createAuthenticate({ anonymous: anonymous === 'allow', keys }),
      limit: createLimit([]),
      transform: createTransform([]),
      cache: createCache(null),
      route: createRoute(upstream.accounts),
      upstream,
      meter: createMeter(),
      log: this.parts.log,
    }
  }

  async #upstream(config: Config): Promise<UpstreamStage> {
    const upstreams: UpstreamOptions[] = []
    for (const each of config.upstreams) {
      if (each.provider === 'sandbox') upstreams.push({ ...each, ...(await this.parts.sandbox()) })
      else upstreams.push({ ...each, baseUrl: new URL(each.baseUrl) })
    }
    try {
      return createUpstream(upstreams, { clock: this.parts.clock, sweeper: this.#sweeper })
    } catch (cause) {
      throw new StartFailure((cause as Error).message)
    }
  }

  #notReady(): string[] {
    const expired = this.#stages.upstream.accounts.filter((account) => account.identityLines() === null)
    return [
      ...(this.#draining ? ['draining: no new requests are taken'] : []),
      ...expired.map((account) => `upstream ${account.name}: every key has expired`),
    ]
  }
}

/** Opens the access log, which outlives every configuration. @throws StartFailure where it cannot be written */
export function openLog(settings: LogSettings, io: LogIo): LogStage {
  try {
    return createLog(settings, io)
  } catch (cause) {
    throw new StartFailure((cause as Error).message)
  }
}
