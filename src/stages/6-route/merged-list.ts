// Lists of objects (files, batches, …) over all accounts, newest first as each account gives them. A client pages with the
// id of the last item it has seen; where each account stands behind that item is remembered here for a while. A cursor that
// is not remembered, such as of another gateway, is found again by reading from the start, up to a bound. Where an account
// cannot be asked there is no list: one that lacks items would look complete.

import type { Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Choice, Target } from './choice.ts'
import { accountsMax, callOnce, listOf, type Around, type Job } from './job.ts'
import { jsonReply } from './json-reply.ts'

const lists = new Set(
  `chat/completions files batches vector_stores containers skills assistants evals fine_tuning/jobs videos
  audio/voice_consents chatkit/threads`
    .split(/\s+/)
    .map((path) => `/v1/${path}`),
)

const limitUsual = 20
const limitMax = 1000
const pagesMax = 50
const skippedMax = 5000
const cursorsMax = 2000

type Item = Record<string, unknown>

/** The merged list, where the request is for one; null where it is not. @throws Failure */
export function mergedList<T extends Target>(job: Job<T>, around: Around<T>): Promise<Reply> | null {
  const { request } = job.x
  if (!lists.has(request.path) || request.upgrade !== null) return null
  return new Merge(job, around).run()
}

class Merge<T extends Target> {
  readonly #wanted: URLSearchParams
  readonly #limit: number
  readonly #sources: Source<T>[]
  readonly #scope: string
  #failed: Reply | Failure | null = null
  #pages = 0

  constructor(
    private readonly job: Job<T>,
    private readonly around: Around<T>,
  ) {
    const { x, ways } = job
    this.#wanted = new URLSearchParams(x.request.query)
    if (this.#wanted.has('before')) {
      const message = 'Lists over several upstream accounts are paged with "after" only.'
      throw new Failure('bad_request', message, { param: 'before' })
    }
    const limit = Number(this.#wanted.get('limit') ?? limitUsual)
    if (!Number.isInteger(limit) || limit < 1)
      throw new Failure('bad_request', 'limit must be a whole number of at least 1.', { param: 'limit' })
    this.#limit = Math.min(limit, limitMax)
    this.#sources = ways.all
      .slice(0, accountsMax)
      .map((choice) => ({ choice, last: null, items: [], more: true }))
    const filters = new URLSearchParams(this.#wanted)
    for (const name of ['after', 'limit']) filters.delete(name)
    const { team, key, user } = x.principal
    this.#scope = JSON.stringify([x.request.path, filters.toString(), team, key, user])
  }

  async run(): Promise<Reply> {
    const after = this.#wanted.get('after')
    const known = after === null ? undefined : this.around.cursors.get(this.#scope + after)
    if (known !== undefined)
      for (const source of this.#sources) source.last = known.get(source.choice.target.name) ?? null
    if (after !== null && known === undefined && !(await this.#skipTo(after))) return this.#told()
    const data: Item[] = []
    while (data.length < this.#limit) {
      const item = await this.#take()
      if (item === null) break
      data.push(item)
    }
    const more = await this.#hasMore()
    if (this.#failed !== null) return this.#told()
    const last = data.length === 0 ? null : String(data.at(-1)!['id'])
    if (last !== null && more) this.#remember(last)
    const [first] = data
    return jsonReply(
      JSON.stringify({
        object: 'list',
        data,
        first_id: first?.['id'] ?? null,
        last_id: last,
        has_more: more,
      }),
    )
  }

  async #skipTo(after: string): Promise<boolean> {
    for (let count = 0; count < skippedMax; count++) {
      const item = await this.#take()
      if (item === null) break
      if (item['id'] === after) return true
    }
    this.#failed ??= new Failure('bad_request', 'No item of this list has the id given as "after".', {
      param: 'after',
    })
    return false
  }

  /** The next item of all; null where there is none, or an account failed. */
  async #take(): Promise<Item | null> {
    await Promise.all(this.#sources.map((source) => this.#fill(source)))
    if (this.#failed !== null) return null
    const ascending = this.#wanted.get('order') === 'asc'
    let best: Source<T> | null = null
    for (const source of this.#sources) {
      if (source.items.length === 0) continue
      if (best === null || comesBefore(source.items[0]!, best.items[0]!, ascending)) best = source
    }
    if (best === null) return null
    const item = best.items.shift()!
    best.last = String(item['id'])
    this.around.lookup.made(best.last, best.choice.target.name)
    return item
  }

  async #hasMore(): Promise<boolean> {
    await Promise.all(this.#sources.map((source) => this.#fill(source)))
    return this.#sources.some(({ items }) => items.length > 0)
  }

  async #fill(source: Source<T>): Promise<void> {
    if (source.items.length > 0 || !source.more || this.#failed !== null) return
    if (++this.#pages > pagesMax * this.#sources.length) {
      this.#failed = new Failure(
        'bad_request',
        'This list is too long to be read at once. Ask for fewer with "limit".',
      )
      return
    }
    const query = new URLSearchParams(this.#wanted)
    query.delete('after')
    query.set('limit', String(Math.min(100, this.#limit)))
    if (source.last !== null) query.set('after', source.last)
    const answer = await callOnce(this.job, source.choice, `?${query.toString()}`)
    if (answer instanceof Failure || answer.status >= 300) {
      this.#failed = answer
      return
    }
    const items = await listOf(answer)
    if (items === null)
      this.#failed = new Failure(
        'upstream_unavailable',
        'An upstream answered with something that is no list.',
      )
    else source.items.push(...items)
    source.more = items !== null && items.length >= Math.min(100, this.#limit)
  }

  #told(): Reply {
    if (this.#failed instanceof Failure) throw this.#failed
    return this.#failed!
  }

  #remember(last: string): void {
    const { cursors } = this.around
    if (cursors.size >= cursorsMax) cursors.delete(cursors.keys().next().value!)
    const places = this.#sources.flatMap((each): [string, string][] =>
      each.last === null ? [] : [[each.choice.target.name, each.last]],
    )
    cursors.set(this.#scope + last, new Map(places))
  }
}

interface Source<T extends Target> {
  readonly choice: Choice<T>
  /** Id of the last item taken. */
  last: string | null
  readonly items: Item[]
  more: boolean
}

function comesBefore(one: Item, other: Item, ascending: boolean): boolean {
  const [a, b] = [madeAt(one), madeAt(other)]
  return ascending ? a < b : a > b
}

function madeAt(item: Item): number {
  const at = item['created_at'] ?? item['created']
  return typeof at === 'number' ? at : 0
}
