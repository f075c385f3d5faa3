// `headgate cache explain A B`: would these two requests share an answer under this configuration, and if not, what tells them
// apart? Asks no gateway and no upstream: the digests are made here, by the code that makes them for requests.

import { explainCache, type ExplainedPair } from '../assemble.ts'
import { systemClock } from '../base/clock.ts'
import { formatDuration } from '../base/duration.ts'
import { newExchangeId } from '../base/id.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigProblems } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { Exchange, nobody, type Principal } from '../exchange.ts'
import { KeyFailure } from '../keys/key-service.ts'
import { WholeBody } from '../net/wire/body.ts'
import { HeaderBlock } from '../net/wire/headers.ts'
import { StorageFailure } from '../storage/open.ts'
import type { CacheOptions } from './cache.ts'
import { hasStore, noStoreText } from './existing-store.ts'
import { printError, printed } from './print.ts'
import { readRequestFile, type RequestFile } from './request-file.ts'
import { openStore } from './store.ts'

/** Options of `cache explain`. */
export interface ExplainOptions extends CacheOptions {
  readonly path?: string
  readonly key?: string
}

/** Something that is said in one line. */
class Said extends Error {}

/** `cache explain`. @returns 0 where they share an answer, 1 where they do not or cannot be read */
export async function runCacheExplain(
  files: readonly [string, string],
  options: ExplainOptions,
): Promise<number> {
  try {
    const { config } = await loadConfig({ file: options.config, data: options.data })
    const [first, second] = [await readFile(files[0], options), await readFile(files[1], options)]
    const callers = await principals(config, [first.key, second.key])
    const pair = [exchangeOf(first, callers[0]!), exchangeOf(second, callers[1]!)] as const
    const told = explainCache(config, pair)
    const shown = options.format === 'json' ? JSON.stringify(told, null, 2) : inWords(told, files)
    const code = printed(shown)
    return code === 0 && !told.share ? 1 : code
  } catch (cause) {
    if (cause instanceof ConfigProblems) printError(`${cause.format('headgate: ')}\n`)
    else if (cause instanceof Said || cause instanceof StorageFailure || cause instanceof KeyFailure)
      printError(`headgate: ${cause.message}\n`)
    else throw cause
    return cause instanceof Said ? 2 : 1
  }
}

async function readFile(file: string, { path, key }: ExplainOptions): Promise<RequestFile> {
  const read = await readRequestFile(file, path ?? null)
  if ('wrong' in read) throw new Said(`cannot use ${file}: ${read.wrong}`)
  return { ...read, key: read.key ?? key ?? null }
}

/** Whoever sends them, if it is not said: one and the same key, without a team. */
const somebody: Principal = { ...nobody, kind: 'key', key: 'the same key' }

async function principals(config: Config, names: readonly (string | null)[]): Promise<Principal[]> {
  const found = new Map<string | null, Principal>([[null, somebody]])
  for (const { name, team, app, user, env } of config.access.keys)
    found.set(name, { ...nobody, kind: 'key', key: name, team, app, user, env })
  const ids = names.filter((name): name is string => name !== null && !found.has(name))
  if (ids.some((id) => !id.startsWith('key_')))
    throw new Said(
      `there is no key "${ids.find((id) => !id.startsWith('key_'))}" in the configuration: say the name of one of access.keys, or the id of a stored key (headgate keys list).`,
    )
  if (ids.length > 0) {
    if (!hasStore(config.storage)) throw new StorageFailure(noStoreText(config.storage))
    const store = await openStore(config.storage, { event: () => {}, revoked: () => {} })
    try {
      for (const id of ids) {
        const { name, team, app, user, env } = await store.keys.show(id)
        found.set(id, { ...nobody, kind: 'key', key: name, keyId: id, team, app, user, env })
      }
    } finally {
      await store.close()
    }
  }
  return names.map((name) => found.get(name)!)
}

function exchangeOf({ method, path, headers, body }: RequestFile, principal: Principal): Exchange {
  const mark = path.indexOf('?')
  const request = {
    method,
    path: mark < 0 ? path : path.slice(0, mark),
    query: mark < 0 ? '' : path.slice(mark),
    headers: HeaderBlock.fromPairs(headers),
    body: null,
    peerAddress: '127.0.0.1',
    upgrade: null,
  }
  const x = new Exchange(newExchangeId(), request, systemClock)
  x.principal = principal
  x.requestBody = body === null ? null : new WholeBody(Buffer.from(body, 'utf8'))
  return x
}

function inWords(told: ExplainedPair, files: readonly [string, string]): string {
  const { share, a, b, differences, cut, sharedTexts } = told
  const lines = [...requestLines('A', files[0], a), ...requestLines('B', files[1], b), '']
  if (share) lines.push('They share an answer.')
  else if (differences.length === 0)
    lines.push('They ask for the same, but share no stored answer: see above.')
  else {
    lines.push(
      `They do not share an answer. ${differences.length === 1 ? 'The difference' : 'The differences'}:`,
    )
    for (const { where, a: one, b: other } of differences)
      lines.push(`  ${where}`, `    A  ${one ?? '(not there)'}`, `    B  ${other ?? '(not there)'}`)
    if (cut) lines.push('  … and more')
  }
  if (sharedTexts > 0)
    lines.push(
      `${sharedTexts} of the texts to embed ${sharedTexts === 1 ? 'is' : 'are'} in both: asked for once.`,
    )
  return lines.join('\n')
}

function requestLines(name: string, file: string, one: ExplainedPair['a']): string[] {
  const { endpoint, model, stream, key, why, ttlMs } = one
  const what = [endpoint ?? 'an endpoint without a cache', model, stream ? 'as a stream' : null]
  const lines = [`${name}  ${file}: ${what.filter((part) => part !== null).join(', ')}`]
  if (why.length === 0) lines.push(`   cacheable, fresh for ${formatDuration(ttlMs)}`)
  for (const reason of why) lines.push(`   not answered from the cache: ${reason}`)
  if (key !== null) lines.push(`   key ${key}`)
  return lines
}
