// What one upstream is asked, where that differs from what the client sent: a model that goes by another name there. Its
// value is replaced in the bytes of the body or in the path; everything else stays as it came. Only the one outermost
// `model` is touched: a body that names it twice could mean either, and is refused. Also keeps the attempt's facts.

import type { Attempt, Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WholeBody } from '../../net/wire/body.ts'
import type { Body, WireCall, WireError, WireReply } from '../../net/wire/message.ts'
import { memberPlaces, withValue } from '../../openai/member-place.ts'
import type { Account } from './account.ts'

/** The request as one account gets it, and where the outcome is noted. */
export class Asked {
  readonly path: string
  readonly query: string
  readonly body: Body | null

  constructor(
    private readonly x: Exchange,
    private readonly attempt: Attempt | null,
  ) {
    const model = attempt?.upstreamModel ?? null
    this.path = askedPath(x, model)
    this.query = x.routedQuery ?? x.query
    this.body = askedBody(x, model)
  }

  calls(call: WireCall): void {
    if (this.attempt === null) return
    this.attempt.call = call
    this.attempt.sent = true
  }

  answered({ resent, status }: WireReply): void {
    if (resent) this.x.attempts++
    if (this.attempt !== null) this.attempt.status = status
  }

  broke({ resent, fault }: WireError): void {
    if (resent) this.x.attempts++
    if (this.attempt === null) return
    this.attempt.fault = fault
    if (fault === 'connect_failed' || fault === 'connect_timeout' || fault === 'tls_failed')
      this.attempt.sent = false
  }
}

/** @throws Failure('bad_request') where the body names its model twice and another is to be put there */
export function askedOf(x: Exchange, account: Account): Asked {
  x.sentMetered = x.meteredBody !== null && account.includeUsage
  const { tried } = x
  // Two may be under way at once: the newest of this account is the one.
  let at = tried.length - 1
  while (at >= 0 && tried[at]!.whom !== account) at--
  return new Asked(x, at < 0 ? null : tried[at]!)
}

function askedBody(x: Exchange, model: string | null): Body | null {
  const body = x.routedBody ?? (x.sentMetered ? x.meteredBody : x.requestBody)
  if (model === null || body === null || body.whole === null || x.bodyBytes === null) return body
  if (model === x.model) return body
  const places = memberPlaces(body.whole, 'model')
  if (places.length > 1)
    throw new Failure('bad_request', 'The body names its model twice. Name it once.', { param: 'model' })
  if (places.length === 0) return body
  return new WholeBody(withValue(body.whole, places[0]!, Buffer.from(JSON.stringify(model))))
}

function askedPath({ request, endpoint, routedModel }: Exchange, model: string | null): string {
  if (model === null || endpoint === null || !endpoint.modelInPath || routedModel === null)
    return request.path
  return request.path.slice(0, request.path.lastIndexOf('/') + 1) + encodeURIComponent(model)
}
