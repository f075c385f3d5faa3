// How a request's body is treated: a JSON body is read whole (a stage may need to read it, and a whole body can be sent
// to an upstream again), anything else streams through.

import { KnownBytes, KnownTable } from '../../base/known-bytes.ts'
import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { collect, WholeBody } from '../../net/wire/body.ts'
import { WireError, type Body } from '../../net/wire/message.ts'

export interface BodyLimits {
  readonly jsonBodyBytes: number
  readonly uploadBytes: number
}

/** `whole`: read before going on; `stream`: pass on as it comes. @throws Failure('request_too_large' | 'unsupported_media_type') */
export function bodyPlan(x: Exchange, limits: BodyLimits): 'whole' | 'stream' {
  const length = x.request.body!.length
  const whole = isJson(x, length, limits)
  const bytesMax = whole ? limits.jsonBodyBytes : limits.uploadBytes
  if (length > bytesMax) throw tooLarge(bytesMax)
  const { headers } = x.request
  const coded = headers.find('content-encoding') >= 0
  if (whole && coded && headers.tokens('content-encoding').some((coding) => coding !== 'identity')) {
    throw new Failure(
      'unsupported_media_type',
      'A JSON body must not be compressed: send it without Content-Encoding.',
    )
  }
  return whole ? 'whole' : 'stream'
}

function isJson(x: Exchange, length: number, limits: BodyLimits): boolean {
  const kind = x.endpoint!.body
  if (kind === 'json') return true
  if (kind !== 'any') return false
  // Of unknown shape: JSON by its label, and held only where it is known to fit.
  const type = x.request.headers.get('content-type')
  return type !== null && /^application\/json\b/i.test(type) && length >= 0 && length <= limits.jsonBodyBytes
}

/** JSON bodies that came before. */
export class KnownBodies extends KnownTable<KnownBytes> {
  constructor(bytesMax: number) {
    super({ bytesMax, lengthMax: 64 * 1024, secondTime: false })
  }
}

const made = (copy: Uint8Array): KnownBytes => new KnownBytes(copy)

/** Takes a body that is here whole. */
export function takeWhole(x: Exchange, { whole }: Body, known: KnownBodies | null): void {
  x.bodyBytes = whole
  if (known !== null) x.knownBody = known.of(whole!, made)
}

/** Reads the body into the exchange. */
export async function readJson(
  x: Exchange,
  body: Body,
  { bytesMax, known }: { readonly bytesMax: number; readonly known: KnownBodies | null },
): Promise<void> {
  let bytes: Uint8Array | null
  try {
    bytes = await collect(body, bytesMax)
  } catch (cause) {
    throw cause instanceof WireError ? brokenOff(cause) : cause
  }
  if (bytes === null) throw tooLarge(bytesMax)
  x.bytesIn = bytes.length
  x.requestBody = new WholeBody(bytes)
  takeWhole(x, x.requestBody, known)
}

/** A request whose body did not come to its end: nobody is left to answer. */
function brokenOff(cause: WireError): Failure {
  return new Failure('client_gone', 'The request body broke off.', { detail: cause.detail })
}

export function tooLarge(bytesMax: number): Failure {
  return new Failure(
    'request_too_large',
    `The request body is over the limit of ${bytesMax} bytes. Send a smaller one.`,
  )
}
