// One upstream account as it runs: its wire, its keys, and the header lines that are the same for every request.

import type { Clock } from '../../base/clock.ts'
import type { Wire } from '../../net/wire/message.ts'
import { Leaving, type DrainLimits } from './client-gone.ts'
import { KeyRing, type AccountKey, type KeyCounts, type RefusedKeys } from './key-ring.ts'
import type { AccountNames, Provider } from './provider.ts'

export interface AccountOptions extends AccountNames {
  readonly name: string
  readonly provider: string
  /** Where the API begins, such as `https://api.openai.com/v1`: takes the place of `/v1` in a client's path. */
  readonly baseUrl: URL
  readonly keys: readonly AccountKey[]
  /** Environment whose callers alone may be sent here; null = all. */
  readonly env: string | null
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
}

/** Header lines that identify the account, and the key in them. */
export interface Identity {
  readonly key: AccountKey | null
  readonly lines: string
}

/** Shorter keys are placeholders for servers that want any text. */
const secretLengthMin = 8

export class Account {
  readonly name: string
  readonly env: string | null
  /** It takes `stream_options.include_usage`: usage of streams can be asked for. */
  readonly includeUsage: boolean
  /** Key texts, for the check that none of them leaves in an answer. */
  readonly keyTexts: readonly string[]
  /** Knows what becomes of answers whose client has left. */
  readonly leaving: Leaving
  readonly #basePath: string
  readonly #fixedLines: string
  readonly #ring: KeyRing
  #identity: Identity | null = null

  constructor(
    private readonly options: AccountOptions,
    private readonly provider: Provider,
    private readonly parts: AccountParts,
  ) {
    this.name = options.name
    this.env = options.env
    this.includeUsage = options.includeUsage
    this.leaving = new Leaving(options.onClientGone.drain)
    this.#ring = new KeyRing(options.keys, {
      account: options.name,
      clock: parts.clock,
      refused: parts.refusedKeys,
    })
    // A stand-in such as `none` is no secret, and would be found in every answer.
    this.keyTexts = options.keys
      .map((key) => key.value.reveal())
      .filter((text) => text.length >= secretLengthMin)
    this.#basePath = options.baseUrl.pathname.replace(/\/+$/, '')
    this.#fixedLines = provider.accountLines(options)
  }

  get wire(): Wire {
    return this.parts.wire
  }

  /** Path and query as they go onto the upstream's request line. */
  target(path: string, query: string): string {
    return this.#basePath === '/v1' ? path + query : this.#basePath + path.slice('/v1'.length) + query
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
    const key = this.#ring.current()
    if (key === null && !this.#ring.empty) return null
    // The same lines as for the request before, unless the key has changed.
    if (this.#identity !== null && this.#identity.key === key) return this.#identity
    const lines = this.provider.credentialLine(key?.value ?? null) + this.#fixedLines
    return (this.#identity = { key, lines })
  }

  /** The upstream answered: was it content with the key? */
  learn(key: AccountKey | null, refused: boolean): void {
    if (key === null) return
    if (!refused) return this.#ring.accept(key)
    if (!this.#ring.refuse(key)) return
    const next = this.#ring.trouble()
    this.parts.warn(
      `The upstream ${this.name} refused a key (401, fingerprint ${key.value.fingerprint}). ` +
        (next === null ? 'The next one is used from now on.' : 'No other is left: give it a new one.'),
    )
  }

  /** Why no request can be answered for want of a key; null where one is left. */
  keyTrouble(): string | null {
    return this.#ring.trouble()
  }

  keyCounts(): KeyCounts {
    return this.#ring.counts()
  }
}
