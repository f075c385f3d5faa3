// Which of a client's header fields reach an upstream. Everything passes as received but what belongs to this hop, what
// is the client's secret, and what would choose an account: those are the operator's. A list of what to drop, since
// SDKs and providers add fields all the time; the list is safe because nothing here decides where the request goes.
// In its order: this hop's fields and framing (RFC 9110 section 7.6.1), which the wire writes anew; the client's secrets;
// who the client is and which account pays; what some servers take for another method or path than the one that was
// judged; `accept-encoding`, since answers are inspected and must come uncompressed; what is ours. Extensions of WebSocket
// are not offered, since compressed frames could not be metered.

import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

const dropped = new Set(
  `connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade
  content-length host expect http2-settings
  authorization api-key x-api-key x-goog-api-key x-amz-security-token cookie cookie2
  forwarded via x-real-ip true-client-ip cf-connecting-ip openai-organization openai-project
  x-http-method x-http-method-override x-method-override x-original-method x-original-url x-original-uri x-rewrite-url
  accept-encoding x-no-cache sec-websocket-protocol sec-websocket-extensions`
    .split(/\s+/)
    // Servers behind WSGI or CGI take `api_key` for `api-key`.
    .flatMap((name) => (name.includes('-') ? [name, name.replaceAll('-', '_')] : [name]))
    .map(fieldId),
)

const subprotocol = fieldId('sec-websocket-protocol')

/** Header lines for the upstream, each ended by CRLF, in the client's order. `own`: numbers of fields that are for us alone. */
export function requestHeaderLines(
  headers: HeaderBlock,
  websocket: boolean,
  own: readonly number[] = [],
): string {
  const nominated = headers.nominated()
  const usual = own.length === 0 && nominated.length === 0
  const lines = usual ? headers.without(dropsAlways) : withoutMore(headers, own, nominated)
  return websocket ? lines + subprotocolLine(headers) : lines
}

function dropsAlways(index: number, headers: HeaderBlock): boolean {
  const id = headers.id(index)
  if (id !== 0 && dropped.has(id)) return true
  return headers.nameStartsWith(index, 'x-headgate-') || headers.nameStartsWith(index, 'x-forwarded-')
}

/** By itself: a function that makes a closure pays for it at every call. */
function withoutMore(headers: HeaderBlock, own: readonly number[], nominated: readonly string[]): string {
  return headers.without(
    (index) =>
      dropsAlways(index, headers) ||
      own.includes(headers.id(index)) ||
      (nominated.length > 0 && nominated.includes(headers.name(index))),
  )
}

/** A WebSocket's subprotocols without those that carry the client's key or choose an account. */
function subprotocolLine(headers: HeaderBlock): string {
  const kept: string[] = []
  for (let index = 0; index < headers.size; index++) {
    if (headers.id(index) !== subprotocol) continue
    for (const protocol of headers.value(index).split(',')) {
      const name = protocol.trim()
      if (name !== '' && !/^openai-(?:insecure-api-key|organization|project)\./i.test(name)) kept.push(name)
    }
  }
  return kept.length === 0 ? '' : `Sec-WebSocket-Protocol: ${kept.join(', ')}\r\n`
}
