// What an upstream's answer means for the client: which pass as they are, and which become our own. An upstream's 401 is
// about the operator's key and never the client's, so it becomes a 502 without its text; a redirect is never followed
// and never passed on, since it would send the client's credential elsewhere; other errors pass without anything
// key-like, and only where they can be read.

import { within } from '../../base/within.ts'
import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'
import { collect, WholeBody } from '../../net/wire/body.ts'
import { WireError, type Body, type WireReply } from '../../net/wire/message.ts'
import { redactErrorBody } from '../../openai/errors.ts'
import type { Account } from './account.ts'
import type { AccountKey } from './key-ring.ts'
import { endWatched } from './ended-stream.ts'
import { failureOf } from './failures.ts'
import { holdWhole } from './hold-whole.ts'
import { holdsAny, responseHeaderLines } from './response-headers.ts'

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
    if (headers.get('sec-websocket-extensions') !== null) throw extended(wire, account)
    return tunnelReply(wire, account)
  }
  x.upstreamRequestId = harmless(headers.get('x-request-id'), account)
  if (status === 401) return refusedKey({ account, key }, wire.body)
  if (status < 300) account.learn(key, false)
  if (status === 407 || (status >= 300 && status < 400 && status !== 304)) {
    wire.body.abort()
    throw status === 407 ? barred(account) : redirected(account, status)
  }
  const encoded = isEncoded(headers)
  const reply: Reply = {
    status,
    headerLines: responseHeaderLines(headers, account.keyTexts),
    dated: headers.get('date') !== null,
    // Compressed all the same, it is bytes to everybody here: neither events nor JSON.
    contentType: encoded ? '' : (headers.get('content-type') ?? ''),
    body: wire.body,
    tunnel: null,
  }
  // Nothing to read, and to HEAD a length that says so much: it passes as it is.
  if (wire.body.whole?.length === 0) return reply
  if (status >= 400)
    return encoded || !isUtf8(headers) ? unreadable(wire) : held(reply, errorBody(wire, account))
  if (status === 200 && isEvents.test(reply.contentType)) return endWatched(x, reply)
  if (wire.body.whole !== null || !isJson(reply.contentType)) return reply
  return held(reply, holdWhole(wire.body, heldBytesMax))
}

function isEncoded(headers: HeaderBlock): boolean {
  const coding = headers.get('content-encoding')
  return coding !== null && coding.toLowerCase() !== 'identity'
}

function isUtf8(headers: HeaderBlock): boolean {
  const charset = /charset\s*=\s*"?([^\s";]+)/i.exec(headers.get('content-type') ?? '')
  return charset === null || /^(?:utf-?8|us-ascii)$/i.test(charset[1]!)
}

/** An error that cannot be read for keys does not pass: its status does, with words of our own. */
function unreadable(wire: WireReply): Reply {
  wire.body.abort()
  const message = 'The upstream answered with an error whose text cannot be shown.'
  return {
    status: wire.status,
    headerLines: 'Content-Type: application/json\r\n',
    dated: false,
    contentType: 'application/json',
    body: new WholeBody(
      Buffer.from(JSON.stringify({ error: { message, type: 'upstream_error', param: null, code: null } })),
    ),
    tunnel: null,
  }
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
  return text !== null && holdsAny(text, account.keyTexts) ? null : text
}

const isEvents = /^text\/event-stream\b/i

function isJson(contentType: string): boolean {
  return /^application\/(?:[a-z0-9.+-]+\+)?json\b/i.test(contentType)
}

/** The body of an error without anything key-like: a provider may quote our key, or name our organisation. */
async function errorBody(wire: WireReply, account: Account): Promise<Body> {
  const bytes = await collect(wire.body, errorBytesMax)
  if (bytes === null) {
    throw new Failure('upstream_unavailable', 'The upstream answered with an error that is too long.')
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  const clean = redactErrorBody(text, account.keyTexts)
  return new WholeBody(clean === text ? bytes : Buffer.from(clean, 'utf8'))
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
  const bytes = await within(collect(body, refusalBytesMax), refusalWaitMs, null).catch(() => null)
  if (bytes === null) body.abort()
  const text = bytes === null ? '' : Buffer.from(bytes).toString('utf8')
  const lacksRight = /missing scopes?|insufficient[_ ]permission/i.test(text)
  if (!lacksRight) account.learn(key, true)
  throw badKey(account)
}

/** An extension that nobody offered (RFC 6455 section 4.1): what it does to the frames is not known. */
function extended(wire: WireReply, account: Account): Failure {
  wire.tunnel?.abort()
  const message = `The upstream "${account.name}" insists on a WebSocket extension that was not offered.`
  return new Failure('upstream_unavailable', message, { detail: 'extension in the 101', retryable: false })
}

/** A credential of ours was refused. */
export function badKey(account: Account, status = 401): Failure {
  const message = `The gateway's key for the upstream "${account.name}" was refused. Its operator must replace it.`
  return new Failure('upstream_auth_failed', message, { detail: `upstream answered ${status}` })
}

/** 407 is said by a proxy on the operator's way out, and is none of the client's business. */
function barred(account: Account): Failure {
  const message = `The way to the upstream "${account.name}" is barred by a proxy. Its operator must mend that.`
  return new Failure('upstream_unavailable', message, { detail: 'upstream answered 407', retryable: false })
}

/** A redirect, which is never followed. */
export function redirected(account: Account, status: number): Failure {
  const message = `The upstream "${account.name}" answered with a redirect, which is never followed. Its operator must mend its base URL.`
  return new Failure('upstream_unavailable', message, {
    detail: `upstream answered ${status}`,
    retryable: false,
  })
}
