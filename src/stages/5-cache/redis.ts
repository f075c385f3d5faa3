// Answers in Redis, shared by all gateways that use it. A value carries its end, is compressed above 4 KB, and is encrypted
// like those on disk. Purges are a hash of marks: each gateway reads it every second, and holds whatever it finds
// against it, so that a purge costs the same for one answer and for a million.

import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import type { CacheRedis } from '../../storage/redis-cache.ts'
import type { Entry } from './entry.ts'
import { packEntry, unpackEntry } from './pack.ts'
import type { Leases, Taken } from './lease.ts'
import type { Seal } from './sealed.ts'
import type { PurgeMark, Store, StoreStats } from './store.ts'

const compressedFrom = 4 * 1024
/** A value that unpacks to more than this was not written by us. */
const unpackedMax = 128 * 1024 * 1024
const plainMark = 0
const zstdMark = 1
const readPurgesEveryMs = 1000

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** What a Redis store works with. */
export interface RedisParts {
  readonly clock: Clock
  readonly seal: Seal
  /** A purge that some gateway asked for. */
  readonly purged: (mark: PurgeMark, atMs: number) => void
}

export class RedisCacheStore implements Store, Leases {
  readonly #ticker: ReturnType<typeof setInterval>
  readonly #known = new Map<string, string>()
  /** Answers that are being made ready to be written, by key. */
  readonly #writing = new Map<string, Promise<void>>()

  constructor(
    private readonly redis: CacheRedis,
    private readonly parts: RedisParts,
  ) {
    this.#ticker = setInterval(() => void this.#readPurges(), readPurgesEveryMs)
    this.#ticker.unref()
  }

  async get(key: string): Promise<Entry | null> {
    const { seal } = this.parts
    const name = seal.name(key)
    const value = await this.redis.get(name)
    if (value === null) return null
    try {
      const opened = seal.open(name, value)
      if (opened === null || opened.length < 2) return null
      const packed = opened.subarray(1)
      return unpackEntry(
        key,
        opened[0] === zstdMark ? await decompress(packed, { maxOutputLength: unpackedMax }) : packed,
      )
    } catch {
      return null
    }
  }

  put(entry: Entry): void {
    const written = this.#write(entry).finally(() => {
      if (this.#writing.get(entry.key) === written) this.#writing.delete(entry.key)
    })
    this.#writing.set(entry.key, written)
  }

  async take(key: string, token: string, ttlMs: number): Promise<Taken> {
    const taken = await this.redis.lease(this.parts.seal.name(key), token, ttlMs)
    return taken === null ? 'unknown' : taken ? 'taken' : 'held'
  }

  release(key: string, token: string): void {
    const end = (): void => this.redis.endLease(this.parts.seal.name(key), token)
    // Behind the answer: whoever sees the lease gone must find it.
    const writing = this.#writing.get(key)
    if (writing === undefined) end()
    else void writing.then(end)
  }

  async purge(mark: PurgeMark): Promise<number> {
    const atMs = this.parts.clock.wallMs()
    const field = fieldOf(mark)
    const kept = await this.redis.addPurge(field, atMs)
    if (!kept) throw new RedisPurgeFailed()
    this.#known.set(field, String(atMs))
    if (mark.by === 'key') await this.redis.remove(this.parts.seal.name(mark.value))
    return 0
  }

  stats(): StoreStats {
    return { store: 'redis', entries: null, bytes: null, bytesMax: null, trouble: this.redis.trouble() }
  }

  close(): void {
    clearInterval(this.#ticker)
    this.redis.close()
  }

  async #write(entry: Entry): Promise<void> {
    const { seal, clock } = this.parts
    try {
      const packed = packEntry(entry)
      const small = packed.length > compressedFrom ? await compress(packed) : packed
      const mark = small === packed ? plainMark : zstdMark
      const name = seal.name(entry.key)
      const value = seal.close(name, Buffer.concat([Buffer.from([mark]), small]))
      this.redis.set(name, value, entry.facts.keptUntilMs - clock.wallMs())
    } catch {
      // Not kept: a miss later.
    }
  }

  async #readPurges(): Promise<void> {
    const purges = this.redis.trouble() === null ? await this.redis.purges() : null
    for (const [field, at] of Object.entries(purges ?? {})) {
      if (this.#known.get(field) === at) continue
      this.#known.set(field, at)
      const [by = '', ...rest] = field.split(':')
      if (['key', 'tag', 'model', 'team', 'all'].includes(by) && Number.isFinite(Number(at)))
        this.parts.purged({ by: by as PurgeMark['by'], value: rest.join(':') }, Number(at))
    }
  }
}

/** A purge could not be told to the other gateways. */
export class RedisPurgeFailed extends Error {
  constructor() {
    super('Redis could not be reached: other gateways still give these answers. Purge again once it is back.')
  }
}

function fieldOf({ by, value }: PurgeMark): string {
  return `${by}:${value}`
}
