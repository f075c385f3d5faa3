// What went wrong between us and a provider that does not speak like OpenAI, in the order in which it can be told: our own
// refusals, the wire, the provider's status, an error event, a request that the package cannot put into its provider's
// words, an answer that it cannot read. No text of a package passes where it may hold a part of an answer.

import type { Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WholeBody } from '../../net/wire/body.ts'
import { redactErrorBody } from '../../openai/errors.ts'
import { membersOf } from '../../openai/translate/call.ts'
import { statusOfErrorType, translateError } from '../../openai/translate/provider-error.ts'
import { badKey, redirected } from './answer.ts'
import { failureOf } from './failures.ts'
import { passedLines, type Sending } from './sending.ts'

/** An answer that is none, though its status was good. Plain value, no stack. */
export class BrokenAnswer {
  constructor(readonly detail: string) {}
}

/** An error that the provider sent as an event, before its answer began. */
export class ErrorEvent {
  constructor(
    readonly status: number,
    readonly text: string,
  ) {}
}

/** An error part of a stream as what it stands for. */
export function errorOfPart(error: unknown): BrokenAnswer | ErrorEvent {
  const said = membersOf(error)
  const message = said?.['message']
  const status = said?.['statusCode']
  if (typeof error === 'string') return new ErrorEvent(500, JSON.stringify({ message: error }))
  // An instance is a package's own: what it could not read.
  const data = membersOf(said?.['data'])
  if (error instanceof Error && data === null && typeof status !== 'number')
    return new BrokenAnswer(`the answer cannot be read (${nameOf(error)})`)
  if (typeof message !== 'string') return new BrokenAnswer('the provider sent an error')
  const type = textOf(said?.['type']) + textOf(membersOf(data?.['error'])?.['type'])
  const known = typeof status === 'number' ? status : statusOfErrorType(type)
  return new ErrorEvent(known, JSON.stringify({ message, type }))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The reply or failure that an error of a call is. @throws Failure */
export function outcomeOf(cause: unknown, sending: Sending): Reply {
  const { call, account, x } = sending
  if (x.gone) throw new Failure('client_gone', 'The client closed the connection.')
  if (cause instanceof Failure) throw cause
  if (call.fault !== null) throw failureOf(call.fault)
  if (call.status >= 300 && call.status < 400) throw redirected(account, call.status)
  if (call.errorText !== null) return errorReply(call.status, call.errorText, sending)
  if (cause instanceof ErrorEvent) return errorReply(cause.status, cause.text, sending)
  if (call.status > 0) {
    const event = cause instanceof BrokenAnswer ? null : errorEventOf(cause)
    if (event !== null) return errorReply(event.status, event.text, sending)
    const detail =
      cause instanceof BrokenAnswer ? cause.detail : `the answer cannot be read (${nameOf(cause)})`
    throw new Failure('upstream_unavailable', 'The upstream sent an answer that cannot be used.', {
      detail,
      retryable: false,
    })
  }
  if (
    /^AI_(?:UnsupportedFunctionality|InvalidPrompt|InvalidArgument|TypeValidation)Error$/.test(nameOf(cause))
  )
    throw new Failure(
      'bad_request',
      `This request cannot be put to the provider of the upstream "${account.name}": ${reasonOf(cause)}`,
    )
  throw cause
}

/** Some packages look at a stream's first event themselves, and throw where it is an error. */
function errorEventOf(cause: unknown): ErrorEvent | null {
  const { statusCode, responseBody, message } = cause as {
    statusCode?: unknown
    responseBody?: unknown
    message?: unknown
  }
  if (nameOf(cause) !== 'AI_APICallError' || typeof statusCode !== 'number' || statusCode < 400) return null
  const body =
    typeof responseBody === 'string' && responseBody !== '' ? responseBody : JSON.stringify({ message })
  return new ErrorEvent(statusCode, body)
}

/** What a package said of the request, on one line; it has seen nothing but that. */
function reasonOf(cause: unknown): string {
  const { functionality, message } = cause as { functionality?: unknown; message?: unknown }
  const text = typeof functionality === 'string' ? `${functionality} is not supported` : textOf(message)
  return `${text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, 300)}.`
}

function nameOf(cause: unknown): string {
  return cause instanceof Error ? cause.name : 'unknown'
}

function errorReply(status: number, text: string, sending: Sending): Reply {
  const { account, identity } = sending
  const error = translateError(status, text)
  if (error.kind === 'key') {
    account.learn(identity.key, true)
    throw badKey(account, status)
  }
  return {
    status: error.status,
    headerLines: `Content-Type: application/json\r\n${passedLines(sending)}`,
    dated: false,
    contentType: 'application/json',
    body: new WholeBody(Buffer.from(redactErrorBody(error.body, account.keyTexts), 'utf8')),
    tunnel: null,
  }
}
