// What a JSON body names, read from its bytes and kept where the body is known: to report, never to decide by.

import { Finding } from '../base/known-bytes.ts'
import { endUserOf } from './end-user.ts'
import { firstText } from './outermost.ts'

const model = Buffer.from('"model"')

/** The model, or null. */
export const modelIn = new Finding((body: Uint8Array) => firstText(body, model))

/** The end user, or null. */
export const endUserIn = new Finding(endUserOf)
