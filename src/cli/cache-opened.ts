// The cache file as commands use it: beside a running gateway, which follows what they write within a second.

import { loadConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { CacheFile, isBusyFile } from '../storage/cache-file.ts'
import { printError } from './print.ts'

/** Where the cache is. */
export interface CachePlace {
  readonly config?: string
  readonly data?: string
}

/** Opens the cache file of a configuration for `work`. @returns the exit code */
export async function withCacheFile(
  place: CachePlace,
  work: (file: CacheFile, config: Config) => number | Promise<number>,
): Promise<number> {
  let file: CacheFile | null = null
  try {
    const { config } = await loadConfig({ file: place.config, data: place.data })
    file = CacheFile.open(config.storage.path, (message) => printError(`headgate: ${message}\n`))
    return await work(file, config)
  } catch (cause) {
    if (cause instanceof ConfigProblems) printError(`${cause.format('headgate: ')}\n`)
    else if (isBusyFile(cause)) printError('headgate: the gateway is writing to the cache. Try again.\n')
    else printError(`headgate: cannot use cache.db: ${(cause as Error).message}\n`)
    return 1
  } finally {
    file?.close()
  }
}

/** Lines with columns under each other. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
