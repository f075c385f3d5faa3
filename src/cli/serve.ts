// `headgate serve`: starts everything or nothing, says where it stands, reloads on SIGHUP or when a file changes, and
// drains on SIGTERM. What a request or a broken dependency throws never ends the process.

import { mkdirSync } from 'node:fs'
import { systemClock } from '../base/clock.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { ConfigProblems, formatProblem } from '../config/problem.ts'
import { Gateway, StartFailure } from '../gateway.ts'
import { startSandbox, type Sandbox } from '../sandbox/sandbox.ts'
import { createLog, type LogStage } from '../stages/9-log/log.ts'
import { banner } from './banner.ts'
import { withFirstKey } from './first-key.ts'
import { FileWatch } from './file-watch.ts'

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
    process.stderr.write(`headgate: ${cause instanceof ConfigProblems ? cause.format() : cause.message}\n`)
    return 1
  }
}

class Server {
  readonly stopped: Promise<number>
  #stop!: (code: number) => void
  #loaded!: LoadedConfig
  #log!: LogStage
  #gateway!: Gateway
  #sandbox: Promise<Sandbox> | null = null
  #watch: FileWatch | null = null
  #reloading: Promise<void> = Promise.resolve()
  #draining = false

  constructor(private readonly options: ServeOptions) {
    this.stopped = new Promise((resolve) => (this.#stop = resolve))
  }

  async start(): Promise<void> {
    const first = withFirstKey(await loadConfig(this.options))
    this.#loaded = first.loaded
    const { config } = this.#loaded
    makeDataDirectory(config.storage.path)
    this.#log = createLog(config.log, systemClock)
    const sandbox = async () => (await (this.#sandbox ??= startSandbox())).url
    try {
      this.#gateway = await Gateway.start(config, { clock: systemClock, log: this.#log, sandbox })
    } catch (cause) {
      this.#log.close()
      await (await this.#sandbox)?.close()
      throw cause
    }
    this.#catchAll()
    this.#listenToSignals()
    if (this.options.watch === true) this.#watch = new FileWatch(this.#loaded.watched, () => this.#reload('a file changed'))
    process.stderr.write(banner(this.#loaded, { ...this.#gateway.addresses, secret: first.secret }))
    for (const warning of this.#loaded.warnings) this.#log.event('warn', formatProblem(warning))
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
        // A second signal means: now.
        if (this.#draining) this.#end('stopped before all requests had ended')
        else void this.#drain(signal)
      })
    }
  }

  /** One after the other: two changes at once must not leave the older one in force. */
  #reload(why: string): void {
    this.#reloading = this.#reloading.then(async () => {
      try {
        const loaded = withFirstKey(await loadConfig(this.options), this.#loaded).loaded
        await this.#gateway.reload(loaded.config)
        this.#loaded = loaded
        this.#watch?.replace(loaded.watched)
        for (const warning of loaded.warnings) this.#log.event('warn', formatProblem(warning))
        this.#log.event('info', `configuration reloaded: ${why}`)
      } catch (cause) {
        const text = cause instanceof ConfigProblems ? cause.format() : cause instanceof Error ? cause.message : String(cause)
        this.#log.event('error', `configuration not reloaded, the old one stays in force: ${text}`)
      }
    })
  }

  async #drain(signal: string): Promise<void> {
    this.#draining = true
    const drainMs = this.#loaded.config.server.timeouts.drain
    this.#log.event('info', `${signal}: draining, ${this.#gateway.exchanges} requests under way`)
    const timer = setTimeout(() => this.#end(`stopped after ${drainMs} ms of draining`), drainMs)
    await this.#gateway.drain()
    clearTimeout(timer)
    this.#end('drained: every request has ended')
  }

  #end(how: string): void {
    this.#watch?.close()
    this.#gateway.stop()
    this.#log.event('info', how)
    this.#log.close()
    this.#stop(0)
  }
}

function makeDataDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new StartFailure(`cannot create the data directory ${path}: ${(cause as Error).message}`)
  }
}
