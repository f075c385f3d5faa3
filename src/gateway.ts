// What stays: the stages built from one configuration, and where it listens. A reload builds new stages and swaps them:
// exchanges under way end with the stages they began with, so no request sees half of a change.

import { assemble, type AssemblyParts, type Kept, type Pricing } from './assemble.ts'
import type { Config } from './config/schema.ts'
import { ExpiryWatch } from './expiry-watch.ts'
import { createFront } from './front.ts'
import { Listeners, startable } from './listeners.ts'
import type { ServerRequest } from './net/wire/server-request.ts'
import { Sweeper } from './net/wire/sweeper.ts'
import { MemoryObjects } from './objects/objects.ts'
import { OperatorView, type AdminBackend } from './operator-view.ts'
import { closeStages, type Stages } from './proxy.ts'
import { Running } from './running.ts'
import { JwtKeeper } from './stages/2-authenticate/authenticate.ts'
import { CacheKeeper } from './stages/5-cache/cache.ts'
import { AccountMemory, SeenObjects } from './stages/6-route/route.ts'
import { LimitMemory, Overload } from './stages/3-limit/limit.ts'
import { Estimator } from './stages/8-meter/meter.ts'
import { createLog, type LogIo, type LogSettings, type LogStage } from './stages/9-log/log.ts'

export type { LogStage, Pricing }

/** What a gateway is given besides its configuration. */
export interface GatewayParts extends AssemblyParts {
  /** What the admin port works on besides the gateway itself. */
  readonly admin?: AdminBackend
}

export class Gateway {
  readonly #kept: Kept
  readonly #overload: Overload<ServerRequest>
  readonly #listeners: Listeners
  readonly #view: OperatorView
  /** Exchanges under way. */
  readonly running = new Running()
  readonly #expiry: ExpiryWatch
  #stages!: Stages

  private constructor(private readonly parts: GatewayParts) {
    const sweeper = new Sweeper(parts.clock)
    const jwtKeeper = new JwtKeeper({ clock: parts.clock, tell: parts.log.event })
    this.#kept = {
      sweeper,
      refusedKeys: new Map(),
      jwtKeeper,
      objects: new MemoryObjects(),
      accounts: new AccountMemory(),
      seen: new SeenObjects(),
      limitMemory: new LimitMemory(parts.clock),
      estimator: new Estimator(),
      cacheKeeper: new CacheKeeper(parts.clock, (text) => parts.log.event('warn', text)),
    }
    if (parts.breakers !== undefined) this.#kept.accounts.shareOver(parts.breakers, parts.clock)
    const tell = (text: string): void => parts.log.event('info', text)
    this.#expiry = new ExpiryWatch({ running: this.running, clock: parts.clock, tell })
    const warn = (text: string): void => parts.log.event('warn', text)
    this.#overload = new Overload(parts.clock, { targetMs: null }, warn)
    const handler = createFront({
      stages: () => this.#stages,
      clock: parts.clock,
      running: this.running,
      overload: this.#overload,
    })
    this.#view = new OperatorView(parts, {
      stages: () => this.#stages,
      connections: () => this.#listeners.openConnections,
      exchanges: () => this.running.size,
    })
    this.#listeners = new Listeners({ handler, sweeper, admin: this.#view })
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
    const log = this.#view.keeping(this.parts.log)
    const next = await assemble(config, { ...this.parts, log }, this.#kept)
    // In this order: the first request may come while the last address is being bound.
    this.#stages = next
    try {
      this.#listeners.move(config)
    } catch (cause) {
      if (previous !== undefined) this.#stages = previous
      closeStages(next)
      throw cause
    }
    this.#expiry.follow(config.access.onExpire)
    const { mode, delay } = config.server.overload
    this.#overload.targetMs = mode === 'off' ? null : delay
    if (previous !== undefined) closeStages(previous)
  }

  /** Accepts no more and resolves when every exchange has ended. */
  async drain(): Promise<void> {
    this.#view.draining = true
    await this.#listeners.drain()
    await this.running.drained()
  }

  /** Resolves when every row is kept whose tokens are still being counted. */
  counted(): Promise<void> {
    return this.#stages.meter.idle()
  }

  /** Cuts what is still open and frees every address. */
  stop(): void {
    this.#expiry.close()
    this.#listeners.stop()
    this.running.endDrains()
    this.#overload.close()
    this.#kept.estimator.close()
    closeStages(this.#stages)
    this.#kept.cacheKeeper.close()
  }
}

/** Opens the access log, which outlives every configuration. @throws StartFailure where it cannot be written */
export function openLog(settings: LogSettings, io: LogIo): LogStage {
  return startable(() => createLog(settings, io))
}
