// Stage 7, upstream: sends one prepared request to one account and reads the head of its answer. Each provider is a
// folder of its own; the wire underneath is our HTTP/1.1 client, or `fetch` where an egress proxy is in between.

import type { Clock } from '../../base/clock.ts'
import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Sweeper } from '../../net/wire/sweeper.ts'
import { Account, type AccountOptions, type AccountParts } from './account.ts'
import { anthropic } from './anthropic/anthropic.ts'
import { azure } from './azure/azure.ts'
import { bedrock } from './bedrock/bedrock.ts'
import { cohere } from './cohere/cohere.ts'
import { google } from './google/google.ts'
import { openWire, type Way } from './open-wire.ts'
import { openaiCompatible } from './openai-compatible/openai-compatible.ts'
import { openai } from './openai/openai.ts'
import { presets, type Preset, type PresetName } from './presets.ts'
import type { Provider } from './provider.ts'
import { sendAsIs } from './send-as-is.ts'
import { otherEnvironment } from './failures.ts'
import { probe } from './probe.ts'
import { sendByToken } from './send-by-token.ts'
import { sendTranslated } from './translated-send.ts'
import { vertex } from './vertex/vertex.ts'

/** An upstream of the configuration, with every place settled. What a kind does not let one set has its default here. */
export interface UpstreamOptions extends Partial<AccountOptions>, Partial<Way> {
  readonly name: string
  readonly baseUrl: URL
  readonly provider: ProviderName
}

type ProviderName = keyof typeof kinds | PresetName

const defaults = {
  keys: [],
  env: null,
  organization: null,
  project: null,
  timeouts: { connect: 10_000, firstByte: 60_000, idle: 60_000, total: 600_000 },
  keepAlive: { idle: 60_000, maxIdle: 32 },
  tls: { caFile: null },
  proxy: null,
  includeUsage: true,
  onClientGone: { drain: null },
}

export type { Account } from './account.ts'
export type { RefusedKeys } from './key-ring.ts'

export interface UpstreamStage {
  readonly accounts: readonly Account[]
  /** Asks one account once. @throws Failure */
  send(x: Exchange, account: Account): Promise<Reply>
  readonly probe: typeof probe
  /** Lets go of idle sockets; requests under way end. */
  close(): void
}

const kinds = {
  openai,
  'openai-compatible': openaiCompatible,
  azure,
  anthropic,
  google,
  vertex,
  bedrock,
  cohere,
  // The sandbox speaks like OpenAI, at an address of this process.
  sandbox: openai,
} satisfies Record<string, Provider>

function providerOf(name: ProviderName): Provider {
  if (name in kinds) return kinds[name as keyof typeof kinds]
  const { refuses = [], renames = {} }: Preset = presets[name as PresetName]
  return { ...openaiCompatible, refuses, renames }
}

export function createUpstream(
  upstreams: readonly UpstreamOptions[],
  parts: { clock: Clock; sweeper: Sweeper } & Partial<AccountParts>,
): UpstreamStage {
  const { clock, refusedKeys = new Map(), warn = () => {}, runCommand } = parts
  const accounts = upstreams.map((given) => {
    const options = { ...defaults, ...given }
    return new Account(options, providerOf(given.provider), {
      wire: openWire(options, parts.sweeper),
      clock,
      refusedKeys,
      warn,
      ...(runCommand === undefined ? {} : { runCommand }),
    })
  })
  return {
    accounts,
    send,
    probe,
    close: () => accounts.forEach((account) => account.wire.close()),
  }
}

// Not async functions: on the hot path every promise in between costs as much as a stage.
function send(x: Exchange, account: Account): Promise<Reply> {
  // Until it is on its way, nothing of it can have been seen.
  const attempt = x.tried.at(-1)
  if (attempt !== undefined) attempt.sent = false
  // Whoever chose the account: a caller of one environment never spends another's.
  if (account.env !== null && account.env !== x.principal.env) return Promise.reject(otherEnvironment())
  return account.token === null ? sendOnce(x, account) : sendByToken(x, account, sendOnce)
}

function sendOnce(x: Exchange, account: Account): Promise<Reply> {
  const identity = account.identity()
  if (identity === null) return Promise.reject(withoutKey(account))
  if (account.translation !== null) return sendTranslated(x, account, identity)
  try {
    return sendAsIs(x, account, identity)
  } catch (cause) {
    return Promise.reject(cause)
  }
}

function withoutKey(account: Account): Failure {
  if (account.token !== null) {
    const message = `The upstream "${account.name}" has no token: its command failed. Its operator must mend that.`
    return new Failure('upstream_auth_failed', message, { detail: account.token.trouble ?? 'no token' })
  }
  const message = `Every key of the upstream "${account.name}" has expired. Its operator must add a new one.`
  return new Failure('upstream_auth_failed', message)
}
