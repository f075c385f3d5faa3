// Objects that are only made, shown, changed and deleted: one table of what makes each kind itself (path, `object`, id prefix, members
// beyond what was posted), one set of handlers for all of them.

import { asText } from './json.ts'
import type { JsonObject } from './json.ts'
import { pageOf } from './object-store.ts'
import { jsonReply, missing } from './reply.ts'
import type { Reply } from './reply.ts'
import type { Call, Handler, Route } from './world.ts'

/** A kind of object. */
export interface Kind {
  /** `/v1/assistants`; a nested one names its parents: `/v1/threads/:thread/messages`. */
  readonly path: string
  readonly object: string
  readonly prefix: string
  /** `object` of a deletion; default `<object>.deleted`. */
  readonly deleted?: string
  readonly createdField?: string
  /** Members beside id, object, time and what was posted. @throws Refusal for a bad body */
  readonly members?: (call: Call, body: JsonObject) => JsonObject
  /** Which of `create`, `update` and `delete` it has; list and get are always there. */
  readonly verbs?: readonly ('create' | 'update' | 'delete')[]
  /** Default order of lists. */
  readonly order?: 'asc' | 'desc'
}

/** The collection a call's path belongs to, its parents' ids filled in. */
export function collectionOf(path: string, call: Call): string {
  return path.replace('/v1/', '').replace(/:(\w+)/g, (_, name: string) => call.param(name))
}

/** A parent must be there: `threads/thread_x` for `threads/thread_x/messages`. @throws Refusal 404 */
function checkParent(path: string, call: Call): void {
  const parts = collectionOf(path, call).split('/')
  if (!path.includes('/:')) return
  const id = parts.at(-2)!
  const collection = parts.slice(0, -2).join('/')
  if (call.world.objects.get(collection, id) === null)
    throw missing(`No ${collection.split('/').at(-1)!.replace(/s$/, '')} found with id '${id}'.`)
}

/** The object a call names. @throws Refusal 404 */
export function objectOf(kind: Kind, call: Call): JsonObject {
  const id = call.param('id')
  const found = call.world.objects.get(collectionOf(kind.path, call), id)
  if (found === null) throw missing(`No ${kind.object.replaceAll(/[._]/g, ' ')} found with id '${id}'.`)
  return found
}

/** Makes and keeps an object of a kind. */
export function makeObject(kind: Kind, call: Call, body: JsonObject): JsonObject {
  checkParent(kind.path, call)
  const own = kind.members?.(call, body) ?? {}
  const id = asText(own['id']) ?? call.world.ids.id(kind.prefix)
  const metadata = body['metadata'] ?? {}
  const object = {
    id,
    object: kind.object,
    [kind.createdField ?? 'created_at']: call.world.nowS(),
    ...body,
    metadata,
    ...own,
  }
  call.world.objects.put(collectionOf(kind.path, call), object)
  return object
}

/** Changes members of a kept object and gives it. */
export function changeObject(kind: Kind, call: Call, change: JsonObject): JsonObject {
  const changed = { ...objectOf(kind, call), ...change }
  call.world.objects.put(collectionOf(kind.path, call), changed)
  return changed
}

function deletion(kind: Kind): Handler {
  return (call: Call): Reply => {
    const { id } = objectOf(kind, call)
    call.world.objects.delete(collectionOf(kind.path, call), String(id))
    return jsonReply({ id, object: kind.deleted ?? `${kind.object}.deleted`, deleted: true })
  }
}

/** The routes of a kind. */
export function objectRoutes(kind: Kind): Route[] {
  const one = `${kind.path}/:id`
  const verbs = kind.verbs ?? ['create', 'update', 'delete']
  const list = (call: Call): Reply => {
    checkParent(kind.path, call)
    return jsonReply(pageOf(call.world.objects.all(collectionOf(kind.path, call)), call.query, kind.order))
  }
  const routes: Route[] = [
    ['GET', kind.path, list],
    ['GET', one, (call) => jsonReply(objectOf(kind, call))],
  ]
  if (verbs.includes('create'))
    routes.push(['POST', kind.path, (call) => jsonReply(makeObject(kind, call, call.jsonOrNone()))])
  if (verbs.includes('update'))
    routes.push(['POST', one, (call) => jsonReply(changeObject(kind, call, call.jsonOrNone()))])
  if (verbs.includes('delete')) routes.push(['DELETE', one, deletion(kind)])
  return routes
}
