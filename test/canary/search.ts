// Looks for secrets in what a gateway leaves behind: whole, in pieces of eight characters of their random part, and the
// same in base64, hex and percent encoding. Eight is what an attacker could still use and no text holds by chance.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A secret to look for, and its part that is random: prefixes such as `sk-` stand in many texts. */
export interface Marked {
  readonly name: string
  readonly random: string
}

/** Something to look into. */
export interface Place {
  readonly name: string
  readonly bytes: Uint8Array | string
}

const pieceLength = 8
/** Characters that carry a piece of eight bytes in base64, and in hex. */
const base64Length = 11
const hexLength = 16

/** `place: secret` for every secret of which a piece is found in a place. */
export function findMarked(secrets: readonly Marked[], places: readonly Place[]): string[] {
  const pieces = piecesOf(secrets)
  return places.flatMap(({ name, bytes }) => {
    return [...search(Buffer.from(bytes as string), pieces)].map((secret) => `${name}: ${secret}`)
  })
}

/** Every file below a folder. */
export function filesOf(folder: string): Place[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ name: file.slice(folder.length + 1), bytes: readFileSync(file) }))
}

/** How often the whole of a secret stands in a text. */
export function countOf(text: string, secret: string): number {
  return text.split(secret).length - 1
}

type Pieces = Map<number, Map<string, string>>

function piecesOf(secrets: readonly Marked[]): Pieces {
  const pieces: Pieces = new Map()
  const add = (text: string, length: number, name: string): void => {
    const found = pieces.get(length) ?? new Map<string, string>()
    for (let at = 0; at + length <= text.length; at++) found.set(text.slice(at, at + length), name)
    pieces.set(length, found)
  }
  for (const { name, random } of secrets) {
    add(random, pieceLength, name)
    add([...random].toReversed().join(''), pieceLength, `${name}, reversed`)
    const hex = Buffer.from(random).toString('hex')
    add(hex, hexLength, `${name}, in hex`)
    add(hex.toUpperCase(), hexLength, `${name}, in hex`)
    add(percent(random), 3 * pieceLength, `${name}, in percent encoding`)
    for (const shift of [0, 1, 2]) {
      // What stands before a secret shifts its base64; the characters at its edges also carry their neighbours.
      const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(random)])
      const whole = bytes.length - (bytes.length % 3)
      const skip = shift === 0 ? 0 : 4
      for (const form of ['base64', 'base64url'] as const)
        add(bytes.subarray(0, whole).toString(form).slice(skip), base64Length, `${name}, in base64`)
    }
  }
  return pieces
}

function percent(text: string): string {
  return [...text].map((each) => `%${each.charCodeAt(0).toString(16)}`).join('')
}

/** What stands where in files of many megabytes is looked at by two bytes first: few begin a piece. */
function search(bytes: Buffer, pieces: Pieces): Set<string> {
  const begins = new Uint8Array(65_536)
  for (const names of pieces.values())
    for (const piece of names.keys()) begins[piece.charCodeAt(0) | (piece.charCodeAt(1) << 8)] = 1
  const found = new Set<string>()
  for (let at = 0; at + pieceLength <= bytes.length; at++) {
    if (begins[bytes[at]! | (bytes[at + 1]! << 8)] === 0) continue
    for (const [length, names] of pieces) {
      const name = names.get(bytes.toString('latin1', at, at + length))
      if (name !== undefined) found.add(name)
    }
  }
  return found
}
