// Requests that name an object go to the account that made it. Where none is on record, a look (GET) asks all accounts, one
// after the other, until one knows the object; anything else goes to the first, since doing it twice could do harm.

import type { Exchange, Reply } from '../../exchange.ts'
import { accountFor, idOfAnswer, type AccountLookup } from './affinity.ts'
import type { Target } from './choice.ts'
import { accountsMax, type Around, type Job } from './job.ts'
import { onlyTo, type Ways } from './plan.ts'
import { Trial } from './trial.ts'

/** The answer of the account that has what the request names. @throws Failure */
export function attemptAtOwner<T extends Target>(job: Job<T>, around: Around<T>): Promise<Reply> {
  const { ways } = job
  const { known, unknownInPath } = accountFor(job.x, around.lookup)
  if (known !== null) return tryOn(job, around, onlyTo(ways, known) ?? ways)
  if (!unknownInPath || ways.all.length === 1) return tryOn(job, around, ways)
  const { method } = job.x.request
  if (method === 'GET' || method === 'HEAD') return askAll(job, around)
  return tryOn(job, around, onlyTo(ways, ways.all[0]!.target.name)!)
}

async function askAll<T extends Target>(job: Job<T>, around: Around<T>): Promise<Reply> {
  const { x, ways } = job
  const names = [...new Set(ways.all.map(({ target }) => target.name))].slice(0, accountsMax)
  for (const [index, name] of names.entries()) {
    const reply = await tryOn(job, around, onlyTo(ways, name)!)
    if (reply.status !== 404 || index === names.length - 1 || x.gone) return reply
    reply.body?.abort()
    const attempt = x.tried.at(-1)
    if (attempt !== undefined) {
      attempt.endedAtMs = around.parts.clock.nowMs()
      attempt.underWay?.over(x, attempt)
    }
  }
  throw new Error('a request has at least one way')
}

function tryOn<T extends Target>(
  { x, send, route }: Job<T>,
  { parts }: Around<T>,
  ways: Ways<T>,
): Promise<Reply> {
  return new Trial(x, send, { route, ways, parts }).run()
}

/** Takes down which account made the object that an answer is. */
export function noteMade(x: Exchange, reply: Reply, lookup: AccountLookup): void {
  const bytes = reply.body?.whole ?? null
  if (bytes === null || reply.status >= 300 || !x.endpoint!.ownsIds || x.upstream === null) return
  // Most chat completions are not kept, and their ids are never asked for.
  if (x.endpoint!.operation === 'chat.completions' && !asksToStore(x)) return
  const id = idOfAnswer(bytes)
  if (id !== null) lookup.made(id, x.upstream)
}

const store = Buffer.from('"store"')

function asksToStore({ bodyBytes }: Exchange): boolean {
  return bodyBytes !== null && Buffer.prototype.indexOf.call(bodyBytes, store) >= 0
}
