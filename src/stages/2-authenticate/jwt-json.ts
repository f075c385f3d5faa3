// JSON that means one thing only. Two members of one name are refused at any depth: which of them counts would depend
// on the reader, and the issuer's own check may have read the other one.

import { namesDiffer } from '../../base/distinct-names.ts'

/** A JSON object whose members are its own: no prototype answers for a name that is missing. */
export type JsonObject = Readonly<Record<string, unknown>>

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The object that these bytes hold; null where they hold anything else, or say something twice. */
export function readJsonObject(bytes: Uint8Array): JsonObject | null {
  try {
    const text = decoder.decode(bytes)
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    return namesDiffer(text) ? (value as JsonObject) : null
  } catch {
    return null
  }
}

/** The member of this name; undefined where the object has none of its own. */
export function member(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}
