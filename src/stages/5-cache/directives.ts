// What a client says about the cache, in header fields: `cache-control` as in RFC 9111 section 5.2.1, and our own. `no-cache`
// asks the upstream and keeps its answer; `no-store` and `x-no-cache` have nothing to do with the cache at all.

import { parseDuration } from '../../base/duration.ts'
import { Finding } from '../../base/known-bytes.ts'
import { Failure } from '../../failure.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

/** What a client wants. */
export interface Directives {
  /** Whether a stored answer will do. */
  readonly read: boolean
  /** Whether the answer may be stored. */
  readonly write: boolean
  readonly onlyIfCached: boolean
  /** Oldest answer that will do, in seconds. */
  readonly maxAgeSeconds: number
  /** For how long an answer is to be kept; null = as configured. */
  readonly ttlMs: number | null
  readonly tags: readonly string[]
}

/** What holds where a client says nothing. */
export const noDirectives: Directives = {
  read: true,
  write: true,
  onlyIfCached: false,
  maxAgeSeconds: Infinity,
  ttlMs: null,
  tags: [],
}

const cacheControl = fieldId('cache-control')
const noCache = fieldId('x-no-cache')
const ttl = fieldId('x-headgate-cache-ttl')
const tag = fieldId('x-headgate-cache-tag')

const ttlMaxMs = 365 * 86_400_000
const tagsMax = 16

/** Reads them: the one object where nothing is said. @throws Failure('bad_request') */
export function directivesOf(headers: HeaderBlock): Directives {
  return directives.of(headers.known, headers)
}

const directives = new Finding((headers: HeaderBlock): Directives => {
  for (let index = 0; index < headers.size; index++) {
    const id = headers.id(index)
    if (id !== 0 && (id === cacheControl || id === noCache || id === ttl || id === tag)) return read(headers)
  }
  return noDirectives
})

function read(headers: HeaderBlock): Directives {
  const found = {
    ...noDirectives,
    ttlMs: ttlOf(headers.get('x-headgate-cache-ttl')),
    tags: tagsOf(headers),
  }
  for (const token of headers.tokens('cache-control')) {
    if (token === 'no-cache') found.read = false
    else if (token === 'no-store') found.read = found.write = false
    else if (token === 'only-if-cached') found.onlyIfCached = true
    else if (token.startsWith('max-age=')) {
      const seconds = /^max-age="?(\d{1,10})"?$/.exec(token)?.[1]
      // One that cannot be read asks for a fresh answer (RFC 9111 section 4.2.1).
      found.maxAgeSeconds = Math.min(found.maxAgeSeconds, seconds === undefined ? 0 : Number(seconds))
    }
  }
  const own = headers.get('x-no-cache')
  if (own !== null && !/^(?:|0|false|no)$/i.test(own)) found.read = found.write = false
  return found
}

function ttlOf(text: string | null): number | null {
  if (text === null) return null
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : parseDuration(text)
  if (ms !== null && ms <= ttlMaxMs) return ms
  throw new Failure(
    'bad_request',
    'x-headgate-cache-ttl must be seconds, or a duration such as 90s, 10m or 24h, of one year at most.',
    { param: 'x-headgate-cache-ttl' },
  )
}

function tagsOf(headers: HeaderBlock): readonly string[] {
  if (headers.findId(tag) < 0) return noDirectives.tags
  const tags: string[] = []
  for (let index = 0; index < headers.size; index++) {
    if (headers.id(index) !== tag) continue
    for (const part of headers.value(index).split(',')) if (part.trim() !== '') tags.push(part.trim())
  }
  if (tags.length <= tagsMax && tags.every((one) => /^[A-Za-z0-9_.:/@-]{1,64}$/.test(one))) return tags
  throw new Failure(
    'bad_request',
    'x-headgate-cache-tag must be up to 16 tags with commas between them, each of 1 to 64 letters, digits and _.:/@-.',
    { param: 'x-headgate-cache-tag' },
  )
}

/** What `only-if-cached` gets where nothing is kept. */
export function notCached(): Failure {
  return new Failure(
    'not_cached',
    'There is no stored answer to this request, and it asks for nothing else (only-if-cached). Ask without that directive.',
  )
}
