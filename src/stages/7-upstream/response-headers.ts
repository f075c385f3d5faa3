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
  const drops = (index: number): boolean => {
    const id = headers.id(index)
    if (id !== 0 && dropped.has(id)) return true
    if (headers.nameStartsWith(index, 'x-headgate-')) return true
    return nominated.length > 0 && nominated.includes(headers.name(index))
  }
  const lines = headers.without(drops)
  // One search over all lines; which line it is matters only in the case that never happens.
  if (!keys.some((key) => lines.includes(key))) return lines
  return headers.without((index) => drops(index) || keys.some((key) => headers.line(index).includes(key)))
}
