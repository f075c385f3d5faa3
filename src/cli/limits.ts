// `headgate limits show`: who is at what, asked of the running gateway over its admin API, since only it knows.

import { loadConfig } from '../config/load.ts'
import { processEnvironment } from '../config/env.ts'
import { formatListenAddress } from '../config/listen-address.ts'
import { ConfigProblems } from '../config/problem.ts'
import { dollarsText, placesFor } from '../reports/money.ts'

/** Options of `limits show`. */
export interface LimitsOptions {
  readonly admin?: string
  readonly token?: string
  readonly config?: string
  readonly data?: string
  readonly limit?: string
  readonly format?: 'table' | 'json'
}

interface Row {
  readonly limit: string
  readonly quantity: string
  readonly principal: Readonly<Record<string, string | null>>
  readonly keyName: string | null
  readonly used: number
  readonly max: number
  readonly share: number
  readonly resetAt: string | null
  readonly enforce: boolean
}

const answerMs = 10_000

/** Prints the accounts nearest to their limits. @returns the exit code */
export async function runLimitsShow(options: LimitsOptions): Promise<number> {
  try {
    const { url, token } = await whereAndHow(options)
    if (token === null)
      return problem(
        'an admin token is needed: set $HEADGATE_ADMIN_TOKEN, admin.token in the config, or --token',
      )
    const rows = await askRows(url, token, options.limit ?? '100')
    if (options.format === 'json') console.log(JSON.stringify(rows, null, 2))
    else if (rows.length === 0) console.error('note: nothing counts against any limit now')
    else console.log(table(rows))
    return 0
  } catch (cause) {
    if (cause instanceof ConfigProblems) return problem(cause.format())
    return problem((cause as Error).message)
  }
}

async function whereAndHow(options: LimitsOptions): Promise<{ url: string; token: string | null }> {
  const given = options.token ?? processEnvironment()['HEADGATE_ADMIN_TOKEN'] ?? null
  if (options.admin !== undefined) {
    if (!URL.canParse(options.admin)) throw new Error('--admin: expected a URL such as http://127.0.0.1:8081')
    return { url: options.admin.replace(/\/+$/, ''), token: given }
  }
  const { config } = await loadConfig({ file: options.config, data: options.data })
  const token = given ?? config.admin.token?.reveal() ?? null
  return { url: `http://${formatListenAddress(config.admin.listen)}`, token }
}

/** @throws Error with one clear line */
async function askRows(url: string, token: string, limit: string): Promise<readonly Row[]> {
  let answer: Response
  try {
    answer = await fetch(`${url}/api/limits?limit=${encodeURIComponent(limit)}`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(answerMs),
    })
  } catch (cause) {
    throw new Error(
      `no gateway answers at ${url} (${(cause as Error).message}): start one, or name its --admin URL`,
      {
        cause,
      },
    )
  }
  const body = (await answer.json().catch(() => null)) as {
    rows?: Row[]
    error?: { message?: string }
  } | null
  if (answer.ok && body?.rows !== undefined) return body.rows
  throw new Error(`${url} answered ${answer.status}: ${body?.error?.message ?? 'that is not an admin port'}`)
}

function table(rows: readonly Row[]): string {
  const head = ['LIMIT', 'WHO', 'USED', 'OF', 'SHARE', 'RESETS']
  const names = ambiguousNames(rows)
  const lines = rows.map((row) => [
    row.enforce ? row.limit : `${row.limit} (warns)`,
    whoOf(row, names),
    amount(row, row.used),
    amount(row, row.max),
    `${Math.floor(row.share * 100)}%`,
    row.resetAt ?? '-',
  ])
  const widths = head.map((title, column) =>
    lines.reduce((most, line) => Math.max(most, line[column]!.length), title.length),
  )
  const format = (line: readonly string[]): string =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd()
  return [head, ...lines].map(format).join('\n')
}

function whoOf({ principal, keyName }: Row, ambiguous: ReadonlySet<string>): string {
  const parts = Object.entries(principal).map(([name, value]) => {
    if (name !== 'key' || keyName === null) return `${name} ${printable(value ?? '-')}`
    return `key ${printable(keyName)}${ambiguous.has(keyName) ? ` (${value})` : ''}`
  })
  return parts.length === 0 ? 'all' : parts.join(', ')
}

/** Names that more than one of the keys bear, such as one that was revoked and its successor. */
function ambiguousNames(rows: readonly Row[]): ReadonlySet<string> {
  const ids = new Map<string, string>()
  const found = new Set<string>()
  for (const { keyName, principal } of rows) {
    const id = principal['key'] ?? null
    if (id === null) continue
    const name = keyName ?? id
    if ((ids.get(name) ?? id) !== id) found.add(name)
    ids.set(name, id)
  }
  return found
}

/** A model's name is the client's text: nothing in it may act on a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}

function amount({ quantity }: Row, value: number): string {
  return quantity === 'cost' ? dollarsText(value, placesFor([value])) : String(value)
}

function problem(text: string): number {
  console.error(`headgate: ${text}`)
  return 1
}
