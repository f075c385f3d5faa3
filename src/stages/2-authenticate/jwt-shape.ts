// What a token looks like, before any of it is believed: RFC 7515's compact form, three parts of base64url. Each part has
// one spelling only: a decoder that overlooks padding, other alphabets or stray bits lets one token be written in many
// ways, and then whoever counts or revokes tokens by their text counts wrong.

import { invalidKey } from './invalid-key.ts'
import { member, readJsonObject, type JsonObject } from './jwt-json.ts'

/** Longest token that is looked at. */
export const tokenCharsMax = 8192

/** A token taken apart; nothing in it is verified yet. */
export interface TokenParts {
  readonly header: JsonObject
  readonly alg: string
  /** Only ever selects among the configured keys. */
  readonly kid: string | null
  readonly payload: Uint8Array
  /** The bytes that were signed. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** Whether a credential is a token, well made or not: it is then judged as one and never tried as a key. */
export function looksLikeToken(credential: string): boolean {
  const dot = credential.indexOf('.')
  if (dot < 0) return false
  return credential.startsWith('eyJ') || /^[\w-]+\.[\w-]*\.[\w-]*$/.test(credential)
}

/** Members of a header that bring a key along, or a place to fetch one. */
const keyCarriers = ['jwk', 'jku', 'x5u', 'x5c']
const types = ['jwt', 'at+jwt', 'application/at+jwt']

/** Takes a token apart. @throws Failure('invalid_api_key') where it is not one we read */
export function takeApart(token: string): TokenParts {
  if (token.length > tokenCharsMax) throw invalidKey('token: longer than 8 KB')
  const parts = token.split('.')
  if (parts.length === 5) throw invalidKey('token: encrypted (JWE), which is not supported')
  if (parts.length !== 3) throw invalidKey('token: not three parts')
  const [headerText, payloadText, signatureText] = parts as [string, string, string]
  const header = readJsonObject(decode(headerText))
  if (header === null) throw invalidKey('token: its header is not a JSON object with distinct names')
  const payload = decode(payloadText)
  const signature = decode(signatureText)
  if (signature.length === 0) throw invalidKey('token: not signed')
  checkHeader(header)
  const signed = Buffer.from(token.slice(0, headerText.length + 1 + payloadText.length), 'latin1')
  const kid = (member(header, 'kid') as string | undefined) ?? null
  return { header, alg: member(header, 'alg') as string, kid, payload, signed, signature }
}

function decode(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw invalidKey('token: not canonical base64url')
  return bytes
}

function checkHeader(header: JsonObject): void {
  const carried = keyCarriers.find((name) => Object.hasOwn(header, name))
  if (carried !== undefined) throw invalidKey(`token: brings its own key (${carried})`)
  if (Object.hasOwn(header, 'crit')) throw invalidKey('token: has critical extensions (crit)')
  if (Object.hasOwn(header, 'b64')) throw invalidKey('token: its payload may not be encoded (b64)')
  if (Object.hasOwn(header, 'enc') || Object.hasOwn(header, 'zip'))
    throw invalidKey('token: encrypted or compressed')
  const typ = member(header, 'typ')
  if (typ !== undefined && !(typeof typ === 'string' && types.includes(typ.toLowerCase())))
    throw invalidKey('token: its typ is neither JWT nor at+jwt')
  if (typeof member(header, 'alg') !== 'string') throw invalidKey('token: names no algorithm')
  const kid = member(header, 'kid')
  if (kid !== undefined && !(typeof kid === 'string' && /^[^\u0000-\u001f\u007f]{1,256}$/.test(kid)))
    throw invalidKey('token: its kid is not a name')
}
