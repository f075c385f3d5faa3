// GET /v1/models over all accounts: what the caller may ask for, under the names that are used here. An account that cannot
// be asked is left out: a shorter list is better than none.

import type { Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { matchesGlob } from '../../base/glob.ts'
import type { Target } from './choice.ts'
import { accountsMax, callOnce, listOf, type Around, type Job } from './job.ts'
import { jsonReply } from './json-reply.ts'
import { namesFor } from './model-map.ts'

/** The list of models. @throws Failure where no account can be asked */
export async function mergedModels<T extends Target>(
  job: Job<T>,
  { options, parts }: Around<T>,
): Promise<Reply> {
  const { x, ways } = job
  const nowMs = parts.clock.nowMs()
  const open = ways.all.filter((choice) => choice.isOpen(nowMs))
  const asked = (open.length > 0 ? open : ways.all).slice(0, accountsMax)
  const answers = await Promise.all(asked.map((choice) => callOnce(job, choice)))
  const merged = new Map<string, Record<string, unknown>>()
  let failed: Reply | Failure | null = null
  let lists = 0
  for (const [index, answer] of answers.entries()) {
    const list = answer instanceof Failure || answer.status >= 300 ? null : await listOf(answer)
    if (list === null) {
      failed = answer
      continue
    }
    lists++
    const { models } = options.members.find(({ target }) => target === asked[index]!.target)!
    const byId = new Map(list.map((item) => [String(item['id']), item]))
    for (const { name, of } of namesFor(models, [...byId.keys()])) {
      if (!merged.has(name) && mayUse(x.principal.models, name))
        merged.set(name, { ...byId.get(of), id: name })
    }
  }
  if (lists === 0) {
    if (failed instanceof Failure) throw failed
    return failed!.status >= 300 ? failed! : unreadable()
  }
  const text = JSON.stringify({ object: 'list', data: [...merged.values()] })
  return jsonReply(text)
}

function mayUse(globs: readonly string[] | null, name: string): boolean {
  return globs === null || globs.some((glob) => matchesGlob(glob, name))
}

function unreadable(): never {
  throw new Failure('upstream_unavailable', 'The upstream answered with something that is no list of models.')
}
