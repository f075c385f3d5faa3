// Where made objects live: collections by name, each in order of making, each bounded. Listing follows OpenAI's cursors: `limit`,
// `order`, `after`, `before`; answers `first_id`, `last_id`, `has_more`.

import type { JsonObject } from './json.ts'
import { invalid } from './reply.ts'

const collectionMax = 2000
const collectionsMax = 5000
/** Lengths as JSON text. */
const collectionLengthMax = 64 * 1024 * 1024
const lengthMax = 256 * 1024 * 1024

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

interface Collection {
  readonly objects: Map<string, { readonly object: JsonObject; readonly length: number }>
  length: number
}

/** Collections of objects by name, such as `assistants` or `threads/thread_1/messages`. */
export class ObjectStore {
  readonly #collections = new Map<string, Collection>()
  #length = 0

  put(collection: string, object: JsonObject): void {
    let found = this.#collections.get(collection)
    if (found === undefined) {
      found = { objects: new Map(), length: 0 }
      this.#collections.set(collection, found)
    }
    const id = idOf(object)
    this.#drop(found, id)
    const { length } = JSON.stringify(object)
    found.objects.set(id, { object, length })
    found.length += length
    this.#length += length
    while (found.objects.size > collectionMax || found.length > collectionLengthMax)
      this.#drop(found, found.objects.keys().next().value!)
    this.#shrink(collection)
  }

  #drop(collection: Collection, id: string): boolean {
    const length = collection.objects.get(id)?.length ?? 0
    collection.length -= length
    this.#length -= length
    return collection.objects.delete(id)
  }

  /** Forgets the oldest collections inside others (`threads/…/messages`) while there is too much of all. */
  #shrink(keep: string): void {
    for (const [name, { length }] of this.#collections) {
      if (this.#collections.size <= collectionsMax && this.#length <= lengthMax) return
      if (name === keep || !name.includes('/')) continue
      this.#collections.delete(name)
      this.#length -= length
    }
  }

  get(collection: string, id: string): JsonObject | null {
    return this.#collections.get(collection)?.objects.get(id)?.object ?? null
  }

  delete(collection: string, id: string): boolean {
    const found = this.#collections.get(collection)
    return found !== undefined && this.#drop(found, id)
  }

  all(collection: string): JsonObject[] {
    return Array.from(this.#collections.get(collection)?.objects.values() ?? [], ({ object }) => object)
  }
}
