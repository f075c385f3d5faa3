// Lists of objects, cut down to the caller's own. The upstream pages through the objects of everybody, so a page may come out
// empty while more follow; clients take the next cursor from a page's last element and would stop there. So such a page is
// passed over and the next one asked for, up to a bound. What cannot be read as a page is refused, never passed on.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { collect, WholeBody } from '../../net/wire/body.ts'
import { WireError } from '../../net/wire/message.ts'
import type { ObjectRecord } from '../../objects/objects.ts'
import { ownerOf } from '../../objects/owner.ts'
import { ListPage } from '../../openai/list-page.ts'
import { idOf, idsInAnswer, isObjectId } from '../../openai/object-ids.ts'
import { unreachable, type ReplyPlace } from './object-rules.ts'

const pageBytesMax = 8 * 1024 * 1024
/** Pages asked for on behalf of one request. */
const pagesMax = 100
/** Elements of each of those; every list takes as many. */
const furtherLimit = 100

export interface ListPlace extends ReplyPlace {
  readonly ask: (x: Exchange) => Promise<Reply>
}

/** The caller's part of a list; null where the reply is none. @throws Failure('upstream_unavailable' | 'overloaded') */
export function shownList(x: Exchange, reply: Reply, place: ListPlace): Promise<Reply> | null {
  const { operation, ownsIds, idSegments } = place.endpoint
  const { method } = x.request
  if (isOpen(operation)) {
    // Whether it answers with a list shows only here; models are everybody's, but for those that somebody had made.
    if (reply.body === null || !isJson(reply) || method === 'HEAD') return null
    return reply.body.whole !== null || place.rules.several() ? shown(x, reply, place) : null
  }
  const account = operation === 'organization' || operation === 'projects'
  if ((method !== 'GET' && method !== 'HEAD') || !ownsIds || account || idSegments.length > 0) return null
  if (method === 'GET') return shown(x, reply, place)
  // The length of the whole list is nobody's business.
  reply.body = new WholeBody(WholeBody.empty.whole, -1)
  return Promise.resolve(reply)
}

function isOpen(operation: string): boolean {
  return operation === 'unknown' || operation === 'models'
}

async function shown(x: Exchange, first: Reply, place: ListPlace): Promise<Reply> {
  let reply = first
  for (let pages = 1; ; pages++) {
    const bytes = await pageBytes(reply, place)
    const page = bytes === null ? null : ListPage.read(bytes)
    if (page === null) {
      // Of one owner alone an upstream may answer as it likes, as long as it shows no elements.
      const harmless = bytes !== null && !isFenced(place) && ListPage.isOther(bytes)
      if (bytes === null || !(isOpen(place.endpoint.operation) || harmless)) throw unreadable()
      reply.body = new WholeBody(bytes)
      return reply
    }
    const places = await ownPlaces(x, page, place)
    const cursor = places.length === 0 && page.hasMore ? idOf(page.items.at(-1)) : null
    const next = cursor === null ? null : further(x.request.query, cursor)
    if (next === null) {
      const wanted = pages === 1 ? Infinity : asked(x.request.query)
      const fits = places.slice(0, wanted)
      const whole = fits.length === page.items.length
      reply.body = new WholeBody(whole ? bytes! : page.withOnly(fits, page.hasMore || places.length > wanted))
      return reply
    }
    if (pages > pagesMax) throw tooSparse()
    x.query = next
    reply = await place.ask(x)
    if (reply.status < 200 || reply.status >= 300) return reply
  }
}

/** The page's bytes; null where they cannot be had. */
async function pageBytes(reply: Reply, place: ListPlace): Promise<Uint8Array | null> {
  const { body } = reply
  if (body === null) return WholeBody.empty.whole
  if (!isJson(reply)) {
    body.abort()
    return null
  }
  const bytes = await collect(body, pageBytesMax).catch((cause: unknown) => {
    if (!(cause instanceof WireError)) throw cause
    throw new Failure('upstream_unavailable', 'The upstream broke off its answer.', {
      detail: `${cause.fault}: ${cause.detail}`,
      retryable: place.endpoint.repeatable,
    })
  })
  return bytes
}

function isJson({ contentType }: Reply): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)
}

/** Places of the elements that the caller may see. What they show of further objects is the caller's too, and is kept. */
async function ownPlaces(x: Exchange, page: ListPage, { rules, endpoint }: ListPlace): Promise<number[]> {
  const owner = ownerOf(x.principal, rules.owner)
  const ids = page.items.map(idOf)
  const fenced = isFenced({ rules, endpoint })
  const isKnownKind = !isOpen(endpoint.operation)
  let records: ReadonlyMap<string, ObjectRecord>
  const inside: string[] = []
  const places: number[] = []
  try {
    records = await rules.objects.find([...new Set(ids.filter((id) => id !== null))], owner)
    for (const [index, id] of ids.entries()) {
      const record = id === null ? undefined : records.get(id)
      if (record?.owner === owner) {
        places.push(index)
        if (isKnownKind) inside.push(...idsInAnswer(page.items[index]))
      } else if (record === undefined) {
        const isObject = isKnownKind || (endpoint.operation === 'unknown' && id !== null && isObjectId(id))
        if (!fenced || !isObject) places.push(index)
      }
    }
    const fresh = inside.filter((id) => !records.has(id))
    if (fresh.length > 0) await rules.objects.record(fresh, { owner, account: x.upstream ?? '' })
  } catch (cause) {
    throw unreachable(cause)
  }
  return places
}

function isFenced({ rules }: ReplyPlace): boolean {
  return rules.unknown === 'deny' && rules.several()
}

/** How many elements the client asked for. */
function asked(query: string): number {
  const limit = Number(new URLSearchParams(query).get('limit') ?? Number.NaN)
  return Number.isInteger(limit) && limit > 0 ? limit : Infinity
}

/** The query for the page behind `cursor`; null where the client pages backwards, for which there is no such page. */
function further(query: string, cursor: string): string | null {
  const values = new URLSearchParams(query)
  if (values.has('before')) return null
  values.set('after', cursor)
  const limit = asked(query)
  if (limit < furtherLimit) values.set('limit', String(furtherLimit))
  return `?${values.toString()}`
}

function unreadable(): Failure {
  return new Failure(
    'upstream_unavailable',
    'The upstream answered with a list that cannot be read, so it is not shown.',
    {
      retryable: false,
    },
  )
}

function tooSparse(): Failure {
  return new Failure(
    'overloaded',
    'Too many objects of others lie between yours. Keep the ids of your own, or ask for an upstream account of your own.',
    { retryable: false },
  )
}
