// Redis as gateways share it: opened once, used by whoever keeps something there. What a request asks of it has a bounded
// wait, and nobody waits for a Redis that is known to be away: the first question that gets no answer in time marks it
// so, and a probe in the background finds out when it is back. An answer that comes too late is handed to whoever asked,
// to undo what nobody waited for.

import { Cluster, Redis } from 'ioredis'
import type { Clock } from '../base/clock.ts'
import { whenOver } from '../base/within.ts'
import type { Secret } from '../base/secret.ts'

/** Redis did not answer in time, or cannot be reached. */
export class RedisAway extends Error {}

/** A Lua script, with keys that are all in one hash slot. */
export interface Script {
  readonly name: string
  readonly lua: string
}

/** One run of a script. */
export interface ScriptCall {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: readonly (string | number)[]
  /** Called with an answer that came after the wait was over. */
  readonly late?: (answer: unknown) => void
  /** In place of the usual wait, where no request waits for the answer. */
  readonly waitMs?: number
}

export interface RedisSettings {
  /** `redis://` or `rediss://` URLs; several = nodes of a cluster. */
  readonly urls: readonly Secret[]
  readonly clock: Clock
  readonly event: (level: 'info' | 'warn', text: string) => void
  /** Longest wait for one answer. */
  readonly waitMs?: number
}

/** What a request may be held up for in all, less what a late timer takes. */
const defaultWaitMs = 12
const probeMs = 100
/** A connection that says nothing for so long is made anew. */
const deadMs = 5000
/** Asked for by probes: in a cluster another node's answer says nothing of the one that keeps what is shared. */
const probedKey = '{headgate}'
const reconnectMaxMs = 1000
const saidEveryMs = 5000

export class RedisStore {
  readonly #client: Redis | Cluster
  readonly #defined = new Set<string>()
  #up = false
  /** Whether its absence stands in the log. */
  #told = false
  #saidAtMs = -Infinity
  #closed = false
  #probe: ReturnType<typeof setTimeout> | null = null
  #probedAtMs = -1
  #lastReason = 'no connection yet'

  constructor(private readonly settings: RedisSettings) {
    const urls = settings.urls.map((url) => url.reveal())
    const options = {
      enableOfflineQueue: false,
      lazyConnect: true,
      connectTimeout: 2000,
      maxRetriesPerRequest: 0,
      enableAutoPipelining: false,
      retryStrategy: (times: number) => Math.min(50 * times, reconnectMaxMs),
    }
    this.#client =
      urls.length === 1
        ? new Redis(urls[0]!, options)
        : new Cluster(urls, {
            redisOptions: options,
            enableOfflineQueue: false,
            lazyConnect: true,
            clusterRetryStrategy: options.retryStrategy,
          })
    // Without a listener an error would end the process; what it means shows in the probes.
    this.#client.on('error', (cause: Error) => (this.#lastReason = cause.message))
    this.#client.on('close', () => this.#away('the connection broke'))
  }

  /** Whether it is worth asking. */
  get up(): boolean {
    return this.#up
  }

  /** Connects, and waits for the first answer as long as given. A Redis that is away is no reason not to start. */
  async open(waitMs: number): Promise<void> {
    void this.#client.connect().catch(() => {})
    const endsAtMs = this.settings.clock.nowMs() + waitMs
    this.#schedule(0)
    while (!this.#up && this.settings.clock.nowMs() < endsAtMs) await Bun.sleep(5)
    this.#told = !this.#up
    if (this.#told)
      this.settings.event('warn', `Redis is away (${this.#lastReason}): storage.whenRedisDown holds`)
  }

  /** Runs a script. @throws RedisAway where there is no answer in time; it may have run then */
  run(call: ScriptCall): Promise<unknown> {
    if (!this.#up) return Promise.reject(new RedisAway(this.#lastReason))
    return new Promise((resolve, reject) => {
      let waiting = true
      const answered = whenOver(call.waitMs ?? this.settings.waitMs ?? defaultWaitMs, () => {
        waiting = false
        this.#away('no answer in time')
        reject(new RedisAway('no answer in time'))
      })
      this.#send(call).then(
        (answer) => {
          answered()
          if (waiting) resolve(answer)
          else call.late?.(answer)
        },
        (cause: unknown) => {
          answered()
          if (!waiting) return
          const why = (cause as Error).message
          // What Redis itself refuses, such as a full memory, is not helped by asking again either.
          this.#away(why)
          reject(new RedisAway(why))
        },
      )
    })
  }

  /** Runs a script that nobody waits for. Never throws. */
  tell(call: ScriptCall): void {
    if (!this.#up) return
    this.#send(call).catch((cause: unknown) => this.#away((cause as Error).message))
  }

  /** Sends what is on its way, then ends the connection. */
  async close(): Promise<void> {
    this.#closed = true
    this.#up = false
    if (this.#probe !== null) clearTimeout(this.#probe)
    const quit = this.#client.quit().catch(() => {})
    await Promise.race([quit, Bun.sleep(200)])
    this.#client.disconnect()
  }

  #send({ script, keys, args }: ScriptCall): Promise<unknown> {
    if (!this.#defined.has(script.name)) {
      this.#client.defineCommand(script.name, { lua: script.lua })
      this.#defined.add(script.name)
    }
    const command = (this.#client as unknown as Record<string, (...words: unknown[]) => Promise<unknown>>)[
      script.name
    ]!
    return command.call(this.#client, keys.length, ...keys, ...args)
  }

  #away(why: string): void {
    this.#lastReason = why
    if (!this.#up) return
    this.#up = false
    if (this.#closed) return
    // One that comes and goes is not worth a line each time.
    const nowMs = this.settings.clock.nowMs()
    if (nowMs - this.#saidAtMs > saidEveryMs) {
      this.#saidAtMs = nowMs
      this.#told = true
      this.settings.event('warn', `Redis is away (${why}): storage.whenRedisDown holds`)
    }
    this.#schedule(probeMs)
  }

  #schedule(ms: number): void {
    if (this.#closed) return
    if (this.#probe !== null) clearTimeout(this.#probe)
    this.#probe = setTimeout(() => this.#ask(), ms)
    this.#probe.unref()
  }

  /** Asks whether it is back; one question at a time. */
  #ask(): void {
    this.#probe = null
    if (this.#closed || this.#up) return
    const { clock } = this.settings
    if (this.#probedAtMs >= 0) {
      if (clock.nowMs() - this.#probedAtMs > deadMs) {
        this.#probedAtMs = -1
        this.#reconnect()
      }
      return this.#schedule(probeMs)
    }
    const askedAtMs = clock.nowMs()
    this.#probedAtMs = askedAtMs
    this.#client.exists(probedKey).then(
      () => {
        if (this.#probedAtMs !== askedAtMs) return
        this.#probedAtMs = -1
        // An answer that took longer than a request would wait is no reason to ask it again.
        if (clock.nowMs() - askedAtMs <= (this.settings.waitMs ?? defaultWaitMs)) this.#back()
        else this.#schedule(probeMs)
      },
      (cause: unknown) => {
        if (this.#probedAtMs !== askedAtMs) return
        this.#probedAtMs = -1
        this.#lastReason = (cause as Error).message
        this.#schedule(probeMs)
      },
    )
    this.#schedule(probeMs)
  }

  #reconnect(): void {
    if (this.#client instanceof Redis) this.#client.disconnect(true)
    else {
      this.#client.disconnect()
      void this.#client.connect().catch(() => {})
    }
  }

  #back(): void {
    if (this.#closed) return
    this.#up = true
    if (this.#told) this.settings.event('info', 'Redis answers again')
    this.#told = false
  }
}
