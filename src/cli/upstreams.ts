// `headgate upstreams`: how the upstreams of a running gateway are, and taking one out of use. It asks the gateway's admin
// port, where the configuration says that is, with the admin token of the configuration or of $HEADGATE_ADMIN_TOKEN.

import type { UpstreamRow as Row } from '../admin/route.ts'
import type { UpstreamSpend } from '../admin/upstream-spend.ts'
import { formatListenAddress } from '../config/listen-address.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { dollarsText, placesFor } from '../reports/money.ts'
import { printed, printError } from './print.ts'

type UpstreamRow = Row & { readonly spend: UpstreamSpend | null }

export interface UpstreamsOptions {
  readonly config?: string
  readonly data?: string
  /** `http://host:port` of the admin port, in place of the configuration's. */
  readonly admin?: string
  readonly format?: 'table' | 'json'
}

const waitMs = 10_000

/** Lists the upstreams, or drains or resumes the one named. @returns the exit code */
export async function runUpstreams(
  options: UpstreamsOptions,
  change?: { readonly action: 'drain' | 'resume'; readonly name: string },
): Promise<number> {
  try {
    const { config } = await loadConfig({ file: options.config, data: options.data })
    const path =
      change === undefined
        ? '/api/upstreams'
        : `/api/upstreams/${encodeURIComponent(change.name)}/${change.action}`
    const answer = await askAdmin(config, options, { method: change === undefined ? 'GET' : 'POST', path })
    if (options.format === 'json') return printed(JSON.stringify(answer, null, 2))
    if (change !== undefined) return printed(changed(answer as UpstreamRow, change.action))
    return printed(table((answer as { rows: UpstreamRow[] }).rows))
  } catch (cause) {
    if (!(cause instanceof ConfigProblems) && !(cause instanceof Said)) throw cause
    printError(cause instanceof Said ? `headgate: ${cause.message}\n` : `${cause.format('headgate: ')}\n`)
    return 1
  }
}

/** Something that went wrong, in one line. */
class Said extends Error {}

/** @throws Said */
async function askAdmin(
  config: Config,
  { admin }: UpstreamsOptions,
  call: { readonly method: string; readonly path: string },
): Promise<unknown> {
  const base = admin ?? baseOf(config)
  const token =
    config.admin.token ??
    config.admin.tokens.find(({ value, role }) => value !== undefined && role === 'admin')?.value
  if (token === undefined)
    throw new Said(
      'an admin token is needed: set HEADGATE_ADMIN_TOKEN to the one that was printed at the first start',
    )
  let response: Response
  try {
    response = await fetch(base + call.path, {
      method: call.method,
      headers: { authorization: `Bearer ${token.reveal()}` },
      signal: AbortSignal.timeout(waitMs),
      redirect: 'error',
    })
  } catch {
    throw new Said(
      `no gateway answers at ${base}: start it with headgate serve, or name its admin port with --admin`,
    )
  }
  const answer: unknown = await response.json().catch(() => null)
  if (response.ok && answer !== null) return answer
  const message = (answer as { error?: { message?: string } } | null)?.error?.message
  throw new Said(message ?? `${base} answered ${response.status}, and not as a gateway does`)
}

function baseOf({ admin }: Config): string {
  const { hostname, port } = admin.listen
  if (port === 0) throw new Said('the admin port is any free one: name it with --admin http://127.0.0.1:PORT')
  const everywhere = hostname === '0.0.0.0' || hostname === '::'
  return `http://${formatListenAddress({ hostname: everywhere ? '127.0.0.1' : hostname, port })}`
}

function changed({ name, inFlight }: UpstreamRow, action: 'drain' | 'resume'): string {
  return action === 'drain'
    ? `Draining  ${name}: no new requests, ${inFlight} under way`
    : `Resumed   ${name}: takes requests again`
}

/** A line an upstream. */
function table(rows: readonly UpstreamRow[]): string {
  const head = [
    'NAME',
    'PROVIDER',
    'HEALTH',
    'BREAKER',
    'IN FLIGHT',
    'REQUESTS',
    'FAILURES',
    'LATENCY',
    'TODAY',
    'MONTH',
    'LEFT',
  ]
  const places = placesFor(rows.flatMap(({ spend }) => (spend === null ? [] : Object.values(spend))))
  const lines = rows.map((row) => [
    row.name,
    row.provider,
    row.health,
    row.breaker,
    String(row.inFlight),
    String(row.requests),
    String(row.failures),
    row.latencyMs === null ? '-' : `${row.latencyMs} ms`,
    dollarsOf(row.spend?.todayNanoUsd, places),
    dollarsOf(row.spend?.monthNanoUsd, places),
    leftOf(row),
  ])
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]!.length)),
  )
  return [head, ...lines]
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function dollarsOf(nano: number | undefined, places: number): string {
  return nano === undefined ? '-' : dollarsText(nano, places)
}

function leftOf({ remainingRequests, remainingTokens }: UpstreamRow): string {
  const parts = [
    ...(remainingRequests === null ? [] : [`${remainingRequests} requests`]),
    ...(remainingTokens === null ? [] : [`${remainingTokens} tokens`]),
  ]
  return parts.length === 0 ? '-' : parts.join(', ')
}
