// Ids in answers, kept with their owner before the client can see them. A whole answer is looked into before it is passed on; a
// stream is held at the frame that names an object until that is known to every gateway on the store. Chunks of text cost
// a few native searches. Only what a server fills is looked at: see openai/object-ids.ts.

import type { Exchange, Reply } from '../../exchange.ts'
import { ownerOf } from '../../objects/owner.ts'
import { collect, WholeBody } from '../../net/wire/body.ts'
import type { Body } from '../../net/wire/message.ts'
import { idOf, idsInAnswer } from '../../openai/object-ids.ts'
import { firstText } from '../../openai/outermost.ts'
import { eachData } from '../../openai/sse.ts'
import { HeldBody } from './object-stream.ts'
import { unreachable, type ReplyPlace } from './object-rules.ts'

/** Operations whose answers name further objects in places that only the server fills. */
const telling = new Set(
  `responses conversations conversations.items threads threads.messages threads.runs assistants batches uploads vector_stores
  vector_stores.files vector_stores.file_batches containers containers.files fine_tuning.jobs chat.completions videos`.split(
    /\s+/,
  ),
)
const confirmationBytesMax = 64 * 1024
/** As much of a long answer is read for its id. */
const headBytes = 4096
const idName = Buffer.from('"id"')
const storeName = Buffer.from('"store"')
/** Names of events that may show an object for the first time; all other frames pass unread. */
const marks = ['.created', '.added', '.done', '.completed', '.incomplete'].map((text) => Buffer.from(text))

/** Keeps what a good answer tells of objects. @throws Failure('overloaded') where the store cannot be reached */
export function kept(x: Exchange, reply: Reply, place: ReplyPlace): Reply | Promise<Reply> {
  const { endpoint } = place
  const { method, path } = x.request
  if (method === 'DELETE') return endpoint.idSegments.length === 1 ? forgotten(x, reply, place) : reply
  const { body } = reply
  if (body === null || method === 'HEAD' || !mayTell(x, place)) return reply
  // A file's content is what a client wrote.
  return path.endsWith('/content') ? reply : watched(x, reply, { body, place })
}

/** By itself: a function that makes closures pays for them at every call, and nearly no answer is looked into. */
function watched(
  x: Exchange,
  reply: Reply,
  { body, place }: { readonly body: Body; readonly place: ReplyPlace },
): Reply | Promise<Reply> {
  const events = /^text\/event-stream\b/i.test(reply.contentType)
  if (!events && !/^application\/(?:[\w.+-]+\+)?json\b/i.test(reply.contentType)) return reply
  if (!events && body.whole !== null) {
    const ids = wholeIds(x, body.whole, place)
    return ids.length === 0 ? reply : record(x, ids, place).then(() => reply)
  }
  reply.body = new HeldBody(body, {
    events,
    find: events ? eventIds(x, place) : headId(x, place),
    keep: (ids) => record(x, ids, place),
  })
  return reply
}

/** The id that a long answer has at its beginning. */
function headId(x: Exchange, place: ReplyPlace): (bytes: Uint8Array) => readonly string[] | null {
  return (bytes) => {
    if (bytes.length < headBytes) return null
    const id = makes(x, place) ? firstText(bytes, idName) : null
    return id === null ? [] : [id]
  }
}

/** Nearly every chat completion is kept by nobody: one native search says so. */
function mayTell(x: Exchange, { endpoint }: ReplyPlace): boolean {
  if (endpoint.operation === 'unknown') return makes(x, { endpoint })
  if (!endpoint.ownsIds || endpoint.operation === 'organization' || endpoint.operation === 'projects')
    return false
  if (endpoint.operation !== 'chat.completions' || endpoint.idSegments.length > 0) return true
  return x.bodyBytes !== null && Buffer.prototype.indexOf.call(x.bodyBytes, storeName) >= 0
}

/** Whether the answer's own id is that of a new object. */
function makes(x: Exchange, { endpoint }: Pick<ReplyPlace, 'endpoint'>): boolean {
  if (x.request.method !== 'POST') return false
  const last = x.request.path.slice(4).split('/').length - 1
  return !endpoint.idSegments.includes(last)
}

function wholeIds(x: Exchange, bytes: Uint8Array, place: ReplyPlace): string[] {
  let value: unknown
  try {
    value = JSON.parse(Buffer.prototype.utf8Slice.call(bytes))
  } catch {
    return []
  }
  return idsOf(x, value, place)
}

function idsOf(x: Exchange, value: unknown, place: ReplyPlace): string[] {
  const own = makes(x, place) ? idOf(value) : null
  // Where something in nobody's name was let through, what it tells of is in nobody's name either.
  const inside = telling.has(place.endpoint.operation) && !x.unknownObjects ? idsInAnswer(value) : []
  return own === null || inside.includes(own) ? inside : [own, ...inside]
}

function eventIds(x: Exchange, place: ReplyPlace): (bytes: Uint8Array) => readonly string[] {
  let first = true
  const chat = place.endpoint.operation === 'chat.completions'
  return (bytes) => {
    const look = first || (!chat && marks.some((mark) => Buffer.prototype.indexOf.call(bytes, mark) >= 0))
    if (!look) return []
    const ids: string[] = []
    eachData(bytes, (data) => {
      if (!data.startsWith('{')) return
      first = false
      try {
        const value = JSON.parse(data) as { response?: unknown }
        ids.push(...idsOf(x, value, place))
        const made = makes(x, place) ? idOf(value.response) : null
        if (made !== null) ids.push(made)
      } catch {
        // What is no JSON names nothing.
      }
    })
    return ids
  }
}

async function record(x: Exchange, ids: readonly string[], { rules }: ReplyPlace): Promise<void> {
  const owner = ownerOf(x.principal, rules.owner)
  try {
    await rules.objects.record(ids, { owner, account: x.upstream ?? '' })
  } catch (cause) {
    throw unreachable(cause)
  }
}

/** An object is forgotten only when the upstream says that it is gone. */
async function forgotten(x: Exchange, reply: Reply, { rules, endpoint }: ReplyPlace): Promise<Reply> {
  const { body } = reply
  const bytes =
    body === null ? WholeBody.empty.whole : await collect(body, confirmationBytesMax).catch(() => null)
  if (bytes === null) return { ...reply, body: WholeBody.empty }
  if (body !== null) reply.body = new WholeBody(bytes)
  if (!confirms(reply.status, bytes)) return reply
  const id = x.request.path.slice(4).split('/')[endpoint.idSegments[0]!]!
  try {
    await rules.objects.forget(id)
  } catch (cause) {
    throw unreachable(cause)
  }
  return reply
}

function confirms(status: number, bytes: Uint8Array): boolean {
  if (bytes.length === 0) return status === 204
  try {
    return (JSON.parse(Buffer.from(bytes).toString()) as { deleted?: unknown } | null)?.deleted === true
  } catch {
    return false
  }
}
