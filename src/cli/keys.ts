// `headgate keys …`: the client keys in the store. Works by itself and beside a running gateway, which follows the store
// within a second. A secret is printed when it is made and never again.

import { userInfo } from 'node:os'
import { systemClock } from '../base/clock.ts'
import { formatDuration, parseDuration } from '../base/duration.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import { KeyFailure, type KeyInfo, type KeySpec } from '../keys/key-service.ts'
import type { StoredKeys } from '../keys/stored-keys.ts'
import { StorageFailure } from '../storage/open.ts'
import { hasStore, noStoreText } from './existing-store.ts'
import { details, keyJson, table } from './keys-shown.ts'
import { openStore } from './store.ts'

/** Options that every `keys` command has. */
export interface StoreOptions {
  readonly config?: string
  readonly data?: string
}

/** Options of the commands that print keys. */
export interface ShownOptions extends StoreOptions {
  readonly format?: 'table' | 'json'
}

/** Options of `keys create`, lists as written with commas. */
export interface CreateOptions extends ShownOptions {
  readonly name: string
  readonly team?: string
  readonly app?: string
  readonly user?: string
  readonly env?: string
  readonly models?: string
  readonly endpoints?: string
  readonly addresses?: string
  readonly userAgents?: string
  readonly expires?: string
  readonly budget?: string
  readonly metadata?: readonly string[]
  readonly mayName?: boolean
  readonly quiet?: boolean
}

/** `keys create`: a new key; its secret is shown this once. @returns the exit code, as all below */
export async function runKeysCreate(options: CreateOptions): Promise<number> {
  const create = async (keys: StoredKeys): Promise<number> => {
    const { id, secret, key } = await keys.create(specOf(options), actor())
    if (options.format === 'json') printJson({ ...keyJson(key), secret: secret.reveal() })
    else if (options.quiet === true) console.log(secret.reveal())
    else console.log(secretLines({ secret: secret.reveal(), id, name: key.name }))
    return 0
  }
  // The first key may come before anything is served.
  return withKeys(options, create, () => null)
}

/** `keys list`: all keys, newest first. */
export async function runKeysList(options: ShownOptions): Promise<number> {
  const listed = (rows: readonly KeyInfo[]): number => {
    if (options.format === 'json') printJson(rows.map(keyJson))
    else if (rows.length === 0) note('there are no keys yet: headgate keys create --name NAME makes one')
    else console.log(table(rows))
    return 0
  }
  const list = async (keys: StoredKeys): Promise<number> => {
    const rows: KeyInfo[] = []
    let cursor: string | null = null
    do {
      const page = await keys.list({ limit: 1000, cursor })
      rows.push(...page.rows)
      cursor = page.next
    } while (cursor !== null)
    return listed(rows)
  }
  const none = ({ config, dataNamed }: LoadedConfig): number =>
    dataNamed ? problem(noStoreText(config.storage)) : listed([])
  return withKeys(options, list, none)
}

/** `keys show ID`: everything about one key but its secret. */
export async function runKeysShow(id: string, options: ShownOptions): Promise<number> {
  return withKeys(options, async (keys) => {
    const key = await keys.show(id)
    if (options.format === 'json') printJson(keyJson(key))
    else console.log(details(key))
    return 0
  })
}

/** `keys rotate ID`: a new secret; the old one works until the grace ends. */
export async function runKeysRotate(
  id: string,
  options: ShownOptions & { readonly grace: string; readonly quiet?: boolean },
): Promise<number> {
  const graceMs = parseDuration(options.grace)
  if (graceMs === null) return usage('--grace: expected a duration with a unit, such as 24h or 0s')
  return withKeys(options, async (keys) => {
    const { secret } = await keys.rotate(id, { graceMs }, actor())
    const key = await keys.show(id)
    if (options.format === 'json') printJson({ ...keyJson(key), secret: secret.reveal() })
    else if (options.quiet === true) console.log(secret.reveal())
    else {
      const old = graceMs === 0 ? 'ended now' : `works on for ${formatDuration(graceMs)}`
      console.log(
        `${secretLines({ secret: secret.reveal(), id, name: key.name })}\nOld      the secret before it ${old}`,
      )
    }
    return 0
  })
}

/** `keys revoke ID`: ends a key for good. */
export async function runKeysRevoke(id: string, options: ShownOptions): Promise<number> {
  return withKeys(options, async (keys) => {
    const key = await keys.revoke(id, actor())
    if (options.format === 'json') printJson(keyJson(key))
    else console.log(`Revoked  ${id} (${key.name}): running gateways refuse it within seconds`)
    return 0
  })
}

/** Opens the store of a configuration for `work`; where there is none, `absent` gives null for one to be made. What goes wrong becomes one line and an exit code. */
async function withKeys(
  options: StoreOptions,
  work: (keys: StoredKeys) => Promise<number>,
  absent: (loaded: LoadedConfig) => number | null = ({ config }) => problem(noStoreText(config.storage)),
): Promise<number> {
  try {
    const loaded = await loadConfig({ file: options.config, data: options.data })
    const { config } = loaded
    const code = hasStore(config.storage) ? null : absent(loaded)
    if (code !== null) return code
    const store = await openStore(config.storage, { event: () => {}, revoked: () => {} })
    try {
      return await work(store.keys)
    } finally {
      await store.close()
    }
  } catch (cause) {
    if (cause instanceof ConfigProblems) return problem(cause.format())
    if (cause instanceof StorageFailure) return problem(cause.message)
    if (!(cause instanceof KeyFailure)) throw cause
    if (cause.code !== 'invalid') return problem(cause.message)
    return usage(
      cause.message
        .replace(/^expiresAtMs:/, 'expires:')
        .replace(/^(\w+):/, (_, field: string) => `--${field}:`),
    )
  }
}

function specOf(options: CreateOptions): KeySpec {
  return {
    name: options.name,
    team: options.team,
    app: options.app,
    user: options.user,
    env: options.env,
    models: listOf(options.models),
    endpoints: listOf(options.endpoints),
    addresses: listOf(options.addresses),
    userAgents: listOf(options.userAgents),
    expiresAtMs: options.expires === undefined ? null : expiry(options.expires),
    budget: options.budget,
    metadata: pairsOf(options.metadata ?? []),
    mayName: options.mayName,
  }
}

function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** `90d` from now, or a date. */
function expiry(text: string): number {
  const ms = parseDuration(text)
  if (ms !== null) return systemClock.wallMs() + ms
  const atMs = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  throw new KeyFailure(
    'invalid',
    'expires: expected a duration such as 90d, or a date such as 2027-01-31',
    'expires',
  )
}

function pairsOf(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text): [string, string] => {
    const at = text.indexOf('=')
    if (at < 1) throw new KeyFailure('invalid', 'metadata: expected NAME=VALUE', 'metadata')
    return [text.slice(0, at), text.slice(at + 1)]
  })
  return Object.fromEntries(pairs)
}

function secretLines({ secret, id, name }: { secret: string; id: string; name: string }): string {
  return `Key      ${secret}\n         shown this once: the store holds only a digest of it\nId       ${id}\nName     ${name}`
}

/** Who the audit log says it was. */
export function actor(): string {
  try {
    const { username, uid } = userInfo()
    // Bun knows the name from $USER alone.
    return `cli:${username === 'unknown' ? `uid ${uid}` : username}`.slice(0, 128)
  } catch {
    return 'cli'
  }
}

function printJson(value: unknown): void {
  console.log(JSON.stringify(value, null, 2))
}

function note(text: string): void {
  console.error(`note: ${text}`)
}

function problem(text: string): number {
  console.error(`headgate: ${text}`)
  return 1
}

function usage(text: string): number {
  console.error(`headgate: ${text}`)
  return 2
}
