// The cache file as commands use it: beside a running gateway, which follows what they write within a second. They make none:
// a gateway has it open as soon as it keeps or records anything, and a typo in --data must not look like an empty cache.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { CacheFile, isBusyFile } from '../storage/cache-file.ts'
import { printError } from './print.ts'
import { fittedWidths, shortened, terminalColumns } from './shortened.ts'

/** Where the cache is. */
export interface CachePlace {
  readonly config?: string
  readonly data?: string
}

/** Opens the cache file of a configuration for `work`, or runs `absent` where there is none. @returns the exit code */
export async function withCacheFile(
  place: CachePlace,
  work: (file: CacheFile, config: Config) => number | Promise<number>,
  absent: (config: Config) => number | Promise<number> = saysNone,
): Promise<number> {
  let file: CacheFile | null = null
  try {
    const { config } = await loadConfig({ file: place.config, data: place.data })
    if (!existsSync(join(config.storage.path, 'cache.db'))) return await absent(config)
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

/** Says that there is no cache file. */
export function saysNone({ storage }: Config): number {
  printError(
    `headgate: there is no cache here: ${join(storage.path, 'cache.db')} (a gateway makes it when it serves with cache.mode or cache.record; --data, $HEADGATE_DATA or storage.path in the config names the folder)\n`,
  )
  return 1
}

/** Lines with columns under each other. */
export function columns(rows: readonly (readonly string[])[]): string {
  const natural = rows[0]!.map((_, at) => Math.max(...rows.map((row) => Bun.stringWidth(row[at]!))))
  const widths = fittedWidths(
    natural,
    natural.map((_, at) => at === 0),
    terminalColumns(),
  )
  const padded = (cell: string, at: number): string => {
    const text = at === 0 ? shortened(cell, widths[0]!) : cell
    const space = ' '.repeat(widths[at]! - Bun.stringWidth(text))
    return at === 0 ? text + space : space + text
  }
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n')
}
