// Stage 7, upstream: sends one prepared request to one account and reads the head of its answer. Each provider is a
// folder of its own; the wire underneath is our HTTP/1.1 client, or `fetch` where an egress proxy is in between.

import { readFileSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { Http1Wire } from '../../net/wire/client.ts'
import { canTunnel } from '../../net/wire/egress.ts'
import { FetchWire } from '../../net/wire/fetch.ts'
import { WireError, type Wire, type WireOptions } from '../../net/wire/message.ts'
import type { Sweeper } from '../../net/wire/sweeper.ts'
import { Account, type AccountOptions, type AccountParts } from './account.ts'
import { answerOf } from './answer.ts'
import { failureOf } from './failures.ts'
import { openaiCompatible } from './openai-compatible/openai-compatible.ts'
import { openai } from './openai/openai.ts'
import type { Provider } from './provider.ts'
import { requestHeaderLines } from './request-headers.ts'

/** An upstream of the configuration, with every place settled. What a kind does not let one set has its default here. */
export interface UpstreamOptions extends Partial<AccountOptions> {
  readonly name: string
  readonly baseUrl: URL
  readonly provider: 'openai' | 'openai-compatible' | 'sandbox'
  /** Milliseconds. */
  readonly timeouts?: {
    readonly connect: number
    readonly firstByte: number
    readonly idle: number
    readonly total: number
  }
  /** `idle` in milliseconds. */
  readonly keepAlive?: { readonly idle: number; readonly maxIdle: number }
  readonly tls?: { readonly caFile: string | null }
  readonly proxy?: string | null
}

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
  /** Lets go of idle sockets; requests under way end. */
  close(): void
}

const providers: Record<UpstreamOptions['provider'], Provider> = {
  openai,
  'openai-compatible': openaiCompatible,
  // The sandbox speaks like OpenAI, at an address of this process.
  sandbox: openai,
}

export function createUpstream(
  upstreams: readonly UpstreamOptions[],
  parts: { clock: Clock; sweeper: Sweeper } & Partial<AccountParts>,
): UpstreamStage {
  const { clock, refusedKeys = new Map(), warn = () => {} } = parts
  const accounts = upstreams.map((given) => {
    const options = { ...defaults, ...given }
    return new Account(options, providers[given.provider], {
      wire: wireOf(options, parts.sweeper),
      clock,
      refusedKeys,
      warn,
    })
  })
  return {
    accounts,
    send,
    close: () => accounts.forEach((account) => account.wire.close()),
  }
}

function wireOf(options: Required<UpstreamOptions>, sweeper: Sweeper): Wire {
  const { timeouts, keepAlive } = options
  const wire: WireOptions = {
    origin: new URL(options.baseUrl.origin),
    timeouts: {
      connectMs: timeouts.connect,
      firstByteMs: timeouts.firstByte,
      idleMs: timeouts.idle,
      totalMs: timeouts.total,
    },
    keepAlive: { idleMs: keepAlive.idle, maxIdle: keepAlive.maxIdle },
    caPem: options.tls.caFile === null ? null : readFileSync(options.tls.caFile, 'utf8'),
    proxy: options.proxy,
  }
  const own = options.proxy === null || canTunnel(wire.origin, options.proxy)
  return own ? new Http1Wire(wire, sweeper) : new FetchWire(wire, sweeper)
}

const neverSent: ReadonlySet<string> = new Set(['connect_failed', 'connect_timeout', 'tls_failed'])

// Not an async function: on the hot path every promise in between costs as much as a stage.
function send(x: Exchange, account: Account): Promise<Reply> {
  const { request } = x
  const attempt = x.tried.at(-1) ?? null
  // Until the wire has it, nothing of it can have been seen.
  if (attempt !== null) attempt.sent = false
  // Whoever chose the account: a caller of one environment never spends another's.
  if (account.env !== null && account.env !== x.principal.env) return Promise.reject(otherEnvironment())
  const identity = account.identity()
  if (identity === null) {
    const message = `Every key of the upstream "${account.name}" has expired. Its operator must add a new one.`
    return Promise.reject(new Failure('upstream_auth_failed', message))
  }
  const websocket = request.upgrade !== null
  x.sentMetered = x.meteredBody !== null && account.includeUsage
  const call = account.wire.send({
    method: request.method,
    target: account.target(request.path, request.query),
    headerLines: requestHeaderLines(request.headers, websocket, x.ownFields) + identity.lines,
    body: x.sentMetered ? x.meteredBody : x.requestBody,
    upgrade: websocket ? 'websocket' : null,
  })
  if (attempt !== null) attempt.sent = true
  x.onGone = () => account.leaving.left(x, call)
  if (x.gone) call.abort()
  return call.reply.then(
    (wire) => {
      if (wire.resent) x.attempts++
      if (attempt !== null) attempt.status = wire.status
      return answerOf(x, { account, key: identity.key }, wire)
    },
    (cause: unknown) => {
      if (!(cause instanceof WireError)) throw cause
      if (cause.resent) x.attempts++
      if (attempt !== null && neverSent.has(cause.fault)) attempt.sent = false
      throw failureOf(cause)
    },
  )
}

function otherEnvironment(): Failure {
  return new Failure(
    'access_denied',
    'No upstream serves the environment of your key. Ask its owner for access.',
  )
}
