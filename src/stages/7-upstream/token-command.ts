// A credential that expires, printed by a command: an access token of Entra or Google Cloud. The command runs with the
// first request, again before the token expires, and once more when the upstream refuses it. One run at a time, however
// many requests wait for it, and never two within a few seconds: a command that fails must not become a storm.

import type { Clock } from '../../base/clock.ts'
import { Secret } from '../../base/secret.ts'

/** Runs a command; gives what it printed, or what went wrong, fit for a message. Never throws. */
export type RunCommand = (text: string) => Promise<{ readonly output: string } | { readonly wrong: string }>

export interface TokenOptions {
  readonly command: string
  /** How long a token is used that does not say when it expires. */
  readonly refreshMs: number
}

/** A token this near its end is replaced before it is used again. */
const marginMs = 5 * 60_000
/** Between one run of the command and the next. */
const pauseMs = 5000

export class TokenCommand {
  #token: Secret | null = null
  /** Wall clock from when on a new one is fetched before the next request. */
  #staleAtMs = 0
  /** Wall clock of its end, where it says so. */
  #endsAtMs = Infinity
  /** Monotonic time of the last run's end. */
  #ranAtMs = -Infinity
  #running: Promise<void> | null = null
  #trouble: string | null = null

  constructor(
    private readonly options: TokenOptions,
    private readonly parts: { readonly clock: Clock; readonly run: RunCommand },
  ) {}

  /** The token for the next request; null = there is none. */
  get current(): Secret | null {
    return this.#token !== null && this.parts.clock.wallMs() < this.#endsAtMs ? this.#token : null
  }

  /** Why there is none, fit for the operator. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** Resolves when a fresh token is there, or could not be had; undefined where nothing has to be waited for. */
  fresh(): Promise<void> | undefined {
    const { clock } = this.parts
    if (this.#token !== null && clock.wallMs() < this.#staleAtMs) return undefined
    if (this.#running !== null) return this.#running
    if (clock.nowMs() - this.#ranAtMs < pauseMs) return undefined
    return (this.#running = this.#run().finally(() => (this.#running = null)))
  }

  /** The upstream refused `token`: true where another may be had by asking again. */
  refuse(token: Secret): boolean {
    if (this.#token === null || token.fingerprint !== this.#token.fingerprint) return this.#token !== null
    this.#staleAtMs = 0
    return this.parts.clock.nowMs() - this.#ranAtMs >= pauseMs
  }

  async #run(): Promise<void> {
    const { clock, run } = this.parts
    const result = await run(this.options.command)
    this.#ranAtMs = clock.nowMs()
    const read = 'wrong' in result ? result : readToken(result.output)
    if ('wrong' in read) {
      this.#trouble = read.wrong
      return
    }
    this.#trouble = null
    this.#token = new Secret(read.token)
    const nowMs = clock.wallMs()
    const endsAtMs = read.endsAtMs ?? (read.lifeMs === null ? null : nowMs + read.lifeMs)
    this.#endsAtMs = endsAtMs ?? Infinity
    this.#staleAtMs =
      endsAtMs === null ? nowMs + this.options.refreshMs : Math.max(endsAtMs - marginMs, nowMs + pauseMs)
  }
}

interface Read {
  readonly token: string
  readonly endsAtMs: number | null
  readonly lifeMs: number | null
}

/** A token as text, or in the JSON that `az` (accessToken, expires_on) and OAuth servers (access_token, expires_in) print. */
function readToken(output: string): Read | { wrong: string } {
  let token = output.trim()
  let endsAtMs: number | null = null
  let lifeMs: number | null = null
  if (token.startsWith('{')) {
    try {
      const said = JSON.parse(token) as Record<string, unknown>
      const text = said['accessToken'] ?? said['access_token'] ?? said['token']
      token = typeof text === 'string' ? text : ''
      endsAtMs = seconds(said['expires_on'])
      lifeMs = seconds(said['expires_in'])
    } catch {
      return { wrong: 'the command printed JSON that cannot be read' }
    }
  }
  if (!/^[\x21-\x7e]{1,16384}$/.test(token)) return { wrong: 'the command printed no token' }
  return { token, endsAtMs: endsAtMs ?? (lifeMs === null ? endOfJwt(token) : null), lifeMs }
}

function seconds(value: unknown): number | null {
  const count = typeof value === 'string' ? Number(value) : value
  return typeof count === 'number' && Number.isFinite(count) && count > 0 ? count * 1000 : null
}

/** `exp` of a JSON web token, unverified: only to know when to ask for the next. */
function endOfJwt(token: string): number | null {
  const parts = token.split('.')
  if (parts.length !== 3) return null
  try {
    const claims = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString()) as { exp?: unknown }
    return seconds(claims.exp)
  } catch {
    return null
  }
}
