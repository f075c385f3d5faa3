// Where made objects live: collections by name, each in order of making, each bounded. Listing follows OpenAI's cursors: `limit`,
// `order`, `after`, `before`; answers `first_id`, `last_id`, `has_more`.

import type { JsonObject } from './json.ts'
import { invalid } from './reply.ts'

const collectionMax = 2000
const collectionsMax = 5000

/** A page of a collection. */
export interface Page {
  readonly object: 'list'
  readonly data: JsonObject[]
  readonly first_id: string | null
  readonly last_id: string | null
  readonly has_more: boolean
}

function idOf(object: JsonObject): string {
  return String(object['id'])
}

/** A page out of objects in order of making. @throws Refusal 400 for a bad `limit` or `order` */
export function pageOf(
  objects: readonly JsonObject[],
  query: URLSearchParams,
  defaultOrder: 'asc' | 'desc' = 'desc',
): Page {
  const limit = Number(query.get('limit') ?? '20')
  if (!Number.isInteger(limit) || limit < 0)
    throw invalid("Invalid 'limit': expected a positive integer.", 'limit')
  const order = query.get('order') ?? defaultOrder
  if (order !== 'asc' && order !== 'desc')
    throw invalid("Invalid 'order': expected one of 'asc' or 'desc'.", 'order')
  let rows = order === 'asc' ? [...objects] : [...objects].reverse()
  const after = query.get('after')
  const before = query.get('before')
  if (after !== null) rows = rows.slice(rows.findIndex((row) => idOf(row) === after) + 1)
  const end = before === null ? -1 : rows.findIndex((row) => idOf(row) === before)
  if (end >= 0) rows = rows.slice(0, end)
  const data = rows.slice(0, Math.min(limit, 1000))
  const [first] = data
  const last = data.at(-1)
  return {
    object: 'list',
    data,
    first_id: first === undefined ? null : idOf(first),
    last_id: last === undefined ? null : idOf(last),
    has_more: rows.length > data.length,
  }
}

/** Collections of objects by name, such as `assistants` or `threads/thread_1/messages`. */
export class ObjectStore {
  readonly #collections = new Map<string, Map<string, JsonObject>>()

  put(collection: string, object: JsonObject): void {
    let objects = this.#collections.get(collection)
    if (objects === undefined) {
      objects = new Map()
      this.#collections.set(collection, objects)
      if (this.#collections.size > collectionsMax)
        this.#collections.delete(this.#collections.keys().next().value!)
    }
    objects.set(idOf(object), object)
    if (objects.size > collectionMax) objects.delete(objects.keys().next().value!)
  }

  get(collection: string, id: string): JsonObject | null {
    return this.#collections.get(collection)?.get(id) ?? null
  }

  delete(collection: string, id: string): boolean {
    return this.#collections.get(collection)?.delete(id) ?? false
  }

  all(collection: string): JsonObject[] {
    return [...(this.#collections.get(collection)?.values() ?? [])]
  }
}
