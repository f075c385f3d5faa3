// `headgate serve`: starts everything or nothing, says where it stands, reloads on SIGHUP or when a file changes, and
// drains on SIGTERM. What a request or a broken dependency throws never ends the process.

import { mkdirSync } from 'node:fs'
import { isatty } from 'node:tty'
import { systemClock } from '../base/clock.ts'
import { Secret } from '../base/secret.ts'
import { colourUnwanted } from '../config/env.ts'
import { formatListenAddress } from '../config/listen-address.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { ConfigProblems, formatProblem } from '../config/problem.ts'
import { verifyConfig } from '../config/verify.ts'
import { Gateway, openLog } from '../gateway.ts'
import { StartFailure } from '../listeners.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { banner } from './banner.ts'
import { withFirstKey } from './first-key.ts'
import { FileWatch } from './file-watch.ts'
import { LogSwitch } from './log-switch.ts'
import { printError } from './print.ts'

/** A signal to a whole process group arrives twice: from its sender, and passed on by the launcher. */
const sameSignalMs = 1000

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
    if (!(cause instanceof ConfigProblems) && !(cause instanceof StartFailure)) throw cause
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
  #sandbox: Promise<Sandbox> | null = null
  #watch: FileWatch | null = null
  #reloading: Promise<void> = Promise.resolve()
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
    this.#log = new LogSwitch(openLog(config.log, logIo()))
    const sandbox = () => this.#sandboxUpstream()
    try {
      this.#gateway = await Gateway.start(config, { clock: systemClock, log: this.#log, sandbox })
    } catch (cause) {
      await this.#log.close()
      await (await this.#sandbox)?.close()
      throw cause
    }
    this.#catchAll()
    // Before the first line is printed: whoever waits for it may send a signal at once.
    this.#listenToSignals()
    if (this.options.watch === true)
      this.#watch = new FileWatch(this.#loaded.watched, () => this.#reload('a file changed'))
    printError(banner(this.#loaded, this.#gateway.addresses, first.secret))
    for (const warning of this.#loaded.warnings) this.#log.event('warn', formatProblem(warning))
  }

  /** Loaded only where it is used: most gates never need it. It asks for a key, as OpenAI does; any will do. */
  async #sandboxUpstream() {
    const start = async () => (await import('../sandbox/sandbox.ts')).startSandbox()
    const { url } = await (this.#sandbox ??= start())
    return { baseUrl: new URL(url), keys: [{ value: new Secret('sandbox'), notAfter: null }] }
  }

  async #load(file: string | undefined): Promise<LoadedConfig> {
    const { listen, data } = this.options
    const loaded = await loadConfig({ file, listen, data })
    const found = await verifyConfig(loaded)
    if (found.some(({ severity }) => severity === 'error')) throw new ConfigProblems(found)
    return { ...loaded, warnings: [...loaded.warnings, ...found] }
  }

  /** The last resort: a bug is logged, and the process goes on serving. */
  #catchAll(): void {
    process.on('uncaughtException', (cause) => this.#log.bug(cause))
    process.on('unhandledRejection', (cause) => this.#log.bug(cause))
  }

  #listenToSignals(): void {
    process.on('SIGHUP', () => {
      this.#log.reopen()
      this.#reload('SIGHUP')
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
  #reload(why: string): void {
    this.#reloading = this.#reloading.then(async () => {
      try {
        await this.#apply(withFirstKey(await this.#reread(), this.#loaded).loaded)
        this.#log.event('info', `configuration reloaded: ${why}`)
      } catch (cause) {
        const text = cause instanceof ConfigProblems ? cause.format() : (cause as Error).message
        this.#log.event('error', `configuration not reloaded, the old one stays in force: ${text}`)
      }
    })
  }

  /**
   * The configuration anew, from the file it came from: one that is gone, or empty, is somebody's slip or amid being
   * written. Taken for "no settings" it would open the gate and move its listeners.
   */
  async #reread(): Promise<LoadedConfig> {
    const loaded = await this.#load(this.#loaded.file ?? undefined)
    if (!loaded.empty || this.#loaded.empty) return loaded
    throw new Error(`${loaded.file} is empty`)
  }

  /** Puts a configuration in force. Whatever can fail comes before anything that is in force is changed. */
  async #apply(loaded: LoadedConfig): Promise<void> {
    const before = this.#addresses()
    makeDataDirectory(loaded.config.storage.path)
    const moved = !Bun.deepEquals(loaded.config.log, this.#loaded.config.log)
    const log = moved ? openLog(loaded.config.log, logIo()) : null
    await this.#gateway.reload(loaded.config).catch(async (cause: unknown) => {
      await log?.close()
      throw cause
    })
    if (log !== null) this.#log.replace(log)
    this.#loaded = loaded
    this.#watch?.replace(loaded.watched)
    for (const warning of loaded.warnings) this.#log.event('warn', formatProblem(warning))
    const now = this.#addresses()
    if (now !== before) this.#log.event('warn', `listening on ${now}, no longer on ${before}`)
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
    this.#log.event('info', how)
    void this.#log.close().finally(() => this.#stop(0))
  }
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
