// Settings and values of the documented format that this version does not act on. They are refused by name, since a
// limit or a filter that is accepted and does nothing is worse than none. Whoever builds one removes its line here; a
// test fails while a line stands for something the schema knows.

import manifest from '../../package.json' with { type: 'json' }

/** Paths, with `*` for a list's index. */
export const settingsNotYet: readonly string[] = [
  'transforms',
  'cache.semantic',
  'meter.bodies',
  'telemetry',
  'alerts',
  'notify',
  'server.tls',
  'server.http2',
  'server.http3',
  'server.workers',
  'log.bodies',
]

/** Values of `upstreams.*.provider`. */
export const providersNotYet: readonly string[] = []

/** Whether `path` is a setting of a later version. */
export function isNotYet(path: readonly (string | number)[]): boolean {
  return settingsNotYet.includes(path.map((part) => (typeof part === 'number' ? '*' : part)).join('.'))
}

/** The words for a setting or value of a later version. */
export function notYet(what: string): string {
  return `\`${what}\` is not supported by this version (${manifest.version})`
}
