// An exchange made after another one: to fetch anew, without a client, what that one was given past its time.

import type { Clock } from '../../base/clock.ts'
import { newExchangeId } from '../../base/id.ts'
import { Exchange } from '../../exchange.ts'

/** The same request by the same caller, to be asked of the upstream. */
export function renewedOf(x: Exchange, clock: Clock): Exchange {
  const again = new Exchange(newExchangeId(), x.request, clock)
  again.endpoint = x.endpoint
  again.principal = x.principal
  again.clientAddress = x.clientAddress
  again.ownFields = x.ownFields
  again.bodyBytes = x.bodyBytes
  again.knownBody = x.knownBody
  again.requestBody = x.requestBody
  again.bytesIn = x.bytesIn
  again.metadata = x.metadata
  again.query = x.query
  again.objectAccount = x.objectAccount
  again.unknownObjects = x.unknownObjects
  again.cacheStatus = 'EXPIRED'
  return again
}
