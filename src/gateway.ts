// What stays: the listeners, and the stages built from one configuration. A reload builds new stages and swaps them:
// exchanges under way end with the stages they began with, so no request sees half of a change.

import { startAdmin, type AdminServer, type Health } from './admin/admin.ts'
import type { Clock } from './base/clock.ts'
import type { Config } from './config/schema.ts'
import { createFront, type FrontOptions } from './front.ts'
import { HttpServer, type ServerLimits } from './net/wire/server.ts'
import { Sweeper } from './net/wire/sweeper.ts'
import type { Stages } from './proxy.ts'
import { createAccept } from './stages/1-accept/accept.ts'
import { createAuthenticate } from './stages/2-authenticate/authenticate.ts'
import { createLimit } from './stages/3-limit/limit.ts'
import { createTransform } from './stages/4-transform/transform.ts'
import { createCache } from './stages/5-cache/cache.ts'
import { createRoute } from './stages/6-route/route.ts'
import { createUpstream, type UpstreamOptions } from './stages/7-upstream/upstream.ts'
import { createMeter } from './stages/8-meter/meter.ts'
import type { LogStage } from './stages/9-log/log.ts'

/** What a gateway is given besides its configuration. */
export interface GatewayParts {
  readonly clock: Clock
  readonly log: LogStage
  /** Base URL of the sandbox of this process; asked for only where an upstream needs it. */
  readonly sandbox: () => Promise<string>
}

export class Gateway {
  readonly #sweeper: Sweeper
  #listeners: HttpServer[] = []
  #admin: AdminServer | null = null
  #stages!: Stages
  #exchanges = 0
  #draining = false

  private constructor(private readonly parts: GatewayParts) {
    this.#sweeper = new Sweeper(parts.clock)
  }

  /** Starts all listeners or none. @throws StartFailure where an address cannot be had */
  static async start(config: Config, parts: GatewayParts): Promise<Gateway> {
    const gateway = new Gateway(parts)
    await gateway.reload(config)
    return gateway
  }

  /** Addresses of the proxy port as bound, and of the admin port. */
  get addresses(): { readonly proxy: readonly HttpServer[]; readonly admin: AdminServer } {
    return { proxy: this.#listeners, admin: this.#admin! }
  }

  /** Exchanges under way. */
  get exchanges(): number {
    return this.#exchanges
  }

  /** Puts a configuration in force. Where it cannot be, everything stays as it was. @throws StartFailure */
  async reload(config: Config): Promise<void> {
    const stages = await this.#build(config)
    const limits = serverLimits(config)
    const opened: HttpServer[] = []
    const kept: HttpServer[] = []
    try {
      for (const address of config.server.listen) {
        const same = this.#listeners.find((each) => each.requested === key(address) && !kept.includes(each))
        if (same !== undefined) kept.push(same)
        else opened.push(bind(address, () => new HttpServer(address, limits, { handler: this.#front, sweeper: this.#sweeper })))
      }
      this.#moveAdmin(config)
    } catch (cause) {
      for (const listener of opened) listener.stop()
      stages.upstream.close()
      throw cause
    }
    const previous = this.#stages as Stages | undefined
    this.#stages = stages
    for (const listener of kept) listener.limits = limits
    for (const listener of this.#listeners) if (!kept.includes(listener)) void listener.drain()
    this.#listeners = [...kept, ...opened]
    previous?.upstream.close()
  }

  /** Accepts no more and resolves when every exchange has ended. */
  async drain(): Promise<void> {
    this.#draining = true
    await Promise.all(this.#listeners.map((listener) => listener.drain()))
  }

  /** Cuts what is still open and frees every address. */
  stop(): void {
    for (const listener of this.#listeners) listener.stop()
    this.#admin?.stop()
    this.#stages.upstream.close()
  }

  readonly #front = createFront(this.#frontOptions())

  #frontOptions(): FrontOptions {
    return {
      stages: () => this.#stages,
      clock: () => this.parts.clock,
      began: () => void this.#exchanges++,
      ended: () => void this.#exchanges--,
    }
  }

  async #build(config: Config): Promise<Stages> {
    const { clock, log } = this.parts
    const { limits, publicHosts } = config.server
    const upstreams: UpstreamOptions[] = []
    for (const upstream of config.upstreams) {
      upstreams.push(
        upstream.provider === 'sandbox'
          ? { ...sandboxDefaults, ...upstream, baseUrl: new URL(await this.parts.sandbox()) }
          : { ...upstream, baseUrl: new URL(upstream.baseUrl) },
      )
    }
    const upstream = createUpstream(upstreams, { clock, sweeper: this.#sweeper })
    return {
      accept: createAccept({ publicHosts, jsonBodyBytesMax: limits.jsonBodyBytes, uploadBytesMax: limits.uploadBytes }),
      authenticate: createAuthenticate({ anonymous: config.access.anonymous === 'allow', keys: config.access.keys }),
      limit: createLimit([]),
      transform: createTransform([]),
      cache: createCache(null),
      route: createRoute(upstream.accounts),
      upstream,
      meter: createMeter(),
      log,
    }
  }

  #moveAdmin(config: Config): void {
    const address = config.admin.listen
    if (this.#admin !== null && this.#admin.requested === key(address)) return
    const next = bind(address, () => startAdmin(address, this.#health()))
    this.#admin?.stop()
    this.#admin = next
  }

  #health(): Health {
    return {
      notReady: () => [
        ...(this.#draining ? ['draining: no new requests are taken'] : []),
        ...this.#stages.upstream.accounts
          .filter((account) => account.identityLines() === null)
          .map((account) => `upstream ${account.name}: every key has expired`),
      ],
      counts: () => ({
        connections: this.#listeners.reduce((sum, listener) => sum + listener.counts().open, 0),
        exchanges: this.#exchanges,
      }),
    }
  }
}

/** An address that cannot be had, as one clear line. */
export class StartFailure extends Error {}

const sandboxDefaults = {
  keys: [],
  organization: null,
  project: null,
  timeouts: { connect: 10_000, firstByte: 60_000, idle: 60_000, total: 600_000 },
  keepAlive: { idle: 60_000, maxIdle: 32 },
  tls: {},
  proxy: null,
}

function key(address: { readonly hostname: string; readonly port: number }): string {
  return `${address.hostname} ${address.port}`
}

function bind<T>(address: { readonly hostname: string; readonly port: number }, start: () => T): T {
  try {
    return start()
  } catch (cause) {
    const code = (cause as { code?: string }).code
    const why =
      code === 'EADDRINUSE' ? 'the port is in use: stop what uses it, or choose another' : code === 'EACCES' ? 'not permitted: choose a port above 1023' : String((cause as Error).message)
    throw new StartFailure(`cannot listen on ${address.hostname}:${address.port}: ${why}`)
  }
}

function serverLimits(config: Config): ServerLimits {
  const { limits, timeouts } = config.server
  return {
    headerBytesMax: limits.headerBytes,
    headerFieldsMax: limits.headers,
    connectionsPerAddressMax: limits.connectionsPerAddress,
    headerMs: timeouts.header,
    idleMs: timeouts.idle,
  }
}
