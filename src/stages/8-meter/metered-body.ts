// The body that asks a stream for its usage, made once for an exchange and kept beside the client's: an upstream that
// refuses the field (`includeUsage: false`) is sent the other.

import type { Exchange } from '../../exchange.ts'
import { WholeBody } from '../../net/wire/body.ts'
import { askForUsage } from '../../openai/include-usage.ts'

/** Sets `x.meteredBody` where the request is for a stream whose usage must be asked for. Call when the body is settled. */
export function prepareBody(x: Exchange): void {
  if (x.endpoint === null || !x.endpoint.includeUsage) return
  const whole = x.requestBody?.whole ?? null
  if (whole === null) return
  const asking = askForUsage(whole)
  x.meteredBody = asking === null ? null : new WholeBody(asking)
}
