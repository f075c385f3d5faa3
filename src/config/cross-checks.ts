// What settings say about each other, and what a type cannot say. Works on what is sound of a configuration, so that
// one slip in a corner does not hide these until the next run.

import { hashClientKey } from '../base/client-key.ts'
import { operations } from '../openai/endpoints.ts'
import { formatListenAddress, isLoopback } from './listen-address.ts'
import { pathText, type Finding } from './problem.ts'
import type { ParsedConfig } from './schema.ts'
import { nearestName } from './suggest.ts'

/** Contradictions in `sound`; `tree` is the whole as written, for what can be told even from parts. */
export function crossCheck(tree: unknown, sound: Partial<ParsedConfig>): Finding[] {
  const written = tree as {
    upstreams?: unknown
    limits?: unknown
    access?: { keys?: unknown }
    admin?: { tokens?: unknown }
  } | null
  const upstreams = Array.isArray(written?.upstreams) ? (written.upstreams as unknown[]) : []
  const clients = Array.isArray(written?.access?.keys) ? (written.access.keys as unknown[]) : []
  return [
    ...sameNames(written?.upstreams, ['upstreams']),
    ...sameNames(written?.access?.keys, ['access', 'keys']),
    ...sameNames(written?.admin?.tokens, ['admin', 'tokens']),
    ...sameNames(written?.limits, ['limits']),
    ...upstreams.flatMap((upstream, index) => slipsOfUpstream(upstream, ['upstreams', index])),
    ...clients.flatMap((key, index) => {
      const value = (key as { value?: unknown } | null)?.value
      return variableName(value, ['access', 'keys', index, 'value']).map(asWarning)
    }),
    ...tokenIssuers(sound.access),
    ...openDoor(sound),
    ...routeSlips(sound),
    ...sameAddress(sound),
    ...trustedProxies(sound),
    ...(sound.access === undefined ? [] : staticKeys(sound.access.keys)),
    ...adminTokens(sound),
  ]
}

function sameNames(list: unknown, path: readonly string[]): Finding[] {
  if (!Array.isArray(list)) return []
  const seen = new Set<unknown>()
  const findings: Finding[] = []
  for (const [index, item] of list.entries()) {
    const name = (item as { name?: unknown } | null)?.name
    if (typeof name !== 'string' || name === '') continue
    if (seen.has(name))
      findings.push({
        path: [...path, index, 'name'],
        message: 'another one has this name',
        suggestion: 'names must differ',
      })
    seen.add(name)
  }
  return findings
}

function openDoor({ server, access }: Partial<ParsedConfig>): Finding[] {
  if (server === undefined || access?.anonymous !== 'allow' || access.iKnow) return []
  const open = server.listen.find(({ hostname }) => !isLoopback(hostname))
  if (open === undefined) return []
  const message = `lets anyone who reaches ${formatListenAddress(open)} spend your upstream keys`
  return [
    {
      path: ['access', 'anonymous'],
      message,
      suggestion: 'listen on 127.0.0.1 only, or confirm with iKnow: true',
    },
  ]
}

/** Routes that name what is not there, or that no request can reach; and upstreams that no route leads to. */
function routeSlips({ upstreams, routes }: Partial<ParsedConfig>): Finding[] {
  if (routes === undefined || upstreams === undefined) return []
  const names = upstreams.map(({ name }) => name)
  const findings: Finding[] = []
  let catchAll = -1
  for (const [index, route] of routes.entries()) {
    if (catchAll >= 0) {
      const message = `is never reached: routes[${catchAll}] matches everything`
      findings.push({ path: ['routes', index], message, severity: 'warning' })
    }
    if (catchAll < 0 && Object.keys(route.match).length === 0) catchAll = index
    const seen = new Set<string>()
    for (const [place, { name }] of (route.upstreams ?? []).entries()) {
      const path = ['routes', index, 'upstreams', place]
      if (seen.has(name))
        findings.push({ path, message: 'is in the list twice', suggestion: 'keep one of them' })
      seen.add(name)
      if (names.includes(name)) continue
      const near = nearestName(name, names)
      const suggestion = near === null ? `there are ${names.join(', ')}` : `did you mean \`${near}\`?`
      findings.push({ path, message: 'no upstream has this name', suggestion })
    }
  }
  return catchAll < 0 ? findings : [...findings, ...unreached(routes.slice(0, catchAll + 1), names)]
}

/** Said aloud, since an upstream that is never asked would be found out only when it is needed. */
function unreached(routes: ParsedConfig['routes'], names: readonly string[]): Finding[] {
  if (routes.some(({ upstreams }) => upstreams === undefined)) return []
  const named = new Set(routes.flatMap(({ upstreams }) => upstreams!.map(({ name }) => name)))
  return names.flatMap((name, index): Finding[] =>
    named.has(name)
      ? []
      : [{ path: ['upstreams', index], message: 'is not used: no route leads to it', severity: 'warning' }],
  )
}

function sameAddress({ server, admin }: Partial<ParsedConfig>): Finding[] {
  const findings: Finding[] = []
  const seen = new Set<string>()
  for (const [index, address] of (server?.listen ?? []).entries()) {
    const text = formatListenAddress(address).toLowerCase()
    if (address.port !== 0 && seen.has(text)) {
      findings.push({
        path: ['server', 'listen', index],
        message: 'this address is in the list twice',
        suggestion: 'keep one of them',
      })
    }
    seen.add(text)
  }
  if (admin === undefined || admin.listen.port === 0) return findings
  const everywhere = new Set(['0.0.0.0', '::'])
  const clash = server?.listen.some(
    ({ hostname, port }) =>
      port === admin.listen.port && (everywhere.has(hostname) || sameHost(hostname, admin.listen.hostname)),
  )
  if (clash === true) {
    const message = 'the proxy port has this address already'
    findings.push({ path: ['admin', 'listen'], message, suggestion: 'give the admin port another port' })
  }
  return findings
}

/** Who is believed about the client: nobody where a header is demanded, or everybody, are both slips. */
function trustedProxies({ server }: Partial<ParsedConfig>): Finding[] {
  if (server === undefined) return []
  const findings: Finding[] = []
  if (server.proxyProtocol !== 'off' && server.trustedProxies.length === 0) {
    const message = 'needs server.trustedProxies: the header is taken from those only'
    findings.push({
      path: ['server', 'proxyProtocol'],
      message,
      suggestion: 'name the addresses of your proxies',
    })
  }
  for (const [index, block] of server.trustedProxies.entries()) {
    if (!block.endsWith('/0')) continue
    const message = 'believes everybody: each client can claim any address'
    const suggestion = 'name the addresses of your proxies only'
    findings.push({ path: ['server', 'trustedProxies', index], message, suggestion, severity: 'warning' })
  }
  return findings
}

function sameHost(a: string, b: string): boolean {
  const plain = (host: string): string => host.toLowerCase().replace(/^localhost$/, '127.0.0.1')
  return plain(a) === plain(b)
}

function tokenIssuers(access: ParsedConfig['access'] | undefined): Finding[] {
  if (access === undefined || access.jwt.length === 0) return []
  const seen = new Set<string>()
  const findings: Finding[] = []
  for (const [index, { issuer, required, claims }] of access.jwt.entries()) {
    const path = ['access', 'jwt', index]
    if (seen.has(issuer)) {
      const suggestion = 'an issuer stands here once; `audience` may be a list'
      findings.push({ path: [...path, 'issuer'], message: 'another one has this issuer', suggestion })
    }
    seen.add(issuer)
    for (const [place, field] of required.entries()) {
      if (claims[field] !== undefined) continue
      const message = `no claim is named for ${field}, so no token could have it`
      findings.push({ path: [...path, 'required', place], message, suggestion: `set claims.${field}` })
    }
  }
  for (const [index, { value }] of access.keys.entries()) {
    if (value === undefined || !/^(eyJ.*\.|[\w-]+\.[\w-]*\.[\w-]*$)/.test(value.reveal())) continue
    const message = 'looks like a JSON web token, and with access.jwt it would only ever be judged as one'
    findings.push({
      path: ['access', 'keys', index, 'value'],
      message,
      suggestion: '`headgate init` makes a key',
    })
  }
  return findings
}

function staticKeys(keys: ParsedConfig['access']['keys']): Finding[] {
  const findings: Finding[] = []
  const seen = new Map<string, number>()
  for (const [index, key] of keys.entries()) {
    const path = ['access', 'keys', index]
    for (const [place, operation] of (key.endpoints ?? []).entries()) {
      if (operations.includes(operation)) continue
      const near = nearestName(operation, operations)
      const suggestion =
        near === null ? 'names are as in the SDKs, such as chat.completions' : `did you mean \`${near}\`?`
      findings.push({ path: [...path, 'endpoints', place], message: 'no endpoint has this name', suggestion })
    }
    if ((key.hash === undefined) === (key.value === undefined)) continue
    const hash = key.hash ?? hashClientKey(key.value!.reveal())
    const twin = seen.get(hash)
    if (twin !== undefined) {
      const message = `is the same key as access.keys[${twin}]`
      findings.push({ path, message, suggestion: 'each entry needs a key of its own' })
    }
    seen.set(hash, index)
  }
  return findings
}

/** What is well formed and cannot have been meant: it would be found out only by the first request. */
function slipsOfUpstream(upstream: unknown, path: readonly (string | number)[]): Finding[] {
  const { baseUrl, keys, provider } = (upstream ?? {}) as Record<string, unknown>
  if (provider === 'sandbox') return []
  const accounts: unknown[] = Array.isArray(keys) ? keys : []
  const slips = accounts.flatMap((key, index) =>
    typeof key === 'string'
      ? variableName(key, [...path, 'keys', index])
      : variableName((key as { value?: unknown } | null)?.value, [...path, 'keys', index, 'value']),
  )
  const alone = ['accessKeyId', 'secretAccessKey', 'sessionToken'].flatMap((name) =>
    variableName((upstream as Record<string, unknown> | null)?.[name], [...path, name]),
  )
  // An address of Azure ends with its host: the path is chosen by `api`.
  const place =
    provider === 'azure' || provider === 'bedrock' ? [] : baseUrlSlips(baseUrl, [...path, 'baseUrl'])
  return [...slips, ...alone, ...place]
}

/** The name is repeated only where it can hardly be anything but a name. */
function variableName(text: unknown, path: readonly (string | number)[]): Finding[] {
  const match = typeof text === 'string' ? /^\$(?:env:)?([A-Za-z_][A-Za-z0-9_]*)$/.exec(text) : null
  if (match === null) return []
  const name = /^[A-Z][A-Z_]{0,39}$/.test(match[1]!) ? match[1]! : 'NAME'
  const message = 'is the text itself, not the value of an environment variable'
  return [{ path, message, suggestion: `did you mean \${env:${name}}?` }]
}

function asWarning(finding: Finding): Finding {
  return { ...finding, severity: 'warning' }
}

const endpointEnding = /\/(?:chat\/completions|completions|responses|embeddings|models)$/

function baseUrlSlips(text: unknown, path: readonly (string | number)[]): Finding[] {
  if (typeof text !== 'string' || !/^https?:/i.test(text) || !URL.canParse(text)) return []
  const { pathname: full, username, password } = new URL(text)
  const pathname = full.replace(/\/+$/, '')
  const ending = endpointEnding.exec(pathname)?.[0]
  if (ending !== undefined) {
    const message = 'ends in the path of one endpoint'
    return [{ path, message, suggestion: `leave ${ending} away: it comes from the request` }]
  }
  // One that is refused anyway needs no advice.
  if (pathname !== '' || username !== '' || password !== '') return []
  const message = 'has no path: most servers have their API below /v1'
  return [{ path, message, suggestion: 'write https://host/v1', severity: 'warning' }]
}

/** A token that is also a client key would let every application administrate; one that is short can be guessed. */
function adminTokens({ admin, access }: Partial<ParsedConfig>): Finding[] {
  if (admin === undefined) return []
  const open = !isLoopback(admin.listen.hostname)
  const seen = new Map<string, string>()
  for (const [index, key] of (access?.keys ?? []).entries()) {
    const hash = key.hash ?? (key.value === undefined ? undefined : hashClientKey(key.value.reveal()))
    if (hash !== undefined) seen.set(hash, `access.keys[${index}]`)
  }
  const findings: Finding[] = []
  const one =
    admin.token === undefined ? [] : [{ path: ['admin', 'token'], value: admin.token, hash: undefined }]
  const several = admin.tokens.map(({ value, hash }, index) => ({
    path: ['admin', 'tokens', index],
    value,
    hash,
  }))
  for (const { path, value, hash = value === undefined ? '' : hashClientKey(value.reveal()) } of [
    ...one,
    ...several,
  ]) {
    const twin = seen.get(hash)
    if (twin !== undefined)
      findings.push({
        path,
        message: `is the same secret as ${twin}`,
        suggestion: 'each needs a token of its own',
      })
    seen.set(hash, pathText(path))
    if (value === undefined || value.reveal().length >= 16) continue
    const message = 'is shorter than 16 characters and can be guessed'
    const suggestion = 'leave it away, and one is made at the first start'
    findings.push({ path, message, suggestion, severity: open ? 'error' : 'warning' })
  }
  return findings
}
