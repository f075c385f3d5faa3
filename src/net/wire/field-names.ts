// Header field names as small numbers. A head is scanned once; a name that somebody in the program cares about gets its
// number there and then, without making a string, and every later question (is it there, twice, to be dropped?) compares
// numbers. Names nobody registered are 0 and pass through unnamed. Equality is checked letter by letter behind the hash:
// a sender may choose names that collide.

interface Registered {
  readonly name: string
  readonly id: number
}

const byHash = new Map<number, Registered>()
const byName = new Map<string, number>()

/** The number of a field name (lower-case), given at its first call; for module level, so that the table is complete early. */
export function fieldId(name: string): number {
  const known = byName.get(name)
  if (known !== undefined) return known
  const id = byName.size + 1
  const hash = hashOf(name, 0, name.length)
  if (byHash.has(hash)) throw new Error(`the hash of the field name ${name} is taken: change hashOf`)
  byHash.set(hash, { name, id })
  byName.set(name, id)
  return id
}

/** The number of a registered name (lower-case), or 0. */
export function knownFieldId(name: string): number {
  return byName.get(name) ?? 0
}

/** The number of the name at `text[start, end)` in whatever case, or 0. `hash` as `foldHash` makes it. */
// oxlint-disable-next-line max-params -- an object for each field would cost more than the look-up
export function fieldIdAt(text: string, start: number, end: number, hash: number): number {
  const found = byHash.get(hash)
  return found !== undefined && isName(text, start, end, found.name) ? found.id : 0
}

/** One step of the hash over a name's characters; both cases of a letter give the same. */
export function foldHash(hash: number, code: number): number {
  return (Math.imul(hash, 31) + (code | 0x20)) | 0
}

function hashOf(text: string, start: number, end: number): number {
  let hash = 0
  for (let at = start; at < end; at++) hash = foldHash(hash, text.charCodeAt(at))
  return hash
}

/** Whether `text[start, end)` is `name` (lower-case), whatever its case. */
// oxlint-disable-next-line max-params -- an object for each field would cost more than the look-up
function isName(text: string, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false
  for (let at = 0; at < name.length; at++) {
    const code = text.charCodeAt(start + at)
    const lower = code >= 65 && code <= 90 ? code + 32 : code
    if (lower !== name.charCodeAt(at)) return false
  }
  return true
}

// What is asked for by name at nearly every message.
for (const name of 'date content-type content-encoding user-agent x-request-id'.split(' ')) fieldId(name)
