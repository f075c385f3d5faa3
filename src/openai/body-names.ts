// What a JSON body names, read from its bytes and kept where the body is known: to report, never to decide by.

import { Finding, Note, type KnownBytes } from '../base/known-bytes.ts'
import { endUserOf } from './end-user.ts'
import { firstText } from './outermost.ts'

const model = Buffer.from('"model"')

const modelIn = new Finding((body: Uint8Array) => firstText(body, model))

/** The model as a parser takes it, where one did: from then on that is the model, whoever asks. */
export const modelParsed = new Note<string | null>()

/** The model, or null. */
export function modelNamed(known: KnownBytes | null, body: Uint8Array): string | null {
  const parsed = known === null ? undefined : modelParsed.kept(known)
  return parsed === undefined ? modelIn.of(known, body) : parsed
}

/** The end user, or null. */
export const endUserIn = new Finding(endUserOf)
