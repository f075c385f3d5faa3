// `headgate cache stats` and `purge`. A purge is written down in the data directory (and in Redis, where answers are kept
// there): a running gateway reads it within a second, and one that starts later holds what it finds against it.

import { formatByteSize } from '../base/byte-size.ts'
import { systemClock } from '../base/clock.ts'
import type { Config } from '../config/schema.ts'
import type { CacheFile } from '../storage/cache-file.ts'
import { columns, saysNone, withCacheFile, type CachePlace } from './cache-opened.ts'
import { print, printError, printed } from './print.ts'

/** Options of `cache stats`. */
export interface CacheOptions extends CachePlace {
  readonly format?: 'table' | 'json'
}

/** Options of `cache purge`. */
export interface PurgeOptions extends CachePlace {
  readonly key?: string
  readonly tag?: string
  readonly model?: string
  readonly team?: string
  readonly all?: boolean
}

const groupsMax = 20
const rowsAtATime = 1000

/** `cache stats`: what is on disk, and how requests fared of late. @returns the exit code, as all below */
export async function runCacheStats(options: CacheOptions): Promise<number> {
  return withCacheFile(options, (file, { cache }) => {
    const groups = file.groups(groupsMax)
    const seen: Record<string, number> = {}
    for (const { status, weight, repeats } of file.seen(0))
      seen[status] = (seen[status] ?? 0) + weight * (1 + repeats)
    const all = Object.values(seen).reduce((sum, count) => sum + count, 0)
    const told = (seen['HIT'] ?? 0) + (seen['STALE'] ?? 0) + (seen['COALESCED'] ?? 0)
    const stats = {
      mode: cache.mode,
      disk: { answers: file.count(), bytes: file.usedBytes, bytesMax: cache.store.disk },
      groups,
      recent: { requests: all, answeredFromCache: told, byStatus: seen },
    }
    if (options.format === 'json') return printed(JSON.stringify(stats, null, 2))
    const share = all === 0 ? '-' : `${((100 * told) / all).toFixed(1)} %`
    const lines = [
      `Mode      ${cache.mode}`,
      `On disk   ${stats.disk.answers} answers, ${megabytes(stats.disk.bytes)} of ${formatByteSize(stats.disk.bytesMax)}`,
      `Of late   ${all} requests, ${told} answered from the cache (${share})`,
      ...Object.entries(seen).map(([status, count]) => `          ${status.padEnd(10)} ${count}`),
    ]
    const rows = groups.map(({ endpoint, model, answers, bytes }) => [
      `${endpoint} ${model}`.trim(),
      String(answers),
      megabytes(bytes),
    ])
    if (rows.length > 0) lines.push('', columns([['ENDPOINT AND MODEL', 'ANSWERS', 'SIZE'], ...rows]))
    return printed(lines.join('\n'))
  })
}

/** `cache purge`: forgets what is named, everywhere. */
export async function runCachePurge(options: PurgeOptions): Promise<number> {
  const named: { by: 'key' | 'tag' | 'model' | 'team' | 'all'; value: string }[] = []
  for (const by of ['key', 'tag', 'model', 'team'] as const) {
    const value = options[by]
    if (value !== undefined) named.push({ by, value })
  }
  if (options.all === true) named.push({ by: 'all', value: '' })
  const [mark] = named
  if (mark === undefined || named.length > 1) {
    printError(
      'headgate: name exactly one of --key, --tag, --model, --team and --all. See "headgate help".\n',
    )
    return 2
  }
  if (mark.by === 'key' && !/^[0-9a-f]{64}$/.test(mark.value)) {
    printError('headgate: --key takes the 64 hex digits of a digest.\n')
    return 2
  }
  const purgeShared = async (config: Config, done: string): Promise<number> => {
    if (await purgeRedis(config, mark)) return print(done) ? 0 : 1
    printError(
      'headgate: purged in no more than this folder: Redis cannot be reached, and other gateways still give these answers.\n',
    )
    return 1
  }
  return withCacheFile(
    options,
    async (file, config) => {
      const removed = purgeFile(file, mark)
      return purgeShared(
        config,
        `purged, ${removed} answers on disk; a running gateway follows within a second`,
      )
    },
    // No gateway keeps anything here; others may have it in Redis.
    (config) =>
      isShared(config)
        ? purgeShared(
            config,
            'purged in Redis, which gateways follow within a second; there is no cache.db here',
          )
        : saysNone(config),
  )
}

function purgeFile(file: CacheFile, mark: { by: string; value: string }): number {
  const atMs = systemClock.wallMs()
  file.addPurge(mark, atMs)
  // Whoever finds the answer to one request there holds it against the mark: by its name it may be sealed.
  if (mark.by === 'key') return 0
  let removed = 0
  for (let fromId: number | null = 0; fromId !== null;) {
    const part = file.removeMeant({ ...mark, atMs }, fromId, rowsAtATime)
    removed += part.removed
    fromId = part.nextId
  }
  return removed
}

function isShared({ storage, cache }: Config): boolean {
  return storage.redis !== undefined && cache.store.redis
}

async function purgeRedis(config: Config, mark: { by: string; value: string }): Promise<boolean> {
  const { storage } = config
  if (!isShared(config) || storage.redis === undefined) return true
  const { openRedisCache } = await import('../storage/redis-cache.ts')
  const redis = openRedisCache(storage.redis, systemClock)
  try {
    for (let tries = 0; tries < 100 && redis.trouble() !== null; tries++) await Bun.sleep(20)
    return await redis.addPurge(`${mark.by}:${mark.value}`, systemClock.wallMs())
  } finally {
    redis.close()
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MB`
}
