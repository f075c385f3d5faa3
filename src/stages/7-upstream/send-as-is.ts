// Sends a request to a provider that speaks like OpenAI: the same bytes, but for what its provider would refuse.

import type { Exchange, Reply } from '../../exchange.ts'
import { WireError } from '../../net/wire/message.ts'
import type { Account, Identity } from './account.ts'
import { answerOf } from './answer.ts'
import { askedOf } from './asked.ts'
import { droppedLine, fitted, modelInBody } from './asking.ts'
import { failureOf } from './failures.ts'
import { requestHeaderLines } from './request-headers.ts'

/** Asks an account of such a provider once. Throws before it sends, rejects afterwards. @throws Failure */
export function sendAsIs(x: Exchange, account: Account, identity: Identity): Promise<Reply> {
  const { request } = x
  const websocket = request.upgrade !== null
  const asked = askedOf(x, account)
  const { body, dropped } = fitted(asked.body, x, account)
  const model = account.pathNamesModel ? modelInBody(x) : null
  const call = account.wire.send({
    method: request.method,
    target: account.target(asked.path, asked.query, model),
    headerLines: requestHeaderLines(request.headers, websocket, x.ownFields) + identity.lines,
    body,
    upgrade: websocket ? 'websocket' : null,
  })
  x.onGone = () => account.leaving.left(x, call)
  asked.calls(call)
  if (x.gone) call.abort()
  const answered = call.reply.then(
    (wire) => {
      asked.answered(wire)
      return answerOf(x, { account, key: identity.key }, wire)
    },
    (cause: unknown) => {
      if (!(cause instanceof WireError)) throw cause
      asked.broke(cause)
      throw x.bodyFailure ?? failureOf(cause)
    },
  )
  return dropped.length === 0 ? answered : answered.then((reply) => telling(reply, dropped))
}

function telling(reply: Reply, dropped: readonly string[]): Reply {
  reply.headerLines += droppedLine(dropped)
  return reply
}
