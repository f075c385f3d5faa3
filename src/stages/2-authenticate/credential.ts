// Finds the one credential of a request. Two credentials are refused even where both are good: which of them counts
// would depend on the reader.

import { Finding } from '../../base/known-bytes.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'
import { malformedKey, twoKeys } from './invalid-key.ts'

const authorization = fieldId('authorization')
const subprotocol = fieldId('sec-websocket-protocol')
const carriers = new Set([authorization, fieldId('x-api-key'), fieldId('api-key')])
const protocolPrefix = 'openai-insecure-api-key.'
const shape = /^[\x21-\x7e]{1,8192}$/

/**
 * The credential of a request: from `Authorization: Bearer`, `x-api-key`, `api-key`, or, where it asks for a WebSocket,
 * the subprotocol `openai-insecure-api-key.<key>`. Null where there is none.
 * @throws Failure('invalid_api_key') where there are two, or one that is malformed
 */
export function readCredential(headers: HeaderBlock, websocket: boolean): string | null {
  const found = fromFields.of(headers.known, headers)
  return websocket ? fromProtocols(headers, found) : found
}

const fromFields = new Finding((headers: HeaderBlock): string | null => {
  let found: string | null = null
  for (let index = 0; index < headers.size; index++) {
    const id = headers.id(index)
    if (id === 0 || !carriers.has(id)) continue
    if (found !== null) throw twoKeys
    const value = headers.value(index)
    found = id === authorization ? bearer(value) : value
    if (found === null || !shape.test(found)) throw malformedKey
  }
  return found
})

function fromProtocols(headers: HeaderBlock, before: string | null): string | null {
  let found = before
  for (const protocol of protocols(headers)) {
    if (!protocol.startsWith(protocolPrefix)) continue
    if (found !== null) throw twoKeys
    found = protocol.slice(protocolPrefix.length)
    if (!shape.test(found)) throw malformedKey
  }
  return found
}

function bearer(value: string): string | null {
  return /^bearer /i.test(value) ? value.slice(7) : null
}

/** Subprotocols as sent: their case counts. */
function protocols(headers: HeaderBlock): string[] {
  const found: string[] = []
  for (let index = 0; index < headers.size; index++) {
    if (headers.id(index) !== subprotocol) continue
    for (const each of headers.value(index).split(',')) found.push(each.trim())
  }
  return found
}
