// Client keys as people and scripts see them. No secret is ever among it.

import type { KeyInfo } from '../keys/key-service.ts'

/** A key for `--format json`: moments as ISO 8601. */
export function keyJson(key: KeyInfo): Record<string, unknown> {
  const { createdAtMs, expiresAtMs, rotatedAtMs, previousUntilMs, revokedAtMs, ...rest } = key
  return {
    ...rest,
    createdAt: moment(createdAtMs),
    expiresAt: moment(expiresAtMs),
    rotatedAt: moment(rotatedAtMs),
    previousUntil: moment(previousUntilMs),
    revokedAt: moment(revokedAtMs),
  }
}

/** A line a key. */
export function table(keys: readonly KeyInfo[]): string {
  const head = ['ID', 'NAME', 'ENV', 'TEAM', 'STATE', 'EXPIRES', 'CREATED']
  const lines = keys.map((key) => [
    key.id,
    key.name,
    key.env,
    key.team ?? '-',
    key.state,
    moment(key.expiresAtMs)?.slice(0, 10) ?? '-',
    moment(key.createdAtMs).slice(0, 10),
  ])
  const widths = head.map((title, column) =>
    lines.reduce((most, line) => Math.max(most, line[column]!.length), title.length),
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

/** All about one key, a line each; what is not set is left away. */
export function details(key: KeyInfo): string {
  const lines: [string, string | null][] = [
    ['Id', key.id],
    ['Name', key.name],
    ['State', key.state],
    ['Env', key.env],
    ['Team', key.team],
    ['App', key.app],
    ['User', key.user],
    ['Models', key.models?.join(', ') ?? 'all'],
    ['Endpoints', key.endpoints?.join(', ') ?? 'all'],
    ['Addresses', key.addresses?.join(', ') ?? 'any'],
    ['Agents', key.userAgents?.join(', ') ?? 'any'],
    ['Budget', key.budget],
    ['May name', key.mayName ? 'yes' : null],
    ...Object.entries(key.metadata).map(([name, value]): [string, string] => [
      'Metadata',
      `${name}=${JSON.stringify(value)}`,
    ]),
    ['Created', `${moment(key.createdAtMs)} by ${key.createdBy}`],
    ['Expires', moment(key.expiresAtMs)],
    ['Rotated', moment(key.rotatedAtMs)],
    ['Old until', moment(key.previousUntilMs)],
    ['Revoked', moment(key.revokedAtMs)],
  ]
  return lines.flatMap(([title, text]) => (text === null ? [] : [`${title.padEnd(10)} ${text}`])).join('\n')
}

function moment(atMs: number): string
function moment(atMs: number | null): string | null
function moment(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString()
}
