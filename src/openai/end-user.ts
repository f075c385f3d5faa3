// Whom an application says it asks for: `safety_identifier`, or `user`, which it replaces (platform.openai.com, API
// reference of chat and responses, read November 2026). For the log only: anybody can write anything there.

import { firstText } from './outermost.ts'

const safetyIdentifier = Buffer.from('"safety_identifier"')
const user = Buffer.from('"user"')
const reachBytes = 64 * 1024
const colon = 58

/** The end user a JSON body names, or null. Costs two searches where it names none, although every chat has a `"role":"user"`. */
export function endUserOf(body: Uint8Array): string | null {
  const head = body.length > reachBytes ? body.subarray(0, reachBytes) : body
  return (
    (isMember(head, safetyIdentifier) ? firstText(head, safetyIdentifier) : null) ??
    (isMember(head, user) ? firstText(head, user) : null)
  )
}

/** Whether the text occurs with a colon behind it. */
function isMember(bytes: Uint8Array, needle: Uint8Array): boolean {
  let at = Buffer.prototype.indexOf.call(bytes, needle)
  while (at >= 0) {
    let behind = at + needle.length
    while (bytes[behind] === 32 || bytes[behind] === 10 || bytes[behind] === 13 || bytes[behind] === 9)
      behind++
    if (bytes[behind] === colon) return true
    at = Buffer.prototype.indexOf.call(bytes, needle, behind)
  }
  return false
}
