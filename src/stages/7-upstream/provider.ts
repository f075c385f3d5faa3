// The contract of stage 7's kinds: what makes one provider's API differ from another's. Everything that is the same for
// all of them (header rules, time-outs, errors) is in this folder's other files. A kind either speaks like OpenAI, and
// then only names its credential, its paths and what it refuses, or it has a `translation`.

import type { Secret } from '../../base/secret.ts'
import type { Translation } from './translation.ts'

/** One provider, as data and small pure functions. */
export interface Provider {
  /** The header line, with CRLF, that carries the account's credential; '' without one. */
  credentialLine(key: Secret | null, kind: 'key' | 'token'): string
  /** Header lines of the account besides its key, each ended by CRLF. */
  accountLines(account: AccountNames): string
  /** Path and query where they are not the client's behind the base URL. @throws Failure */
  target?(request: Asking, settings: ProviderSettings): string
  /** Set where the provider does not speak like OpenAI. */
  readonly translation?: Translation
  /** Members of a chat request that it answers with an error; see `ProviderSettings.unsupported`. */
  readonly refuses?: readonly string[]
  /** Members of a chat request that it knows by another name only. */
  readonly renames?: Readonly<Record<string, string>>
}

/** What a kind may make a path of. */
export interface Asking {
  /** Path of the API's base URL, without a slash at its end. */
  readonly basePath: string
  /** As the client sent it, from `/v1`. */
  readonly path: string
  /** With its `?`, or ''. */
  readonly query: string
  /** The model asked of this upstream; null = the request names none. */
  readonly model: string | null
}

/** What an account is called at its provider. */
export interface AccountNames {
  readonly organization: string | null
  readonly project: string | null
}

/** Settings that only some kinds have; see options.ts. */
export interface ProviderSettings {
  /** What happens to parameters the provider has nothing for; absent = drop. */
  readonly unsupported?: 'drop' | 'refuse'
  /** azure: which of its two paths. */
  readonly api?: 'v1' | 'deployments'
  readonly apiVersion?: string | null
  /** azure: deployment for requests that name no model. */
  readonly deployment?: string | null
  /** bedrock */
  readonly region?: string
  readonly accessKeyId?: Secret | null
  readonly secretAccessKey?: Secret | null
  readonly sessionToken?: Secret | null
}
