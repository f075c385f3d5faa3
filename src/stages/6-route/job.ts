// A request at work in stage 6, and one call of it that is neither chosen nor repeated: for what asks several accounts.

import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { collect } from '../../net/wire/body.ts'
import { WireError } from '../../net/wire/message.ts'
import type { AccountLookup } from './affinity.ts'
import type { Choice, Target } from './choice.ts'
import type { Member, Route, Ways } from './plan.ts'
import type { Send, TrialParts } from './trial-parts.ts'

/** What a request has to go by. */
export interface Job<T extends Target> {
  readonly x: Exchange
  readonly send: Send<T>
  readonly route: Route<T>
  readonly ways: Ways<T>
}

/** What is the same for all jobs. */
export interface Around<T extends Target> {
  readonly options: { readonly members: readonly Member<T>[] }
  readonly parts: TrialParts<T>
  readonly lookup: AccountLookup
  /** Where each account stands behind an item of a list: the last id taken of it, by the account's name. */
  readonly cursors: Map<string, ReadonlyMap<string, string>>
}

/** Accounts that one request may be sent to at once. */
export const accountsMax = 32

/** Calls one account once. Never throws a Failure: gives it. */
export async function callOnce<T extends Target>(
  { x, send }: Job<T>,
  choice: Choice<T>,
  query: string | null = null,
): Promise<Reply | Failure> {
  const place = x.tried.length
  x.routedModel = null
  x.routedQuery = query
  x.upstream = choice.target.name
  x.attempts++
  choice.begin()
  try {
    const sending = send(x, choice.target)
    const attempt = x.tried[place]
    if (attempt !== undefined) attempt.underWay = choice
    x.onGone = () => x.tried.forEach(({ call }) => call?.abort())
    return await sending
  } catch (cause) {
    if (cause instanceof Failure) return cause
    throw cause
  } finally {
    x.routedQuery = null
    const attempt = x.tried[place]
    if (attempt !== undefined) choice.over(x, attempt)
  }
}

const bytesMax = 16 * 1024 * 1024

/** The list that an answer is; null where it is none. The body is used up. */
export async function listOf({ body }: Reply): Promise<Record<string, unknown>[] | null> {
  if (body === null) return null
  try {
    const bytes = await collect(body, bytesMax)
    if (bytes === null) return null
    const { data } = JSON.parse(Buffer.from(bytes).toString()) as { data?: unknown }
    return Array.isArray(data) ? data.filter((each) => typeof each === 'object' && each !== null) : null
  } catch (cause) {
    if (cause instanceof WireError || cause instanceof SyntaxError || cause instanceof TypeError) return null
    throw cause
  }
}
