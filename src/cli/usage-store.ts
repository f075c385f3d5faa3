// The ledger as the commands that report on it open it: where the configuration says, also while a gateway writes it. They
// read, so where there is no store they make none: a typo in --data must not look like books without a call. What goes
// wrong becomes one line and an exit code.

import { systemClock } from '../base/clock.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { TooManyLines } from '../reports/usage.ts'
import { isZone } from '../reports/zone.ts'
import { openStorage, reason, StorageFailure, type Storage } from '../storage/open.ts'
import { hasStore, noStoreText } from './existing-store.ts'
import { printError } from './print.ts'

/** Options that every `usage` command has. */
export interface StoreOptions {
  readonly config?: string
  readonly data?: string
}

/** What a command works on. */
export interface Opened {
  readonly storage: Storage
  readonly config: Config
  readonly nowMs: number
}

/** Wrong usage: exit code 2. */
export class WrongUsage extends Error {}

/** A problem that is said: exit code 1. */
export class SaidProblem extends Error {}

/**
 * Runs `work` on the open store, or `absent` where there is none: without it, that is a problem.
 * @returns its exit code, or that of what went wrong
 */
export async function withLedger(
  options: StoreOptions,
  work: (opened: Opened) => Promise<number>,
  absent: (loaded: LoadedConfig) => Promise<number> = noStore,
): Promise<number> {
  try {
    const loaded = await loadConfig({ file: options.config, data: options.data })
    const { config } = loaded
    const { path, postgres = null } = config.storage
    if (!hasStore(config.storage)) return await absent(loaded)
    const storage = await openStorage({ path, postgres }, systemClock)
    try {
      return await work({ storage, config, nowMs: systemClock.wallMs() })
    } finally {
      await storage.close()
    }
  } catch (cause) {
    return codeOf(cause)
  }
}

async function noStore({ config }: LoadedConfig): Promise<number> {
  throw new SaidProblem(noStoreText(config.storage))
}

function codeOf(cause: unknown): number {
  const say = (text: string, code: number): number => {
    printError(`headgate: ${text}\n`)
    return code
  }
  if (cause instanceof WrongUsage) return say(cause.message, 2)
  if (cause instanceof ConfigProblems) return say(cause.format(), 1)
  const known = [StorageFailure, SaidProblem, TooManyLines].some((kind) => cause instanceof kind)
  if (known) return say((cause as Error).message, 1)
  // A store that breaks amid a report.
  if (cause instanceof Error && 'code' in cause) return say(`the store cannot be read: ${reason(cause)}`, 1)
  throw cause
}

/** A time zone as given. @throws WrongUsage */
export function zoneOf(name: string | undefined): string {
  if (name === undefined) return 'UTC'
  if (isZone(name)) return name
  throw new WrongUsage('--tz: expected a time zone such as Europe/Berlin or UTC')
}

/** Text of others for a terminal: without what it would act on. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, '·')
}
