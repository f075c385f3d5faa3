// How long an answer is kept: as its request says, or the first rule that fits, or the default. Shortened by a part that its
// key decides, so that answers kept together do not all end at once and yet the same answer always ends alike.

import type { CacheOptions, CacheRule } from './options.ts'

/** What rules look at. */
export interface RuleFacts {
  readonly endpoint: string
  readonly model: string | null
  readonly team: string | null
  readonly status: number
  readonly contentType: string
}

/** Milliseconds an answer is fresh; 0 = it is not kept. `asked`: what its request says, null = nothing. */
export function ttlOf(
  facts: RuleFacts,
  options: Pick<CacheOptions, 'rules' | 'ttl'>,
  asked: number | null,
): number {
  const rule = options.rules.find((one) => fits(one, facts))
  // Errors are kept by a rule alone.
  if (facts.status !== 200) return rule?.ttl ?? 0
  if (rule?.ttl === 0) return 0
  return asked ?? rule?.ttl ?? options.ttl
}

function fits({ match }: CacheRule, facts: RuleFacts): boolean {
  const { endpoints, models, teams, status = 200, contentType } = match
  if (status !== facts.status) return false
  if (endpoints !== undefined && !endpoints.some((glob) => isLike(glob, facts.endpoint))) return false
  if (models !== undefined && !models.some((glob) => facts.model !== null && isLike(glob, facts.model)))
    return false
  if (teams !== undefined && !teams.some((team) => team === facts.team)) return false
  if (contentType === undefined) return true
  return isLike(contentType.toLowerCase(), facts.contentType.toLowerCase().replace(/\s*;.*$/, ''))
}

/** `*` stands for any characters. */
function isLike(glob: string, text: string): boolean {
  const parts = glob.split('*')
  if (parts.length === 1) return glob === text
  const last = parts.at(-1)!
  if (!text.startsWith(parts[0]!) || !text.endsWith(last) || text.length < parts[0]!.length + last.length)
    return false
  let at = parts[0]!.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > text.length - last.length) return false
    at = found + part.length
  }
  return true
}

/** `ttlMs` less its jitter: up to `part` of it, as the key decides. */
export function jittered(ttlMs: number, part: number, key: string): number {
  const share = Number.parseInt(key.slice(0, 6), 16) / 0x1000000
  return Math.round(ttlMs * (1 - part * share))
}
