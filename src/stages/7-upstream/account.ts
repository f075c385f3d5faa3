// One upstream account as it runs: its wire, its keys, and the header lines that are the same for every request.

import type { Clock } from '../../base/clock.ts'
import type { Secret } from '../../base/secret.ts'
import type { Wire } from '../../net/wire/message.ts'
import type { AccountNames, Provider } from './provider.ts'

/** One key of an account; `notAfter` in ms since the Unix epoch, null = for ever. */
export interface AccountKey {
  readonly value: Secret
  readonly notAfter: number | null
}

export interface AccountOptions extends AccountNames {
  readonly name: string
  /** Where the API begins, such as `https://api.openai.com/v1`: takes the place of `/v1` in a client's path. */
  readonly baseUrl: URL
  readonly keys: readonly AccountKey[]
}

/** Shorter keys are placeholders for servers that want any text. */
const secretLengthMin = 8

export class Account {
  readonly name: string
  /** Key texts, for the check that none of them leaves in an answer. */
  readonly keyTexts: readonly string[]
  readonly #basePath: string
  readonly #fixedLines: string

  constructor(
    private readonly options: AccountOptions,
    private readonly provider: Provider,
    private readonly parts: { readonly wire: Wire; readonly clock: Clock },
  ) {
    this.name = options.name
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

  /** Lines that identify the account, with the first key that has not expired. Null where keys exist but none is valid. */
  identityLines(): string | null {
    const { keys } = this.options
    if (keys.length === 0) return this.provider.credentialLine(null) + this.#fixedLines
    const wallMs = this.parts.clock.wallMs()
    const key = keys.find((each) => each.notAfter === null || wallMs <= each.notAfter)
    return key === undefined ? null : this.provider.credentialLine(key.value) + this.#fixedLines
  }
}
