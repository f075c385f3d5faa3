// What an upstream's answer means for the client: which pass as they are, and which become our own. An upstream's 401 is
// about the operator's key and never the client's, so it becomes a 502 without its text; a redirect is never followed
// and never passed on, since it would send the client's credential elsewhere; a 403 passes without anything key-like.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { collect, WholeBody } from '../../net/wire/body.ts'
import { WireError, type Body, type WireReply } from '../../net/wire/message.ts'
import { redactErrorBody } from '../../openai/errors.ts'
import type { Account } from './account.ts'
import type { AccountKey } from './key-ring.ts'
import { failureOf } from './failures.ts'
import { holdWhole } from './hold-whole.ts'
import { responseHeaderLines } from './response-headers.ts'

/** JSON answers up to this size are held until they are complete: one that breaks off can still become a clean 502. */
const heldBytesMax = 1024 * 1024
/** An error's text beyond this is not read for keys, so it does not pass. */
const errorBytesMax = 256 * 1024
/** As much of a 401 is read to see what it is about. */
const refusalBytesMax = 16 * 1024
const refusalWaitMs = 2000

/** Who was asked, and with which of its keys. */
export interface Asked {
  readonly account: Account
  readonly key: AccountKey | null
}

/** Turns a wire's reply into the exchange's: at once where nothing has to be waited for. @throws Failure */
export function answerOf(x: Exchange, { account, key }: Asked, wire: WireReply): Reply | Promise<Reply> {
  const { status, headers } = wire
  if (status === 101) {
    account.learn(key, false)
    return tunnelReply(wire, account)
  }
  x.upstreamRequestId = harmless(headers.get('x-request-id'), account)
  if (status === 401) return refusedKey({ account, key }, wire.body)
  if (status < 300) account.learn(key, false)
  if (status >= 300 && status < 400 && status !== 304) {
    wire.body.abort()
    throw redirected(account, status)
  }
  const reply: Reply = {
    status,
    headerLines: responseHeaderLines(headers, account.keyTexts),
    dated: headers.get('date') !== null,
    contentType: headers.get('content-type') ?? '',
    body: wire.body,
    tunnel: null,
  }
  // Nothing to read, and to HEAD a length that says so much: it passes as it is.
  if (wire.body.whole?.length === 0) return reply
  if (status === 403 || (status >= 400 && account.keyTexts.length > 0))
    return held(reply, errorBody(wire, account))
  if (wire.body.whole !== null || !isJson(reply.contentType)) return reply
  return held(reply, holdWhole(wire.body, heldBytesMax))
}

async function held(reply: Reply, body: Promise<Body>): Promise<Reply> {
  try {
    reply.body = await body
    return reply
  } catch (cause) {
    throw cause instanceof WireError ? failureOf(cause) : cause
  }
}

/** A text for the log, unless it holds the account's key. */
function harmless(text: string | null, account: Account): string | null {
  return text !== null && account.keyTexts.some((key) => text.includes(key)) ? null : text
}

function isJson(contentType: string): boolean {
  return /^application\/(?:[a-z0-9.+-]+\+)?json\b/i.test(contentType)
}

/** The body of an error, without key-like text in a 403, and never with the account's own key. */
async function errorBody(wire: WireReply, account: Account): Promise<Body> {
  const bytes = await collect(wire.body, errorBytesMax)
  const text =
    bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  const read = text === null || !text.includes('\\') ? text : unescaped(text)
  const leaks = read === null || account.keyTexts.some((key) => read.includes(key))
  if (wire.status !== 403 && !leaks) return new WholeBody(bytes!)
  if (text === null)
    throw new Failure('upstream_unavailable', 'The upstream answered with an error that is too long.')
  return new WholeBody(Buffer.from(redactErrorBody(text, account.keyTexts), 'utf8'))
}

/** As a JSON reader sees it, where it is only looked at: `sk\u002d1` and `a\/b` would hide a key. */
function unescaped(text: string): string {
  const escape = /\\(?:u([0-9a-f]{4})|(["\\/]))/gi
  return text.replace(escape, (_, code: string | undefined, mark: string | undefined) =>
    code === undefined ? mark! : String.fromCharCode(Number.parseInt(code, 16)),
  )
}

function tunnelReply(wire: WireReply, account: Account): Reply {
  const headerLines = `Upgrade: websocket\r\n${responseHeaderLines(wire.headers, account.keyTexts)}`
  return {
    status: 101,
    headerLines,
    dated: wire.headers.get('date') !== null,
    contentType: '',
    body: null,
    tunnel: wire.tunnel,
  }
}

/**
 * A 401 is about the key, unless its text says that the key is good and lacks a right: then any caller could have every
 * key set aside by asking for what the account may not do.
 */
async function refusedKey({ account, key }: Asked, body: Body): Promise<never> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<null>((resolve) => (timer = setTimeout(resolve, refusalWaitMs, null)))
  const bytes = await Promise.race([collect(body, refusalBytesMax), late]).catch(() => null)
  clearTimeout(timer)
  if (bytes === null) body.abort()
  const text = bytes === null ? '' : Buffer.from(bytes).toString('utf8')
  const lacksRight = /missing scopes?|insufficient[_ ]permission/i.test(text)
  if (!lacksRight) account.learn(key, true)
  throw badKey(account)
}

function badKey(account: Account): Failure {
  const message = `The gateway's key for the upstream "${account.name}" was refused. Its operator must replace it.`
  return new Failure('upstream_auth_failed', message, { detail: 'upstream answered 401' })
}

function redirected(account: Account, status: number): Failure {
  const message = `The upstream "${account.name}" answered with a redirect, which is never followed. Its operator must mend its base URL.`
  return new Failure('upstream_unavailable', message, {
    detail: `upstream answered ${status}`,
    retryable: false,
  })
}
