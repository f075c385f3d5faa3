// Redis as the cache uses it: values with an end, and one hash of purges that all gateways follow. Nobody waits for it longer
// than a few milliseconds: an answer that does not come in time counts as none, and a Redis that keeps failing is left
// alone for a second. A connection of its own, since a large value must not hold up the counters of limits.

import { Cluster, Redis } from 'ioredis'
import type { Clock } from '../base/clock.ts'
import { whenOver } from '../base/within.ts'
import type { Secret } from '../base/secret.ts'

/** As much of Redis as the cache needs. Nothing here rejects. */
export interface CacheRedis {
  /** Null also where there is no answer in time. */
  get(name: Uint8Array): Promise<Uint8Array | null>
  set(name: Uint8Array, value: Uint8Array, ttlMs: number): void
  /** False where it cannot be said for sure. */
  remove(name: Uint8Array): Promise<boolean>
  /** Sets a lease unless there is one; null where there is no answer in time. */
  lease(name: Uint8Array, token: string, ttlMs: number): Promise<boolean | null>
  /** Ends a lease that is still that of `token`. */
  endLease(name: Uint8Array, token: string): void
  /** Keeps a purge. False where it could not be kept. */
  addPurge(field: string, atMs: number): Promise<boolean>
  /** All purges; null where they cannot be read. */
  purges(): Promise<Readonly<Record<string, string>> | null>
  /** Why it is left alone; null = it answers. */
  trouble(): string | null
  close(): void
}

/** Longest wait for one value; what is slower is a miss. */
const waitMs = 18
const leaveAloneMs = 1000
const failuresMax = 3
const controlWaitMs = 2000
const purgesKey = 'headgate:cache:purges'
const purgesForMs = 400 * 86_400_000
const purgesMax = 1000
const endLeaseLua =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

/** Connects in the background. Several URLs = nodes of a cluster. */
export function openRedisCache(urls: readonly Secret[], clock: Clock): CacheRedis {
  const options = {
    enableOfflineQueue: false,
    connectTimeout: 2000,
    maxRetriesPerRequest: 0,
    retryStrategy: (times: number) => Math.min(50 * times, 1000),
  }
  const texts = urls.map((url) => url.reveal())
  const client =
    texts.length === 1
      ? new Redis(texts[0]!, options)
      : new Cluster(texts, { redisOptions: options, enableOfflineQueue: false })
  return new IoredisCache(client, clock)
}

class IoredisCache implements CacheRedis {
  #failures = 0
  #aloneUntilMs = 0
  #reason: string | null = 'no connection yet'

  constructor(
    private readonly client: Redis | Cluster,
    private readonly clock: Clock,
  ) {
    // Without a listener an error would end the process.
    client.on('error', (cause: Error) => (this.#reason = cause.message))
    client.on('ready', () => this.#well())
  }

  async get(name: Uint8Array): Promise<Uint8Array | null> {
    if (this.#alone()) return null
    return this.#within(waitMs, this.client.getBuffer(keyOf(name)), null)
  }

  set(name: Uint8Array, value: Uint8Array, ttlMs: number): void {
    if (this.#alone() || ttlMs < 1) return
    this.client
      .set(keyOf(name), Buffer.from(value), 'PX', Math.ceil(ttlMs))
      .catch((cause: Error) => this.#failed(cause.message))
  }

  async remove(name: Uint8Array): Promise<boolean> {
    const removed = this.client.del(keyOf(name)).then(() => true)
    return this.#within(controlWaitMs, removed, false)
  }

  async lease(name: Uint8Array, token: string, ttlMs: number): Promise<boolean | null> {
    if (this.#alone()) return null
    const set = this.client.set(leaseOf(name), token, 'PX', Math.ceil(ttlMs), 'NX')
    return this.#within<boolean | null>(
      waitMs,
      set.then((answer) => answer === 'OK'),
      null,
    )
  }

  endLease(name: Uint8Array, token: string): void {
    if (this.#alone()) return
    this.client
      .eval(endLeaseLua, 1, leaseOf(name), token)
      .catch((cause: Error) => this.#failed(cause.message))
  }

  async addPurge(field: string, atMs: number): Promise<boolean> {
    return this.#within(controlWaitMs, this.#keepPurge(field, atMs), false)
  }

  async #keepPurge(field: string, atMs: number): Promise<true> {
    // Too many to look through: what is older than now is gone altogether.
    const many = (await this.client.hlen(purgesKey)) >= purgesMax
    if (many) await this.client.del(purgesKey)
    await this.client.hset(purgesKey, many ? 'all:' : field, String(atMs))
    await this.client.pexpire(purgesKey, purgesForMs)
    return true
  }

  async purges(): Promise<Readonly<Record<string, string>> | null> {
    return this.#within(controlWaitMs, this.client.hgetall(purgesKey), null)
  }

  trouble(): string | null {
    return this.#reason
  }

  close(): void {
    this.client.disconnect()
  }

  #alone(): boolean {
    return this.client.status !== 'ready' || this.clock.nowMs() < this.#aloneUntilMs
  }

  #well(): void {
    this.#failures = 0
    this.#reason = null
  }

  #failed(reason: string): void {
    this.#reason = reason
    if (++this.#failures < failuresMax) return
    this.#failures = 0
    this.#aloneUntilMs = this.clock.nowMs() + leaveAloneMs
  }

  #within<T>(ms: number, asked: Promise<T>, otherwise: T): Promise<T> {
    return new Promise((resolve) => {
      const answered = whenOver(ms, () => {
        this.#failed('no answer in time')
        resolve(otherwise)
      })
      asked.then(
        (answer) => {
          answered()
          this.#well()
          resolve(answer)
        },
        (cause: Error) => {
          answered()
          this.#failed(cause.message)
          resolve(otherwise)
        },
      )
    })
  }
}

function leaseOf(name: Uint8Array): string {
  return `headgate:cache-lease:${Buffer.from(name).toString('base64url')}`
}

function keyOf(name: Uint8Array): string {
  return `headgate:cache:${Buffer.from(name).toString('base64url')}`
}
