// One upstream account as it runs: its wire, its keys, and the header lines that are the same for every request.

import type { Clock } from '../../base/clock.ts'
import type { Wire } from '../../net/wire/message.ts'
import { Leaving, type DrainLimits } from './client-gone.ts'
import { KeyRing, type AccountKey, type KeyCounts, type RefusedKeys } from './key-ring.ts'
import type { AccountNames, Provider, ProviderSettings } from './provider.ts'
import { TokenCommand, type RunCommand, type TokenOptions } from './token-command.ts'
import type { Access, MakeModels, Translation } from './translation.ts'
import { ProviderCall } from './wire-fetch.ts'

export interface AccountOptions extends AccountNames, ProviderSettings {
  readonly name: string
  readonly provider: string
  /** Where the API begins, such as `https://api.openai.com/v1`: takes the place of `/v1` in a client's path. */
  readonly baseUrl: URL
  readonly keys: readonly AccountKey[]
  /** Environment whose callers alone may be sent here; null = all. */
  readonly env: string | null
  /** A credential that a command prints, in place of keys; absent or null = none. */
  readonly token?: TokenOptions | null
  /** It takes `stream_options.include_usage`. */
  readonly includeUsage: boolean
  /** What becomes of answers whose client has left. */
  readonly onClientGone: { readonly drain: DrainLimits | null }
}

/** What an account is given besides its options. */
export interface AccountParts {
  readonly wire: Wire
  readonly clock: Clock
  readonly refusedKeys: RefusedKeys
  /** Tells the operator of a key that was refused. */
  readonly warn: (message: string) => void
  /** Runs the command that prints a token. */
  readonly runCommand?: RunCommand
}

/** Header lines that identify the account, and the key in them. */
export interface Identity {
  readonly key: AccountKey | null
  readonly kind: 'key' | 'token'
  readonly lines: string
}

const none: readonly string[] = []
/** Shorter keys are placeholders for servers that want any text. */
const secretLengthMin = 8

export class Account {
  readonly name: string
  readonly env: string | null
  /** It takes `stream_options.include_usage`: usage of streams can be asked for. */
  readonly includeUsage: boolean
  /** Key texts, for the check that none of them leaves in an answer; the newest tokens too. */
  keyTexts: readonly string[]
  /** A credential that expires, with its command; null = the account has keys, or needs none. */
  readonly token: TokenCommand | null
  /** Knows what becomes of answers whose client has left. */
  readonly leaving: Leaving
  readonly #basePath: string
  readonly #fixedLines: string
  readonly #ring: KeyRing
  readonly #renames: readonly (readonly [string, string])[]
  readonly #secretTexts: readonly string[]
  #identity: Identity | null = null
  #models: Promise<MakeModels> | null = null

  constructor(
    private readonly options: AccountOptions,
    private readonly provider: Provider,
    private readonly parts: AccountParts,
  ) {
    this.name = options.name
    this.env = options.env
    this.includeUsage = options.includeUsage && provider.refuses?.includes('stream_options') !== true
    this.leaving = new Leaving(options.onClientGone.drain)
    this.#ring = new KeyRing(options.keys, {
      account: options.name,
      clock: parts.clock,
      refused: parts.refusedKeys,
    })
    // A stand-in such as `none` is no secret, and would be found in every answer.
    this.#secretTexts = [
      ...options.keys.map((key) => key.value),
      options.secretAccessKey,
      options.sessionToken,
    ]
      .map((secret) => secret?.reveal() ?? '')
      .filter((text) => text.length >= secretLengthMin)
    this.keyTexts = this.#secretTexts
    const { clock, runCommand: run } = parts
    this.token =
      options.token === undefined || options.token === null || run === undefined
        ? null
        : new TokenCommand(options.token, { clock, run })
    this.#basePath = options.baseUrl.pathname.replace(/\/+$/, '')
    this.#fixedLines = provider.accountLines(options)
    this.#renames = Object.entries(provider.renames ?? {})
  }

  get wire(): Wire {
    return this.parts.wire
  }

  get clock(): Clock {
    return this.parts.clock
  }

  /** Path and query as they go onto the upstream's request line. `model`: what this upstream is asked for. @throws Failure */
  target(path: string, query: string, model: string | null = null): string {
    const { provider, options } = this
    if (provider.target !== undefined)
      return provider.target({ basePath: this.#basePath, path, query, model }, options)
    return this.#basePath === '/v1' ? path + query : this.#basePath + path.slice('/v1'.length) + query
  }

  /** Whether the upstream's model must be known before its path is. */
  get pathNamesModel(): boolean {
    return this.provider.target !== undefined
  }

  /** Set where the provider does not speak like OpenAI. */
  get translation(): Translation | null {
    return this.provider.translation ?? null
  }

  /** Loads the provider's package, once. */
  loadModels(): Promise<MakeModels> {
    return (this.#models ??= this.provider.translation!.load())
  }

  /** What models of one request are made with. */
  access(identity: Identity, fetch: Access['fetch']): Access {
    const { options } = this
    const baseUrl = options.baseUrl.origin + this.#basePath
    return { baseUrl, key: identity.key?.value ?? null, keyKind: identity.kind, settings: options, fetch }
  }

  /** A way over this account's wire for the provider's package. */
  providerCall(): ProviderCall {
    return new ProviderCall(this.wire, { origin: this.options.baseUrl.origin, path: this.#basePath })
  }

  /** Whether parameters that the provider has nothing for are refused, not left out. */
  get refusesUnsupported(): boolean {
    return this.options.unsupported === 'refuse'
  }

  /** Members of a chat request that it answers with an error. */
  get refuses(): readonly string[] {
    return this.provider.refuses ?? none
  }

  /** Members of a chat request that it knows by another name only. */
  get renames(): readonly (readonly [name: string, other: string])[] {
    return this.#renames
  }

  /** Which kind of provider it is, such as `openai`. */
  get providerName(): string {
    return this.options.provider
  }

  /** Which account of the provider it is: project, organisation, or else the upstream's own name. */
  get account(): string {
    return this.options.project ?? this.options.organization ?? this.name
  }

  /** Where the account lies, such as `api.openai.com`. */
  get host(): string {
    return this.options.baseUrl.host
  }

  /** Who the next request is from, as the upstream sees it. Null where keys exist but all are past their date. */
  identity(): Identity | null {
    if (this.token !== null) return this.#tokenIdentity(this.token)
    const key = this.#ring.current()
    if (key === null && !this.#ring.empty) return null
    // The same lines as for the request before, unless the key has changed.
    if (this.#identity !== null && this.#identity.key === key) return this.#identity
    const lines = this.provider.credentialLine(key?.value ?? null, 'key') + this.#fixedLines
    return (this.#identity = { key, kind: 'key', lines })
  }

  #tokenIdentity(token: TokenCommand): Identity | null {
    const value = token.current
    if (value === null) return null
    if (this.#identity !== null && this.#identity.key?.value === value) return this.#identity
    // The one before stays: an answer to an earlier request may still hold it.
    const before = this.#identity?.key?.value.reveal()
    this.keyTexts = [...this.#secretTexts, value.reveal(), ...(before === undefined ? [] : [before])]
    const lines = this.provider.credentialLine(value, 'token') + this.#fixedLines
    return (this.#identity = { key: { value, notAfter: null }, kind: 'token', lines })
  }

  /** The upstream answered: was it content with the key? */
  learn(key: AccountKey | null, refused: boolean): void {
    if (key === null) return
    if (this.token !== null) {
      if (refused) this.token.refuse(key.value)
      return
    }
    if (!refused) return this.#ring.accept(key)
    if (!this.#ring.refuse(key)) return
    const next = this.#ring.trouble()
    this.parts.warn(
      `The upstream ${this.name} refused a key (401, fingerprint ${key.value.fingerprint}). ` +
        (next === null ? 'The next one is used from now on.' : 'No other is left: give it a new one.'),
    )
  }

  /** More than one key, so that one that is refused can be replaced at once. */
  get spareKeys(): boolean {
    return this.options.keys.length > 1
  }

  /** Stands for the key that the next request goes out with. */
  keyInUse(): unknown {
    return this.#ring.current()
  }

  /** Whether a key is left, or none is needed. Cheap. */
  hasKey(): boolean {
    return this.#ring.usable()
  }

  /** Why no request can be answered for want of a key; null where one is left. */
  keyTrouble(): string | null {
    if (this.token !== null) return this.token.current === null ? this.token.trouble : null
    return this.#ring.trouble()
  }

  keyCounts(): KeyCounts {
    return this.#ring.counts()
  }
}
