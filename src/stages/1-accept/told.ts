// What a request says of itself for the reports: `x-headgate-metadata`, and how often its SDK has tried before.

import { Finding } from '../../base/known-bytes.ts'
import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

const metadataField = fieldId('x-headgate-metadata')
const retryField = fieldId('x-stainless-retry-count')

const pairsMax = 16
const nameMax = 64
const valueMax = 512
const retriesMax = 1000

/** Notes both on the exchange. @throws Failure where the metadata cannot be what it is to be */
export function noteTold(x: Exchange): void {
  const { headers } = x.request
  const { metadata, retryCount } = told.of(headers.known, headers)
  x.metadata = metadata
  x.retryCount = retryCount
}

const told = new Finding((headers: HeaderBlock) => {
  let metadata: Exchange['metadata'] = null
  let retries = 0
  for (let index = 0; index < headers.size; index++) {
    const id = headers.id(index)
    if (id === 0) continue
    if (id === retryField) retries = retriesOf(headers.value(index))
    else if (id === metadataField) {
      if (metadata !== null) throw refused('is sent twice')
      metadata = readMetadata(headers.value(index))
    }
  }
  return { metadata, retryCount: retries }
})

/** Written by SDKs, so that anything else is no reason to refuse a request. */
function retriesOf(value: string): number {
  return /^\d{1,6}$/.test(value) ? Math.min(Number(value), retriesMax) : 0
}

function readMetadata(text: string): Readonly<Record<string, string>> {
  let value: unknown
  try {
    // Bytes of a header are read one by one; names and values may be UTF-8 all the same.
    value = JSON.parse(Buffer.from(text, 'latin1').toString('utf8'))
  } catch {
    throw refused('is not valid JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('is no JSON object')
  const pairs = Object.entries(value)
  if (pairs.length > pairsMax) throw refused(`has ${pairs.length} pairs`)
  const metadata = Object.create(null) as Record<string, string>
  for (const [name, member] of pairs) {
    if (name === '' || name.length > nameMax)
      throw refused(`has a name that is empty or longer than ${nameMax} characters`)
    if (typeof member !== 'string') throw refused('has a value that is no text')
    if (member.length > valueMax) throw refused(`has a value longer than ${valueMax} characters`)
    metadata[name] = member
  }
  return metadata
}

function refused(what: string): Failure {
  const message = `The header x-headgate-metadata ${what}. Send a JSON object of up to ${pairsMax} pairs, with names of up to ${nameMax} and texts of up to ${valueMax} characters.`
  return new Failure('bad_request', message, { param: 'x-headgate-metadata' })
}
