// Which of a client's header fields reach an upstream. Everything passes as received but what belongs to this hop, what
// is the client's secret, and what would choose an account: those are the operator's. A list of what to drop, since
// SDKs and providers add fields all the time; the list is safe because nothing here decides where the request goes.

import type { HeaderBlock } from '../../net/wire/headers.ts'

const dropped = new Set([
  // This hop's (RFC 9110 section 7.6.1), and framing, which the wire writes anew.
  'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'content-length', 'host', 'expect', 'http2-settings',
  // The client's secrets.
  'authorization', 'api-key', 'x-api-key', 'cookie', 'cookie2', 'x-goog-api-key', 'x-amz-security-token',
  // Who the client is, and which account pays.
  'forwarded', 'via', 'x-real-ip', 'true-client-ip', 'cf-connecting-ip', 'openai-organization', 'openai-project',
  // Answers are inspected: they must come uncompressed.
  'accept-encoding',
  // Ours.
  'x-no-cache',
]) // prettier-ignore

/** Header lines for the upstream, each ended by CRLF, in the client's order. */
export function requestHeaderLines(headers: HeaderBlock, websocket: boolean): string {
  const nominated = headers.connection()
  const { names, lines } = headers
  let text = ''
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!
    if (dropped.has(name) || nominated.includes(name) || isOwnOrForwarded(name)) continue
    if (websocket && name === 'sec-websocket-protocol') continue
    text += lines[index]! + '\r\n'
  }
  return websocket ? text + subprotocolLine(headers) : text
}

function isOwnOrForwarded(name: string): boolean {
  return name.startsWith('x-') && (name.startsWith('x-headgate-') || name.startsWith('x-forwarded-'))
}

/** A WebSocket's subprotocols without the one that carries the client's key. */
function subprotocolLine(headers: HeaderBlock): string {
  const kept: string[] = []
  for (let index = 0; index < headers.names.length; index++) {
    if (headers.names[index] !== 'sec-websocket-protocol') continue
    for (const protocol of headers.value(index).split(',')) {
      const name = protocol.trim()
      if (name !== '' && !name.startsWith('openai-insecure-api-key.')) kept.push(name)
    }
  }
  return kept.length === 0 ? '' : `Sec-WebSocket-Protocol: ${kept.join(', ')}\r\n`
}
