// What `serve` prints first: where it listens, what is behind it, where data lives, and a command to try it with.

import { join } from 'node:path'
import { tokenFileName } from '../admin/token-file.ts'
import { formatListenAddress } from '../config/listen-address.ts'
import type { LoadedConfig } from '../config/load.ts'
import { commandName } from './command-name.ts'
import { version } from './version.ts'

/** What is known only once everything is bound. */
export interface Bound {
  readonly proxy: readonly { readonly hostname: string; readonly port: number }[]
  readonly admin: { readonly hostname: string; readonly port: number }
}

/** Secrets that were made just now, each shown this once. */
export interface FreshSecrets {
  /** A client key for this run. */
  readonly clientKey: string | null
  readonly adminToken: string | null
}

/** The first lines, ready for a terminal. */
export function banner(loaded: LoadedConfig, bound: Bound, { clientKey, adminToken }: FreshSecrets): string {
  const { config } = loaded
  const urls = bound.proxy.map((address) => `http://${formatListenAddress(address)}`)
  const upstreams = config.upstreams.map((upstream) =>
    upstream.provider === 'sandbox'
      ? `${upstream.name} (built-in sandbox: made-up answers, no account needed)`
      : `${upstream.name} (${upstream.provider}, ${upstream.baseUrl})`,
  )
  const lines = [
    `headgate ${version}`,
    `  listening  ${urls.join(', ')}`,
    `  upstreams  ${upstreams.join(', ')}`,
    `  config     ${loaded.file ?? `none: defaults (${commandName()} init writes one)`}`,
    `  data       ${config.storage.path}`,
    `  admin      http://${formatListenAddress(bound.admin)}  /healthz /readyz /api`,
    `  token      ${adminToken === null ? tokenLine(loaded) : `${adminToken}  for /api; shown this once, kept as a hash`}`,
    `  keys       ${keyLine(loaded, clientKey)}`,
  ]
  if (loaded.file === null && config.upstreams.every((upstream) => upstream.provider === 'sandbox')) {
    lines.push('  note       OPENAI_API_KEY is not set, so the sandbox answers; set it to reach OpenAI')
  }
  return `${lines.join('\n')}\n\nTry it:\n\n${curl(urls[0]!, clientKey)}\n\n`
}

const howTo = () => `make one: ${commandName()} keys create --name NAME`

function tokenLine({ config }: LoadedConfig): string {
  const { token, tokens } = config.admin
  const count = tokens.length + (token === undefined ? 0 : 1)
  if (count === 0)
    return `shown at the first start; delete ${join(config.storage.path, tokenFileName)} for a new one`
  return count === 1 ? 'as configured' : `${count} as configured`
}

function keyLine(loaded: LoadedConfig, secret: string | null): string {
  if (secret !== null) {
    const open = loaded.config.access.anonymous === 'allow' ? '; the sandbox also answers without any' : ''
    return `one for this run, shown below${open}; ${howTo()}`
  }
  const { keys, anonymous } = loaded.config.access
  if (keys.length > 0) return `${keys.length} in the configuration; ${howTo()}`
  return `${anonymous === 'allow' ? 'none needed (access.anonymous: allow)' : 'none in the configuration'}; ${howTo()}`
}

function curl(url: string, secret: string | null): string {
  return [
    `curl ${url}/v1/chat/completions \\`,
    `  -H "Authorization: Bearer ${secret ?? '$HEADGATE_KEY'}" -H "Content-Type: application/json" \\`,
    `  -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello"}]}'`,
  ].join('\n')
}
