// Sends a request to a provider that speaks like OpenAI: the same bytes, but for what its provider would refuse.

import type { Exchange, Reply } from '../../exchange.ts'
import { WireError } from '../../net/wire/message.ts'
import type { Account, Identity } from './account.ts'
import { answerOf } from './answer.ts'
import { droppedLine, fitted, modelInBody } from './asking.ts'
import { failureOf } from './failures.ts'
import { requestHeaderLines } from './request-headers.ts'

/** Faults before the request was on its way. */
const neverSent: ReadonlySet<string> = new Set(['connect_failed', 'connect_timeout', 'tls_failed'])

/** Asks an account of such a provider once. Throws before it sends, rejects afterwards. @throws Failure */
export function sendAsIs(x: Exchange, account: Account, identity: Identity): Promise<Reply> {
  const { request } = x
  const attempt = x.tried.at(-1) ?? null
  const websocket = request.upgrade !== null
  const { body, dropped } = fitted(x, account)
  const model = account.pathNamesModel ? modelInBody(x) : null
  if (attempt !== null) attempt.sent = true
  const call = account.wire.send({
    method: request.method,
    target: account.target(request.path, x.query, model),
    headerLines: requestHeaderLines(request.headers, websocket, x.ownFields) + identity.lines,
    body,
    upgrade: websocket ? 'websocket' : null,
  })
  x.onGone = () => account.leaving.left(x, call)
  if (x.gone) call.abort()
  const answered = call.reply.then(
    (wire) => {
      if (wire.resent) x.attempts++
      if (attempt !== null) attempt.status = wire.status
      return answerOf(x, { account, key: identity.key }, wire)
    },
    (cause: unknown) => {
      if (!(cause instanceof WireError)) throw cause
      if (cause.resent) x.attempts++
      if (attempt !== null && neverSent.has(cause.fault)) attempt.sent = false
      throw x.bodyFailure ?? failureOf(cause)
    },
  )
  return dropped.length === 0 ? answered : answered.then((reply) => telling(reply, dropped))
}

function telling(reply: Reply, dropped: readonly string[]): Reply {
  reply.headerLines += droppedLine(dropped)
  return reply
}
