// The key set of one issuer, kept up to date from its URL. It is fetched at the start, then once an interval, and sooner
// only where a token names a key that is not known, which may happen once an interval too: whatever tokens are thrown at
// it, the issuer sees no more. While the issuer is away the last good set is used, up to a bound; retries come at growing
// distances and need no request to happen.

import type { Clock } from '../../base/clock.ts'
import { formatDuration } from '../../base/duration.ts'
import { readKeySet, type KeySet } from './jwt-key-set.ts'

/** Requests that may wait for one fetch; more are refused at once. */
const waitingMax = 1_000
const retryMinMs = 1_000
const retryMaxMs = 60_000

/** Tells the operator of the gateway itself. */
export type Tell = (level: 'info' | 'warn' | 'error', message: string) => void

export interface RemoteKeysOptions {
  /** Where the keys come from, for messages: no credentials in it. */
  readonly name: string
  /** How long a set is used before it is fetched anew, ms. */
  readonly refresh: number
  /** How much longer it is used where that fails, ms. */
  readonly stale: number
}

export interface RemoteKeysParts {
  readonly clock: Clock
  readonly tell: Tell
  readonly fetch: () => Promise<Uint8Array>
}

export class RemoteKeys {
  #set: KeySet | null = null
  /** Monotonic. */
  #fetchedAtMs = -Infinity
  #askedForAtMs = -Infinity
  #trouble: string | null = 'its keys are being fetched'
  #told: string | null = null
  #aside = ''
  #failures = 0
  #fetching: Promise<void> | null = null
  #waiting = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(
    private options: RemoteKeysOptions,
    private readonly parts: RemoteKeysParts,
  ) {}

  /** Fetches now, and from now on. */
  start(): void {
    this.#fetching ??= this.#fetch()
  }

  /** Other intervals from now on. */
  reconfigure(options: RemoteKeysOptions): void {
    const sooner = options.refresh < this.options.refresh
    this.options = options
    // The next fetch may be a day away, as the old interval had it.
    if (sooner) this.start()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** The keys to check with; null where there are none, or none that may still be used. */
  get set(): KeySet | null {
    return this.usable() ? this.#set : null
  }

  usable(): boolean {
    return this.parts.clock.nowMs() - this.#fetchedAtMs < this.options.refresh + this.options.stale
  }

  /** Why no token of this issuer counts, or why its keys may be behind; null where all is well. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** For a token whose key is not known: resolves, never rejects, when newer keys are here. Null: none will come. */
  newer(): Promise<void> | null {
    if (this.#fetching === null) {
      const nowMs = this.parts.clock.nowMs()
      if (nowMs - this.#askedForAtMs < this.options.refresh) return null
      this.#askedForAtMs = nowMs
      this.start()
    }
    if (this.#waiting >= waitingMax) return null
    this.#waiting++
    return this.#fetching!.finally(() => void this.#waiting--)
  }

  async #fetch(): Promise<void> {
    clearTimeout(this.#timer)
    let wrong: string | null = null
    try {
      const bytes = await this.parts.fetch().catch((cause: unknown) => {
        throw new Error(`cannot be fetched: ${(cause as Error).message}`)
      })
      this.#take(bytes)
    } catch (cause) {
      wrong = (cause as Error).message
    }
    this.#fetching = null
    this.#note(wrong)
    if (!this.#closed) this.#timer = later(this.#pauseMs(), () => this.start())
  }

  #take(bytes: Uint8Array): void {
    try {
      const set = readKeySet(bytes, this.#set)
      const aside = set.leftAside.slice(0, 5).join('; ')
      if (aside !== '' && aside !== this.#aside)
        this.parts.tell('warn', `Keys of tokens at ${this.options.name}: some are left aside: ${aside}`)
      this.#aside = aside
      this.#set = set
    } catch (cause) {
      throw new Error(`cannot be used: ${(cause as Error).message}`)
    }
    this.#fetchedAtMs = this.parts.clock.nowMs()
  }

  #note(wrong: string | null): void {
    this.#failures = wrong === null ? 0 : this.#failures + 1
    this.#trouble = wrong === null ? null : `its keys at ${this.options.name} ${wrong}`
    if (wrong === this.#told) return
    this.#told = wrong
    const keys = `Keys of tokens at ${this.options.name}`
    if (wrong === null) return this.parts.tell('info', `${keys}: fetched again, all is well`)
    const { refresh, stale } = this.options
    const meanwhile = this.usable()
      ? `The last good ones are used, for ${formatDuration(refresh + stale)} at most from when they were fetched.`
      : 'Until they are there, tokens of this issuer are refused.'
    this.parts.tell('warn', `${keys}: ${wrong}. ${meanwhile}`)
  }

  #pauseMs(): number {
    const retryMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#failures - 1, 10))
    return this.#failures === 0 ? this.options.refresh : Math.min(this.options.refresh, retryMs)
  }
}

/** A timer that keeps no process alive. */
function later(ms: number, act: () => void): ReturnType<typeof setTimeout> {
  const timer = setTimeout(act, ms)
  timer.unref()
  return timer
}
