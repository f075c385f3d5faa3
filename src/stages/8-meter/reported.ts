// What a row of the ledger says of the request in the client's own words: the pairs of `x-headgate-metadata`, and those of
// the body's `metadata`, where the header has no pair of that name. For reports only: anybody can write anything there.

import type { Exchange } from '../../exchange.ts'
import { lastMember } from '../../openai/outermost.ts'

const metadataName = Buffer.from('"metadata"')
/** OpenAI's own bounds of `metadata`; pairs beyond them are left out. */
const pairsMax = 16
const nameMax = 64
const valueMax = 512

/** The pairs to report; null = none. Costs one search where the body has none. */
export function reportedMetadata(x: Exchange): Readonly<Record<string, string>> | null {
  const body = x.bodyBytes
  if (body === null || Buffer.prototype.indexOf.call(body, metadataName) < 0) return x.metadata
  const said = bodyMetadata(x, body)
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return x.metadata
  const metadata = Object.create(null) as Record<string, string>
  let pairs = 0
  for (const [name, value] of Object.entries(said)) {
    const fits =
      typeof value === 'string' && value.length <= valueMax && name !== '' && name.length <= nameMax
    if (fits && pairs < pairsMax) {
      metadata[name] = value
      pairs += 1
    }
  }
  return pairs === 0 ? x.metadata : Object.assign(metadata, x.metadata)
}

// From the body's end, or from the parsed body where it is small: it may stand before long messages.
function bodyMetadata(x: Exchange, body: Uint8Array): unknown {
  const last = lastMember(body, metadataName)
  if (last !== undefined || body.length > 1024 * 1024) return last
  try {
    return (x.json() as { metadata?: unknown } | null)?.metadata
  } catch {
    return undefined
  }
}
