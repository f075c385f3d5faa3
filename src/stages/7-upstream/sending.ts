// One request on its way to a provider that does not speak like OpenAI, and the heads of the replies made of its answer.

import type { Exchange, Reply } from '../../exchange.ts'
import { WholeBody } from '../../net/wire/body.ts'
import type { Body } from '../../net/wire/message.ts'
import type { Members } from '../../openai/translate/call.ts'
import type { Account, Identity } from './account.ts'
import { droppedLine } from './asking.ts'
import { holdsAny } from './response-headers.ts'
import type { Models, Translation } from './translation.ts'
import type { ProviderCall } from './wire-fetch.ts'

/** One request on its way. */
export interface Sending {
  readonly x: Exchange
  readonly account: Account
  readonly translation: Translation
  readonly identity: Identity
  readonly call: ProviderCall
  readonly models: Models
  /** The same, reaching nobody, where what is unsupported has to be known before; null = it has not. */
  readonly drafts: Models | null
  readonly body: Members
  /** The provider's name of the model. */
  readonly model: string
  /** Ends the call when the client leaves. */
  readonly signal: AbortSignal
}

/** A reply with a JSON body. */
export function jsonReply(sending: Sending, body: object, dropped: readonly string[]): Reply {
  return {
    status: 200,
    headerLines: `Content-Type: application/json\r\n${passedLines(sending)}${droppedLine(dropped)}`,
    dated: false,
    contentType: 'application/json',
    body: new WholeBody(Buffer.from(JSON.stringify(body), 'utf8')),
    tunnel: null,
  }
}

const eventStream = 'text/event-stream; charset=utf-8'

/** A reply with a stream of events. */
export function eventsReply(sending: Sending, body: Body, dropped: readonly string[]): Reply {
  return {
    status: 200,
    headerLines: `Content-Type: ${eventStream}\r\nCache-Control: no-cache\r\n${passedLines(sending)}${droppedLine(dropped)}`,
    dated: false,
    contentType: eventStream,
    body,
    tunnel: null,
  }
}

/** Fields of a provider's answer that mean something to a client of OpenAI, and their names there. */
const passed: Readonly<Record<string, string>> = {
  'retry-after': 'retry-after',
  'retry-after-ms': 'retry-after-ms',
  'anthropic-ratelimit-requests-limit': 'x-ratelimit-limit-requests',
  'anthropic-ratelimit-requests-remaining': 'x-ratelimit-remaining-requests',
  'anthropic-ratelimit-tokens-limit': 'x-ratelimit-limit-tokens',
  'anthropic-ratelimit-tokens-remaining': 'x-ratelimit-remaining-tokens',
}
const requestIds = ['x-request-id', 'request-id', 'x-amzn-requestid']

/** Header lines for the client out of the provider's own; notes the provider's id of the request. */
export function passedLines({ call, x, account }: Sending): string {
  const { headers } = call
  if (headers === null) return ''
  const clean = (value: string | null): value is string =>
    value !== null && !holdsAny(value, account.keyTexts)
  let lines = ''
  for (const [name, ours] of Object.entries(passed)) {
    const value = headers.get(name)
    if (clean(value)) lines += `${ours}: ${value}\r\n`
  }
  const id = requestIds.map((name) => headers.get(name)).find((value) => value !== null) ?? null
  if (clean(id) && id !== '') {
    x.upstreamRequestId = id
    lines += `x-request-id: ${id}\r\n`
  }
  return lines
}
