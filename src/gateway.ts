// What stays: the stages built from one configuration, and where it listens. A reload builds new stages and swaps them:
// exchanges under way end with the stages they began with, so no request sees half of a change.

import { assemble, type AssemblyParts, type Kept } from './assemble.ts'
import type { Config } from './config/schema.ts'
import { createFront } from './front.ts'
import { Listeners, startable } from './listeners.ts'
import { Sweeper } from './net/wire/sweeper.ts'
import { OperatorView, type AdminBackend } from './operator-view.ts'
import { closeStages, type Stages } from './proxy.ts'
import { Running } from './running.ts'
import { JwtKeeper } from './stages/2-authenticate/authenticate.ts'
import { CacheKeeper } from './stages/5-cache/cache.ts'
import { createLog, type LogIo, type LogSettings, type LogStage } from './stages/9-log/log.ts'

export type { LogStage }

/** What a gateway is given besides its configuration. */
export interface GatewayParts extends AssemblyParts {
  /** What the admin port works on besides the gateway itself. */
  readonly admin?: AdminBackend
}

export class Gateway {
  readonly #kept: Kept
  readonly #listeners: Listeners
  readonly #view: OperatorView
  /** Exchanges under way. */
  readonly running = new Running()
  #stages!: Stages

  private constructor(private readonly parts: GatewayParts) {
    const sweeper = new Sweeper(parts.clock)
    const jwtKeeper = new JwtKeeper({ clock: parts.clock, tell: parts.log.event })
    const cacheKeeper = new CacheKeeper(parts.clock, (message) => parts.log.event('warn', message))
    this.#kept = { sweeper, refusedKeys: new Map(), jwtKeeper, cacheKeeper }
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
    this.#kept.cacheKeeper.close()
  }
}

/** Opens the access log, which outlives every configuration. @throws StartFailure where it cannot be written */
export function openLog(settings: LogSettings, io: LogIo): LogStage {
  return startable(() => createLog(settings, io))
}
