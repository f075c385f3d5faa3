// `headgate serve`: starts everything or nothing, says where it stands, reloads on SIGHUP or when a file changes, and
// drains on SIGTERM. What a request or a broken dependency throws never ends the process.

import { mkdirSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { ReloadOutcome } from '../admin/route.ts'
import { generatedToken, type GeneratedToken } from '../admin/token-file.ts'
import { systemClock } from '../base/clock.ts'
import { Secret } from '../base/secret.ts'
import { colourUnwanted } from '../config/env.ts'
import { formatListenAddress } from '../config/listen-address.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { ConfigProblems, formatProblem } from '../config/problem.ts'
import { verifyConfig } from '../config/verify.ts'
import { Gateway, openLog, type Pricing } from '../gateway.ts'
import { Reports, sourceBeside } from '../reports/reports.ts'
import { StartFailure } from '../listeners.ts'
import { PriceKeeper } from '../prices/keeper.ts'
import { StorageFailure } from '../storage/open.ts'
import type { RedisStore } from '../storage/redis.ts'
import type { RedisBreakers } from '../storage/redis-breakers.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { banner } from './banner.ts'
import { withFirstKey } from './first-key.ts'
import { FileWatch } from './file-watch.ts'
import { LogSwitch } from './log-switch.ts'
import { priceSettings } from './price-settings.ts'
import { printError } from './print.ts'
import { openBreakers, openRedis, openStore, type Store } from './store.ts'
import { ServingMark } from './sole-server.ts'

/** A signal to a whole process group arrives twice: from its sender, and passed on by the launcher. */
const sameSignalMs = 1000
const storeCloseMs = 2000

/** A reason to read the configuration anew. */
interface Change {
  readonly why: string
  /** Who, for the audit log. */
  readonly by: string
  /** What is not fetched again: the output of commands, or that and the file's own text. Absent = all is. */
  readonly keep?: 'commands' | 'text'
}

export interface ServeOptions {
  readonly config?: string
  readonly listen?: string
  readonly watch?: boolean
  readonly data?: string
}

/** Runs until a signal ends it. @returns the exit code */
export async function runServe(options: ServeOptions): Promise<number> {
  try {
    const server = new Server(options)
    await server.start()
    return await server.stopped
  } catch (cause) {
    const expected = [ConfigProblems, StartFailure, StorageFailure]
    if (!(cause instanceof Error) || !expected.some((kind) => cause instanceof kind)) throw cause
    printError(
      cause instanceof ConfigProblems ? `${cause.format('headgate: ')}\n` : `headgate: ${cause.message}\n`,
    )
    return 1
  }
}

class Server {
  readonly stopped: Promise<number>
  #stop!: (code: number) => void
  #loaded!: LoadedConfig
  #log!: LogSwitch
  #gateway!: Gateway
  #store!: Store
  #prices!: PriceKeeper
  #redis: RedisStore | null = null
  #breakers: RedisBreakers | null = null
  readonly #mark = new ServingMark()
  #sandbox: Promise<Sandbox> | null = null
  #watch: FileWatch | null = null
  #reloading: Promise<unknown> = Promise.resolve()
  #adminToken: GeneratedToken | null = null
  #draining = false
  #drainingSinceMs = 0

  constructor(private readonly options: ServeOptions) {
    this.stopped = new Promise((resolve) => (this.#stop = resolve))
  }

  async start(): Promise<void> {
    const first = withFirstKey(await this.#load(this.options.config))
    this.#loaded = first.loaded
    const { config } = this.#loaded
    makeDataDirectory(config.storage.path)
    // The log first: a store may have something to say while it opens.
    this.#log = new LogSwitch(openLog(config.log, logIo()))
    this.#store = await openStore(
      config.storage,
      {
        event: (level, text) => this.#log.event(level, text),
        revoked: (keyId) => this.#revoked(keyId),
      },
      () => this.#loaded.config.meter,
    )
    const sandbox = () => this.#sandboxUpstream()
    try {
      this.#needAdminToken(config)
      const { keys, audit, ledger, idempotency } = this.#store
      this.#prices = new PriceKeeper(priceSettings(config), (level, text) => this.#log.event(level, text))
      this.#redis = await openRedis(config.storage, (...said) => this.#log.event(...said))
      const redis = this.#redis ?? undefined
      if (redis !== undefined) this.#breakers = await openBreakers(config.storage, redis)
      const reload = (by: string) => this.#reload({ why: 'POST /api/reload', by })
      const reports = new Reports(sourceBeside(this.#store.storage, config.storage.path), () =>
        ledger!.flush(),
      )
      const troubles = () => [
        ...this.#prices.troubles(),
        ...[ledger!.behind()].filter((text) => text !== null),
      ]
      const admin = {
        keys,
        audit,
        reports,
        reload,
        troubles,
        generatedToken: () => this.#adminToken?.digest ?? null,
      }
      this.#gateway = await Gateway.start(config, {
        clock: systemClock,
        log: this.#log,
        sandbox,
        keys,
        objects: this.#store.objects(config.access.objects.keep),
        admin,
        ledger: ledger!,
        idempotency,
        pricing: this.#pricing(),
        ...(redis === undefined ? {} : { redis, breakers: this.#breakers! }),
        spend: this.#store.spend,
      })
    } catch (cause) {
      await this.#log.close()
      this.#breakers?.close()
      await this.#redis?.close()
      await this.#store.close()
      await (await this.#sandbox)?.close()
      throw cause
    }
    this.#catchAll()
    // Before the first line is printed: whoever waits for it may send a signal at once.
    this.#listenToSignals()
    this.#watchFiles()
    const secrets = { clientKey: first.secret, adminToken: this.#adminToken?.fresh?.reveal() ?? null }
    printError(banner(this.#loaded, this.#gateway.addresses, secrets))
    for (const warning of this.#loaded.warnings) this.#log.event('warn', formatProblem(warning))
    const shared = this.#mark.take(config.storage.path)
    if (shared !== null) this.#log.event('warn', shared)
  }

  /** The prices in force, whichever they are by then. */
  #pricing(): Pricing {
    const keeper = this.#prices
    return {
      get version() {
        return keeper.current.version
      },
      price: (call) => keeper.current.price(call),
      worst: (call) => keeper.current.worstNanoUsd({ ...call, upstreams: null, serviceTier: null }),
    }
  }

  /** Loaded only where it is used: most gates never need it. It asks for a key, as OpenAI does; any will do. */
  async #sandboxUpstream() {
    const start = async () => (await import('../sandbox/sandbox.ts')).startSandbox()
    const { url } = await (this.#sandbox ??= start())
    return { baseUrl: new URL(url), keys: [{ value: new Secret('sandbox'), notAfter: null }] }
  }

  /** With `--watch` all that the configuration is made of, otherwise only the files that hold its secrets. */
  #watchFiles(): void {
    const all = this.options.watch === true
    const files = all ? this.#loaded.watched : this.#loaded.secretFiles
    const change: Change = all
      ? { why: 'a file changed', by: 'file', keep: 'commands' }
      : { why: 'a secret changed', by: 'file', keep: 'text' }
    try {
      if (this.#watch !== null) this.#watch.replace(files)
      else this.#watch = new FileWatch(files, () => void this.#reload(change))
    } catch (cause) {
      // Such as the system's bound on watches: not worth refusing to serve for.
      this.#log.event('warn', `files cannot be watched, so reload by SIGHUP: ${(cause as Error).message}`)
    }
  }

  async #load(file: string | undefined, keep?: Change['keep']): Promise<LoadedConfig> {
    const { listen, data } = this.options
    const commandsOf = keep === undefined ? undefined : this.#loaded
    const textOf = keep === 'text' ? this.#loaded : undefined
    const loaded = await loadConfig({ file, listen, data, commandsOf, textOf })
    const found = await verifyConfig(loaded)
    if (found.some(({ severity }) => severity === 'error')) throw new ConfigProblems(found)
    return { ...loaded, warnings: [...loaded.warnings, ...found] }
  }

  #revoked(keyId: string): void {
    if (this.#loaded.config.access.onRevoke !== 'abort') return
    const count = this.#gateway.running.cut(keyId)
    if (count > 0)
      this.#log.event('info', `the key ${keyId} was revoked: ${count} answers under way were cut`)
  }

  /** The last resort: a bug is logged, and the process goes on serving. */
  #catchAll(): void {
    process.on('uncaughtException', (cause) => this.#log.bug(cause))
    process.on('unhandledRejection', (cause) => this.#log.bug(cause))
  }

  #listenToSignals(): void {
    process.on('SIGHUP', () => {
      this.#log.reopen()
      void this.#reload({ why: 'SIGHUP', by: 'signal' })
    })
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        const nowMs = systemClock.nowMs()
        if (!this.#draining) {
          this.#drainingSinceMs = nowMs
          void this.#drain(signal)
        } else if (nowMs - this.#drainingSinceMs > sameSignalMs) {
          this.#end('stopped by a second signal, before all requests had ended')
        }
      })
    }
  }

  /** One after the other: two changes at once must not leave the older one in force. */
  #reload(change: Change): Promise<ReloadOutcome> {
    const reloading = this.#reloading.then(async () => {
      const outcome = this.#draining ? ({ kind: 'stopping' } as const) : await this.#reloadNow(change)
      await this.#noteReload(change, outcome)
      return outcome
    })
    this.#reloading = reloading
    return reloading
  }

  async #reloadNow({ why, keep }: Change): Promise<ReloadOutcome> {
    try {
      const loaded = withFirstKey(await this.#reread(keep), this.#loaded).loaded
      const before = this.#addresses()
      makeDataDirectory(loaded.config.storage.path)
      // Whatever can fail comes before anything that is in force is changed.
      const moved = !Bun.deepEquals(loaded.config.log, this.#loaded.config.log)
      const hadToken = this.#adminToken !== null
      this.#needAdminToken(loaded.config)
      // A secret that was replaced is needed at once, whatever the price file holds by now.
      const prices = keep === 'text' ? null : this.#prices.read(priceSettings(loaded.config))
      const log = moved ? openLog(loaded.config.log, logIo()) : null
      await this.#gateway.reload(loaded.config).catch(async (cause: unknown) => {
        await log?.close()
        throw cause
      })
      if (prices === null) this.#prices.reload(priceSettings(loaded.config))
      else this.#prices.use(prices)
      if (log !== null) this.#log.replace(log)
      if (!sameStore(loaded, this.#loaded))
        this.#log.event('warn', 'storage has changed: that takes effect at the next start')
      this.#loaded = loaded
      this.#watchFiles()
      for (const warning of loaded.warnings) this.#log.event('warn', formatProblem(warning))
      this.#log.event('info', `configuration reloaded: ${why}`)
      const now = this.#addresses()
      if (now !== before) this.#log.event('warn', `listening on ${now}, no longer on ${before}`)
      const fresh = hadToken ? null : (this.#adminToken?.fresh ?? null)
      // Not through the log, which would take it out again.
      if (fresh !== null) printError(`admin token, shown this once: ${fresh.reveal()}\n`)
      return { kind: 'reloaded', warnings: loaded.warnings }
    } catch (cause) {
      const known = cause instanceof ConfigProblems
      const text = known ? cause.format() : cause instanceof Error ? cause.message : String(cause)
      this.#log.event('error', `configuration not reloaded, the old one stays in force: ${text}`)
      return known ? { kind: 'invalid', problems: cause.problems } : { kind: 'failed', message: text }
    }
  }

  /** A reload stands in the audit log, whoever asked for it, but not one that found the gateway stopping. */
  async #noteReload({ why, by }: Change, outcome: ReloadOutcome): Promise<void> {
    if (outcome.kind === 'stopping') return
    const action = outcome.kind === 'reloaded' ? 'config.reload' : 'config.reload_failed'
    const details = { why, ...(outcome.kind === 'invalid' ? { problems: outcome.problems.length } : {}) }
    try {
      await this.#store.audit.add({ by, action, target: this.#loaded.file ?? '', details })
    } catch (cause) {
      this.#log.event('error', `the audit log cannot be written: ${(cause as Error).message}`)
    }
  }

  /** Made only where no token is configured, and before the admin port opens. @throws StartFailure */
  #needAdminToken({ admin }: Config): void {
    if (this.#adminToken !== null || admin.token !== undefined || admin.tokens.length > 0) return
    try {
      this.#adminToken = generatedToken(this.#loaded.config.storage.path)
    } catch (cause) {
      throw new StartFailure((cause as Error).message)
    }
  }

  /**
   * The configuration anew, from the file it came from: one that is gone, or empty, is somebody's slip or amid being
   * written. Taken for "no settings" it would open the gate and move its listeners.
   */
  async #reread(keep: Change['keep']): Promise<LoadedConfig> {
    const { file, empty } = this.#loaded
    const loaded = await this.#load(file ?? undefined, keep)
    if (!loaded.empty || empty) return loaded
    throw new Error(`${file} is empty`)
  }

  #addresses(): string {
    const { proxy, admin } = this.#gateway.addresses
    return [...proxy, admin].map((address) => formatListenAddress(address)).join(', ')
  }

  async #drain(signal: string): Promise<void> {
    this.#draining = true
    const drainMs = this.#loaded.config.server.timeouts.drain
    const waits = `up to ${Math.round(drainMs / 1000)} s for requests under way (${this.#gateway.exchanges} now)`
    this.#log.event('info', `${signal}: draining, ${waits}; a second ${signal} stops at once`)
    const timer = setTimeout(() => this.#end(`stopped after ${drainMs} ms of draining`), drainMs)
    await this.#gateway.drain()
    clearTimeout(timer)
    this.#end('drained: every request has ended')
  }

  #end(how: string): void {
    this.#watch?.close()
    this.#gateway.stop()
    this.#breakers?.close()
    this.#mark.release()
    this.#log.event('info', how)
    // A step later: what was read on without its client ends now, and has a row to write.
    void Promise.resolve()
      .then(() => this.#gateway.counted())
      .then(() => Promise.all([closeStore(this.#store), this.#redis?.close()]))
      .then(() => this.#log.close())
      .finally(() => this.#stop(0))
  }
}

function sameStore(
  { config: { storage: a } }: LoadedConfig,
  { config: { storage: b } }: LoadedConfig,
): boolean {
  const same = (left?: Secret, right?: Secret): boolean => left?.reveal() === right?.reveal()
  const urls = (list: readonly Secret[] = []): string => list.map((url) => url.reveal()).join(' ')
  const sameRedis = urls(a.redis) === urls(b.redis)
  return a.path === b.path && same(a.postgres, b.postgres) && same(a.pepper, b.pepper) && sameRedis
}

/** A store that is away must not keep the process from ending. Never rejects. */
async function closeStore(store: Store): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, storeCloseMs)))
  await Promise.race([store.close().catch(() => {}), late])
  clearTimeout(timer)
}

function logIo() {
  return {
    clock: systemClock,
    stdout: { fd: 1, isTty: isatty(1) },
    stderr: { isTty: isatty(2), write: (text: string) => printError(text) },
    colour: !colourUnwanted(),
  }
}

function makeDataDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new StartFailure(`cannot create the data directory ${path}: ${(cause as Error).message}`)
  }
}
