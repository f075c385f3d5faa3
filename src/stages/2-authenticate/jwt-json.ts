// JSON that means one thing only. Two members of one name are refused at any depth: which of them counts would depend
// on the reader, and the issuer's own check may have read the other one.

/** A JSON object whose members are its own: no prototype answers for a name that is missing. */
export type JsonObject = Readonly<Record<string, unknown>>

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const depthMax = 16

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

/** Whether every object of a valid JSON text names each member once; false also where it is nested too deeply. */
function namesDiffer(text: string): boolean {
  const open: (Set<string> | null)[] = []
  let atName = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : null)
      if (open.length > depthMax) return false
      atName = char === '{'
    } else if (char === '}' || char === ']') {
      open.pop()
      atName = false
    } else if (char === ',') atName = open.at(-1) !== null
    else if (char === '"') {
      const end = stringEnd(text, at)
      if (atName) {
        const names = open.at(-1)!
        const name = JSON.parse(text.slice(at, end + 1)) as string
        if (names.has(name)) return false
        names.add(name)
        atName = false
      }
      at = end
    }
  }
  return true
}

/** Offset of the quote that ends the string begun at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
}
