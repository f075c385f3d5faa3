// Which of an upstream's header fields reach a client: all as received but this hop's, what names the operator's
// account, what speaks for another host (alternative services, transport security, cookies), and any line that holds
// the account's key.

import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

const dropped = new Set(
  `connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade
  content-length set-cookie set-cookie2 openai-organization openai-project www-authenticate
  alt-svc strict-transport-security location report-to nel x-cache-status`
    .split(/\s+/)
    .map(fieldId),
)

/** Header lines for the client, each ended by CRLF, in the upstream's order. `keys`: texts that must not pass. */
export function responseHeaderLines(headers: HeaderBlock, keys: readonly string[]): string {
  const nominated = headers.nominated()
  const lines = nominated.length === 0 ? headers.without(dropsAlways) : withoutMore(headers, nominated, [])
  // One search over all lines; which line it is matters only in the case that never happens.
  return holdsAny(lines, keys) ? withoutMore(headers, nominated, keys) : lines
}

/** Whether a text holds one of these. */
export function holdsAny(text: string, keys: readonly string[]): boolean {
  for (const key of keys) if (text.includes(key)) return true
  return false
}

function dropsAlways(index: number, headers: HeaderBlock): boolean {
  const id = headers.id(index)
  return (id !== 0 && dropped.has(id)) || headers.nameStartsWith(index, 'x-headgate-')
}

/** By itself: a function that makes a closure pays for it at every call. */
function withoutMore(headers: HeaderBlock, nominated: readonly string[], keys: readonly string[]): string {
  return headers.without(
    (index) =>
      dropsAlways(index, headers) ||
      (nominated.length > 0 && nominated.includes(headers.name(index))) ||
      holdsAny(headers.line(index), keys),
  )
}
