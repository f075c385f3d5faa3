// Which of an upstream's header fields reach a client: all as received but this hop's, what names the operator's
// account, what speaks for another host (alternative services, transport security, cookies), and any line that holds
// the account's key.

import type { HeaderBlock } from '../../net/wire/headers.ts'

const dropped = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'content-length',
  'set-cookie', 'set-cookie2', 'openai-organization', 'openai-project', 'alt-svc', 'strict-transport-security',
  'x-headgate-id', 'x-headgate-upstream', 'x-headgate-attempts', 'x-cache-status', 'location', 'www-authenticate',
  'report-to', 'nel',
]) // prettier-ignore

/** Header lines for the client, each ended by CRLF, in the upstream's order. `keys`: texts that must not pass. */
export function responseHeaderLines(headers: HeaderBlock, keys: readonly string[]): string {
  const text = keptLines(headers, [])
  // One search over all lines; which line it is matters only in the case that never happens.
  return keys.some((key) => text.includes(key)) ? keptLines(headers, keys) : text
}

function keptLines(headers: HeaderBlock, keys: readonly string[]): string {
  const nominated = headers.connection()
  const { names, lines } = headers
  let text = ''
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!
    if (dropped.has(name) || nominated.includes(name)) continue
    const line = lines[index]!
    if (keys.some((key) => line.includes(key))) continue
    text += line + '\r\n'
  }
  return text
}
