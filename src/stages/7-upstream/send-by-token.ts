// Requests of accounts whose credential a command prints: the token is there before the request goes, and where the upstream
// refuses it the command is asked for another, once.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Account } from './account.ts'

/** `send` with a fresh token. @throws Failure */
export async function sendByToken(
  x: Exchange,
  account: Account,
  send: (x: Exchange, account: Account) => Promise<Reply>,
): Promise<Reply> {
  const token = account.token!
  await token.fresh()
  try {
    return await send(x, account)
  } catch (cause) {
    const refused = cause instanceof Failure && cause.code === 'upstream_auth_failed'
    if (!refused || x.gone || (x.requestBody !== null && x.requestBody.whole === null)) throw cause
    const another = token.fresh()
    if (another === undefined) throw cause
    await another
    x.attempts++
    return send(x, account)
  }
}
