// A look at an account's health, by the gate itself: one GET with the account's own key.

import { collect } from '../../net/wire/body.ts'
import type { Account } from './account.ts'

/** As much of the answer is read. */
const bytesMax = 1024 * 1024

/** The status an account answers to GET of a path below its base URL, such as `/models`. @throws WireError */
export async function probe(account: Account, path: string): Promise<number> {
  const identity = account.identity()
  if (identity === null) return 401
  const { reply } = account.wire.send({
    method: 'GET',
    target: account.target(`/v1${path}`, ''),
    headerLines: `Accept: application/json\r\n${identity.lines}`,
    body: null,
    upgrade: null,
  })
  const { status, body } = await reply
  // Read on where that is short, so that the socket can be used again; cut where it is not.
  await collect(body, bytesMax)
  if (status === 401) account.learn(identity.key, true)
  return status
}
