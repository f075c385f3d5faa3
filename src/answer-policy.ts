// A digest of every setting that can change an answer: stored answers are found by it, so that none outlives the rules it was
// made under. All sections count but those that are known not to matter, so that a section that is added later counts
// until somebody says otherwise: an answer too few is a miss, an answer too many is a wrong answer.

import type { Config } from './config/schema.ts'

/** Who may ask, how much and what is written down changes no answer. */
const indifferent = new Set([
  'server', 'admin', 'storage', 'access', 'limits', 'meter', 'log', 'telemetry', 'alerts', 'notify',
]) // prettier-ignore
/** Of `cache` only what says which requests are the same. */
const ofCache = ['normalize', 'headers'] as const
/** Of an upstream: how it is reached and by which key. */
const ofUpstreams = new Set([
  'keys',
  'timeouts',
  'keepAlive',
  'tls',
  'proxy',
  'weight',
  'limits',
  'onClientGone',
])
/** Of a route: whom it prefers, and what it does where one fails. */
const ofRoutes = new Set(['pick', 'retry', 'breaker', 'check'])

/** The digest, as hex. */
export function answerPolicy(config: Config): string {
  const sections = Object.entries(config as unknown as Record<string, unknown>)
    .filter(([name]) => !indifferent.has(name) && name !== 'cache')
    .map(([name, value]) => {
      if (name === 'upstreams') return [name, without(value, ofUpstreams)]
      return [name, name === 'routes' ? without(value, ofRoutes) : value]
    })
  const counted = [...sections, ...ofCache.map((name) => [name, config.cache[name]])]
  return Bun.SHA256.hash(JSON.stringify(counted, plain), 'hex')
}

function without(list: unknown, names: ReadonlySet<string>): unknown {
  if (!Array.isArray(list)) return list
  return list.map((item: unknown) =>
    Object.fromEntries(Object.entries(item as object).filter(([name]) => !names.has(name))),
  )
}

/** Functions by their text. Credentials show as fingerprints (base/secret.ts). */
function plain(_: string, value: unknown): unknown {
  return typeof value === 'function' ? String(value) : value
}
