// Answers that stage 6 makes of several upstreams'.

import type { Reply } from '../../exchange.ts'
import { WholeBody } from '../../net/wire/body.ts'

/** An answer of our own, made of the upstreams'. */
export function jsonReply(text: string): Reply {
  return {
    status: 200,
    headerLines: 'Content-Type: application/json\r\n',
    dated: false,
    contentType: 'application/json',
    body: new WholeBody(Buffer.from(text)),
    tunnel: null,
  }
}
