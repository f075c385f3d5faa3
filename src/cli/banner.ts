// What `serve` prints first: where it listens, what is behind it, where data lives, and a command to try it with.

import { isLoopback } from '../config/listen-address.ts'
import type { LoadedConfig } from '../config/load.ts'
import { version } from './version.ts'

/** What is known only once everything is bound. */
export interface Bound {
  readonly proxy: readonly { readonly hostname: string; readonly port: number }[]
  readonly admin: { readonly hostname: string; readonly port: number }
  /** Text of a key made for this run, to be shown this once. */
  readonly secret: string | null
}

/** The first lines, ready for a terminal. */
export function banner(loaded: LoadedConfig, bound: Bound): string {
  const { config } = loaded
  const urls = bound.proxy.map((address) => `http://${place(address)}`)
  const upstreams = config.upstreams.map((upstream) =>
    upstream.provider === 'sandbox'
      ? `${upstream.name} (built-in sandbox: made-up answers, no account needed)`
      : `${upstream.name} (${upstream.provider}, ${upstream.baseUrl})`,
  )
  const lines = [
    `headgate ${version}`,
    `  listening  ${urls.join(', ')}`,
    `  upstreams  ${upstreams.join(', ')}`,
    `  config     ${loaded.file ?? 'none: defaults (headgate init writes one)'}`,
    `  data       ${config.storage.path}`,
    `  admin      http://${place(bound.admin)}  /healthz /readyz`,
    `  keys       ${keyLine(loaded, bound)}`,
  ]
  if (loaded.file === null && config.upstreams.every((upstream) => upstream.provider === 'sandbox')) {
    lines.push('  note       OPENAI_API_KEY is not set, so the sandbox answers; set it to reach OpenAI')
  }
  return `${lines.join('\n')}\n\nTry it:\n\n${curl(urls[0]!, loaded, bound)}\n\n`
}

function keyLine(loaded: LoadedConfig, bound: Bound): string {
  if (bound.secret !== null) return `one for this run, shown below; headgate init makes a lasting one`
  const { keys, anonymous } = loaded.config.access
  if (keys.length === 0 && anonymous === 'allow') return 'none needed (access.anonymous: allow)'
  return `${keys.length} in the configuration; headgate init --force makes a new file and key`
}

function curl(url: string, loaded: LoadedConfig, bound: Bound): string {
  const sandbox = loaded.config.upstreams[0]!.provider === 'sandbox'
  const model = sandbox ? 'gpt-4o-mini' : 'gpt-4o-mini'
  const key = bound.secret ?? '$HEADGATE_KEY'
  return [
    `curl ${url}/v1/chat/completions \\`,
    `  -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\`,
    `  -d '{"model":"${model}","messages":[{"role":"user","content":"Say hello"}]}'`,
  ].join('\n')
}

function place(address: { readonly hostname: string; readonly port: number }): string {
  const host = isLoopback(address.hostname) || !address.hostname.includes(':') ? address.hostname : address.hostname
  return `${host.includes(':') ? `[${host}]` : host}:${address.port}`
}
