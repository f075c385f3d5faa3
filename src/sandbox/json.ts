// Reading JSON that a stranger wrote: each accessor answers null where the value is of another kind, so that endpoint code states
// what it expects and refuses the rest, without casts.

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject

/** A JSON object; a missing member reads as undefined. */
export interface JsonObject {
  [key: string]: Json | undefined
}

/** The value as an object, or null. */
export function asObject(value: Json | undefined): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
}

/** The value as a list, or null. */
export function asList(value: Json | undefined): Json[] | null {
  return Array.isArray(value) ? value : null
}

/** The value as text, or null. */
export function asText(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null
}

/** The value as a number, or null. */
export function asNumber(value: Json | undefined): number | null {
  return typeof value === 'number' ? value : null
}

/** The objects of a list; what is no object is left out, what is no list is empty. */
export function objectsIn(value: Json | undefined): JsonObject[] {
  const found: JsonObject[] = []
  for (const item of asList(value) ?? []) {
    const object = asObject(item)
    if (object !== null) found.push(object)
  }
  return found
}
