// What is asked of an account: which model by its provider's name, which body, and what becomes of parameters that the
// provider has nothing for.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { WholeBody } from '../../net/wire/body.ts'
import type { Body } from '../../net/wire/message.ts'
import type { Account } from './account.ts'

/** The model to ask for, by the provider's name where the upstream maps it; null = the request names none. */
export function modelFor(x: Exchange): string | null {
  return x.tried.at(-1)?.upstreamModel ?? x.model
}

/** The same where the model decides where a request goes: read from the parsed body. @throws Failure('invalid_json') */
export function modelInBody(x: Exchange): string | null {
  x.json()
  return modelFor(x)
}

/** Refuses a request with parameters that would be left out, where that is how the upstream is configured. @throws Failure */
export function refusing(account: Account, dropped: readonly string[]): void {
  const param = dropped[0]
  if (param === undefined || !account.refusesUnsupported) return
  throw new Failure(
    'bad_request',
    `Unsupported parameter: '${param}' is not supported by the provider of the upstream "${account.name}".`,
    { param },
  )
}

/** Says what was left out; '' = nothing. */
export function droppedLine(dropped: readonly string[]): string {
  // Names come from the client's body.
  const names = [...new Set(dropped)].filter((name) => /^[\w.-]{1,64}$/.test(name)).slice(0, 32)
  return names.length === 0 ? '' : `x-headgate-dropped: ${names.join(', ')}\r\n`
}

/** A body for a provider that speaks like OpenAI but refuses some of its parameters. */
export interface Fitted {
  readonly body: Body | null
  readonly dropped: readonly string[]
}

/** The body without what the provider refuses. Bytes stay as they are where there is nothing to change. @throws Failure */
export function fitted(body: Body | null, x: Exchange, account: Account): Fitted {
  const { refuses, renames } = account
  if (refuses.length === 0 && renames.length === 0) return { body, dropped: [] }
  if (x.request.path !== '/v1/chat/completions' || body?.whole === null || body === null)
    return { body, dropped: [] }
  const json = parse(body.whole)
  if (json === null) return { body, dropped: [] }
  const named = refuses.filter((name) => Object.hasOwn(json, name))
  const renamed = renames.filter(([name]) => Object.hasOwn(json, name))
  if (named.length === 0 && renamed.length === 0) return { body, dropped: [] }
  // Usage comes unasked where the option is refused: leaving it out changes nothing.
  const dropped = named.filter((name) => json[name] !== null && name !== 'stream_options')
  refusing(account, dropped)
  for (const [name, other] of renamed) {
    if (!Object.hasOwn(json, other)) json[other] = json[name]
    delete json[name]
  }
  for (const name of named) delete json[name]
  return { body: new WholeBody(Buffer.from(JSON.stringify(json), 'utf8')), dropped }
}

function parse(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const json: unknown = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'),
    )
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : null
  } catch {
    // The provider says what is wrong with it.
    return null
  }
}
