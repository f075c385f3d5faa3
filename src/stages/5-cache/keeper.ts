// What the cache keeps from one configuration to the next: the stores, and the answers under way. A reload that changes how
// much is kept changes the bounds; only another place makes a store anew.

import type { Clock } from '../../base/clock.ts'
import type { Secret } from '../../base/secret.ts'
import type { SeenRequest } from '../../storage/cache-seen.ts'
import { DiskStore } from './disk.ts'
import type { Leases } from './lease.ts'
import { MemoryStore } from './memory.ts'
import type { CacheOptions } from './options.ts'
import { RedisCacheStore } from './redis.ts'
import { noSeal, sealWith } from './sealed.ts'
import { Tiers, type LowerStore } from './tiers.ts'

/** Where answers are kept. */
export interface KeeperSettings {
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly inactiveMs: number
  /** The data directory. */
  readonly folder: string
  readonly key: Secret | null
  /** Empty = none. */
  readonly redis: readonly Secret[]
}

/** Clocks of gateways that share a Redis may be apart by this much. */
const redisSkewMs = 1000

export class CacheKeeper {
  readonly tiers: Tiers
  readonly #memory: MemoryStore
  #disk: DiskStore | null = null
  #redis: RedisCacheStore | null = null
  #place = ''

  constructor(
    private readonly clock: Clock,
    private readonly tell: (message: string) => void,
  ) {
    this.#memory = new MemoryStore(0, clock)
    this.tiers = new Tiers(this.#memory, [])
  }

  /** Puts settings in force; null = nothing is kept. */
  configure(settings: KeeperSettings | null): void {
    this.#memory.resize(settings?.memoryBytes ?? 0)
    const place = settings === null ? '' : placeOf(settings)
    if (place !== this.#place) {
      this.close()
      this.#place = place
      if (settings !== null) this.#open(settings)
    } else if (settings !== null) this.#disk?.configure(diskOptions(settings))
  }

  /** What is shared with other gateways; null = nothing is. */
  get leases(): Leases | null {
    return this.#redis
  }

  /** Whether `see` is to be told of a request, by its digest. */
  watches(key: string): boolean {
    return this.#disk?.watches(key) ?? false
  }

  /** Counts a request that came a moment ago already, and was served alike; false = it did not, and `see` is to be told. */
  seesAgain(key: string, status: string): boolean {
    return this.#disk?.seesAgain(key, status) ?? false
  }

  /** Keeps what `cache simulate` reads. */
  see(key: string, request: Omit<SeenRequest, 'weight' | 'repeats'>): void {
    this.#disk?.see(key, request)
  }

  /** Writes what waits and lets go of files and connections. */
  close(): void {
    this.#disk?.close()
    this.#redis?.close()
    this.#disk = null
    this.#redis = null
    this.#place = ''
    this.tiers.lower = []
  }

  #open(settings: KeeperSettings): void {
    const { clock, tell, tiers } = this
    const seal = settings.key === null ? noSeal : sealWith(settings.key)
    const purged = tiers.learn.bind(tiers)
    const lower: LowerStore[] = []
    const disk = new DiskStore(diskOptions(settings), { clock, seal, tell, purged })
    this.#disk = disk
    lower.push({ store: disk, skewMs: 0, use: (key) => disk.use(key) })
    if (settings.redis.length > 0) {
      // Loaded only where it is used, and at once: stages are built without waiting.
      const { openRedisCache } =
        require('../../storage/redis-cache.ts') as typeof import('../../storage/redis-cache.ts')
      this.#redis = new RedisCacheStore(openRedisCache(settings.redis, clock), { clock, seal, purged })
      lower.push({ store: this.#redis, skewMs: redisSkewMs, use: null })
    }
    tiers.lower = lower
  }
}

/** What settings come to: with the mode off, nothing is kept but what is recorded. */
export function keptWhere(
  { mode, store }: CacheOptions,
  place: Pick<KeeperSettings, 'folder' | 'key' | 'redis'>,
): KeeperSettings {
  const on = mode === 'exact'
  return {
    ...place,
    redis: on && store.redis ? place.redis : [],
    memoryBytes: on ? store.memory : 0,
    diskBytes: on ? store.disk : 0,
    inactiveMs: store.inactive,
  }
}

function diskOptions({ folder, diskBytes, inactiveMs }: KeeperSettings) {
  return { folder, bytesMax: diskBytes, inactiveMs }
}

function placeOf({ folder, key, redis }: KeeperSettings): string {
  return JSON.stringify([folder, key?.reveal() ?? '', ...redis.map((url) => url.reveal())])
}
