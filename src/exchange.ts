// What travels: one request and its reply. Fields are grouped by the stage that writes them, and only that stage
// assigns them. Every field starts inert (a principal with no rights, no holds, no usage), so that code which runs
// too early fails closed, and so that every exchange has one hidden class.

import type { Address } from './base/address.ts'
import type { KnownBytes } from './base/known-bytes.ts'
import type { Clock } from './base/clock.ts'
import type { Endpoint } from './openai/endpoints.ts'
import { endUserIn, modelNamed, modelParsed } from './openai/body-names.ts'
import type { FormModel } from './openai/form-model.ts'
import type { Units, Usage } from './openai/usage.ts'
import type { Body, Tunnel, WireFault } from './net/wire/message.ts'
import type { HeaderBlock } from './net/wire/headers.ts'
import { Failure } from './failure.ts'

/** Who asks, and what they may do. Immutable. */
export interface Principal {
  readonly kind: 'nobody' | 'anonymous' | 'key' | 'jwt'
  /** Name or id of the key; null for anonymous. */
  readonly key: string | null
  /** Id of a key from the store, `key_…`; null for any other. */
  readonly keyId: string | null
  readonly team: string | null
  readonly app: string | null
  readonly user: string | null
  readonly env: string | null
  /** Who issued the token; absent = it is none. */
  readonly issuer?: string
  /** Model globs this principal may ask for; null = all. */
  readonly models: readonly string[] | null
  /** Endpoint operations this principal may use; null = all. */
  readonly endpoints: readonly string[] | null
  /** Addresses and CIDR blocks it may come from; null = any. */
  readonly addresses: readonly string[] | null
  /** Addresses and CIDR blocks it may not come from; absent = none. */
  readonly deniedAddresses?: readonly string[]
  /** User-agent globs it may come by; null = any. */
  readonly userAgents: readonly string[] | null
  /** User-agent globs it may not come by; absent = none. */
  readonly deniedUserAgents?: readonly string[]
  /** Whether the header fields of `access.identity` are believed. */
  readonly mayName: boolean
  /** A budget of its own, such as `$50/month`; absent = none. */
  readonly budget?: string | null
  /** Wall clock from when on it counts no more; null = never. */
  readonly expiresAtMs: number | null
}

/** The principal every exchange starts with: may do nothing. */
export const nobody: Principal = {
  kind: 'nobody',
  key: null,
  keyId: null,
  team: null,
  app: null,
  user: null,
  env: null,
  models: [],
  endpoints: [],
  addresses: [],
  userAgents: [],
  mayName: false,
  expiresAtMs: null,
}

/** A request as the front received it. */
export interface IncomingRequest {
  readonly method: string
  /** Path as sent, without query; checked and never rewritten: router, authoriser and upstream use this one string. */
  readonly path: string
  /** Query with its `?`, or ''. */
  readonly query: string
  readonly headers: HeaderBlock
  readonly body: Body | null
  /** Address of the socket's other end, or the one that the PROXY protocol names. */
  readonly peerAddress: string
  /** The Upgrade token asked for, lower-cased (`websocket`), or null. */
  readonly upgrade: string | null
}

/** A reply on its way to the client: what a stage answers or an upstream sent. */
export interface Reply {
  status: number
  /** Header lines as they go out, each ended by CRLF; without framing, Date and our own headers. */
  headerLines: string
  /** `headerLines` holds a Date. */
  dated: boolean
  /** Content-Type's value, or '' */
  contentType: string
  body: Body | null
  /** Set for 101. */
  tunnel: Tunnel | null
  /** The call it answers, where an upstream was asked for it. */
  attempt?: Attempt
}

/** A change to, or a look at, the bytes of a reply as they pass. Taps of server-sent events are given whole frames only. */
export interface Tap {
  /** Bytes to pass on: the same object where nothing changed; empty = nothing now. Must not throw. */
  chunk(bytes: Uint8Array): Uint8Array
  /** Bytes to add at a clean end. */
  end(): Uint8Array | null
}

/**
 * One call of an upstream. Made by stage 8 when stage 6 asks (`Stages.ask`), and filled as its answer comes; the ledger has a
 * row for each. An exchange that fails over has several, of which the last one answered.
 */
export class Attempt {
  /** Monotonic. */
  readonly startedAtMs: number
  readonly startedWallMs: number
  /** HTTP status of the answer; 0 = none came. */
  status = 0
  failure: Failure | null = null
  /** Whether a byte of the request may have reached the upstream: from then on it may cost. */
  sent = true
  /** What broke it on the wire, in the words of net/wire; null = nothing did. */
  fault: WireFault | null = null
  /** Who counts it as under way, told once when it is over; null = nobody any more. See stages/6-route. */
  underWay: UnderWay | null = null
  /** Gives the call up while it is under way; null = there is no call yet. */
  call: { abort(): void } | null = null
  /** It went on where another had broken off amid its answer. */
  continued = false
  /** The model asked of this upstream: after aliases, and after its own mapping; null = the body names none. */
  upstreamModel: string | null = null
  /** Model named in the answer. */
  answeredModel: string | null = null
  /** `service_tier` of the answer; null = not said. */
  serviceTier: string | null = null
  usage: Usage | null = null
  /** What is counted in something else than tokens: images, seconds of audio, characters. */
  units: Units | null = null
  /** `usage` is the whole of it: the answer ended, or said so. False amid a stream of running sums: then it is a lower bound. */
  usageFinal = false
  /** What a stream has said so far, for an estimate; null = no stream, or nothing yet. */
  output: SaidText | null = null
  /** Its cost is in rows of their own, one for each `MeteredItem`: its own row counts nothing, and nothing is estimated. */
  itemised = false
  /** Monotonic; 0 = not yet. */
  firstByteAtMs = 0
  endedAtMs = 0
  /** `open` until its row is final; exactly one of the others afterwards. */
  state: 'open' | 'settled' | 'estimated' | 'void' = 'open'
  /** What it costs us, in nano-dollars; null = no price is known, or not settled yet. */
  costNanoUsd: number | null = null
  /** Tokens of its row: the provider's own, or estimated; null = none, or not settled yet. */
  bookedUsage: Usage | null = null
  /** The same of what came with it and has rows of its own. */
  itemsNanoUsd = 0
  /** Its answer is what the client gets. */
  delivered = false
  /** Its answer came to its own end. */
  complete = false

  constructor(
    /** Id of its ledger row: that of the exchange and a number. */
    readonly id: string,
    readonly whom: AttemptTarget,
    clock: Clock,
  ) {
    this.startedAtMs = clock.nowMs()
    this.startedWallMs = clock.wallMs()
  }
}

/** Text that came in a stream. */
export interface SaidText {
  /** Bytes of it; what `text` gives may be its beginning. */
  readonly bytes: number
  text(): string
}

/** Keeps count of what is under way. */
export interface UnderWay {
  over(x: Exchange, attempt: Attempt): void
}

/** Who is asked. */
export interface AttemptTarget {
  /** Name of the upstream. */
  readonly name: string
  /** Which account of its provider: project, organisation, or the upstream's name. */
  readonly account: string
  /** Which kind of provider it is, such as `openai`. */
  readonly providerName: string
}

/** An answer that is waited for, or read on, after its client has left. */
export interface Drain {
  /** Resolves when no more of it is to be known. */
  readonly done: Promise<void>
  /** An answer is there and streams: it is read on until `end`. */
  begin(body: Body): void
  /** Bytes have come; they have passed the taps. */
  saw(bytes: Uint8Array): void
  /** All is known that will be. Idempotent. */
  end(): void
}

/** How the cache took part: the value of `x-cache-status`. */
export type CacheStatus = 'HIT' | 'SEMANTIC' | 'MISS' | 'BYPASS' | 'EXPIRED' | 'STALE' | 'COALESCED'

/** What an answer that came from the cache had been worth to whoever asked the upstream for it. */
export interface CachedFacts {
  usage: Usage | null
  /** Kind and name of the upstream that answered. */
  provider: string | null
  upstream: string | null
  /** The model asked of the upstream, and the one that answered. */
  upstreamModel: string | null
  answeredModel: string | null
  serviceTier: string | null
  /** Nano-dollars; null = not known. */
  costNanoUsd: number | null
  /** Where its cost is still being found out: resolves when more is known, or never will be. Absent or null = it is not. */
  readonly pending?: Promise<void> | null
}

/** An upstream's answer that several exchanges may wait for; see stages/5-cache. */
export interface Sharing {
  /** The client of `x` has left. True = others wait for its upstream call, which goes on. */
  left(x: Exchange): boolean
}

/** Something reserved for one exchange; see stages/3-limit. */
export interface Hold {
  /** Gives back what was reserved and books what was used. Called once. Must not throw. */
  settle(x: Exchange): void
}

export class Exchange {
  readonly id: string
  readonly request: IncomingRequest
  /** Monotonic; see base/clock.ts. Since it was read, where it had to wait for its turn. */
  startedAtMs: number
  readonly startedWallMs: number

  // 1-accept
  /** Who asks, behind the proxies that are trusted; null = not known yet, or the socket has none any more. */
  clientAddress: Address | null = null
  /** Lines that go with whatever is answered, in place of the upstream's own cross-origin fields; null = no such rules. */
  corsLines: string | null = null
  endpoint: Endpoint | null = null
  /** The JSON body's bytes where it was read whole; null = none, or streamed. */
  bodyBytes: Uint8Array | null = null
  /** The same body where it came before, with what was found out about it; null = it did not, or that is not remembered. */
  knownBody: KnownBytes | null = null
  /** Reads the model that a form names, as it passes; null = the body is none. For rows and prices, never to decide by. */
  form: FormModel | null = null
  /** The body as it goes upstream: whole where `bodyBytes` is set, else streamed; null = none. */
  requestBody: Body | null = null
  /** Pairs of `x-headgate-metadata`, for reports; null = none. */
  metadata: Readonly<Record<string, string>> | null = null
  /** How often the client's SDK says it has tried before: `x-stainless-retry-count`. */
  retryCount = 0
  #json: unknown = undefined
  #parsed: 'not yet' | 'good' | 'broken' = 'not yet'
  #modelSeen: string | null | undefined = undefined
  #endUserSeen: string | null | undefined = undefined

  // 2-authenticate
  principal: Principal = nobody
  /** Numbers of header fields that are meant for the gate and go no further; see net/wire/field-names.ts. */
  ownFields: readonly number[] = none

  // 3-limit
  /** What is reserved for this exchange and not settled yet. */
  readonly holds: Hold[] = []

  /** Its limits are settled: what is reserved from now on is given back at once. */
  limitsSettled = false

  /** Lines about limits that go with whatever is answered, each ended by CRLF: `x-ratelimit-…`. */
  limitLines = ''

  // 4-transform
  /** The query as it goes upstream: `request.query`, or that of a list's further page. */
  query: string
  /** Upstream that keeps the stored objects which the request names: nobody else can serve it. null = it names none. */
  objectAccount: string | null = null
  /** The request names objects that are in nobody's name, which is allowed. */
  unknownObjects = false
  /** Why a streamed request body was broken off here, before its last byte; null = it was not. */
  bodyFailure: Failure | null = null

  // 5-cache
  cacheStatus: CacheStatus = 'BYPASS'
  /** Age of a stored answer in seconds; null = not from the cache. */
  ageSeconds: number | null = null
  /** What the answer had been worth; set where what is given is no answer of an upstream to this exchange. */
  cached: CachedFacts | null = null
  /** What the part of the answer had been worth that did not have to be asked for; null = all of it had. */
  knownPart: CachedFacts | null = null
  /** The answer this exchange waits for or fetches for others too; null = its own business. */
  sharing: Sharing | null = null
  /** The answer given is past its time: a new one is to be fetched behind it. */
  revalidate = false
  /** Digest of what was asked, for `cache simulate`; '' = not told. */
  cacheKey = ''

  // 6-route and 7-upstream
  /** Name of the upstream that answered, or was asked last. */
  upstream: string | null = null
  attempts = 0
  /** The model to ask of the upstream that is asked next; null = as the request names it. */
  routedModel: string | null = null
  /** In place of the request's query and body, for a call that the gate makes on its own account; null = the request's. */
  routedQuery: string | null = null
  routedBody: Body | null = null
  /** `x-request-id` of the upstream's answer. */
  upstreamRequestId: string | null = null
  /** The upstream was sent `meteredBody`: what that adds to the answer is taken out again. */
  sentMetered = false
  /** An answer is under way whose bytes are still to be read for its cost. */
  reading = false
  /** What goes on of the answer though the client has left; null = it has not, or nothing does. */
  drain: Drain | null = null

  // 8-meter
  /** Whether an answer that needed no call has its row: `due` from when it is given. */
  ownRow: 'none' | 'due' | 'kept' = 'none'
  /** The calls made, in order; `attempts` also counts those that the wire sent again by itself. */
  readonly tried: Attempt[] = []
  /** The body to send in place of `requestBody` where the upstream reports usage of streams on request; null = the same. */
  meteredBody: Body | null = null
  /** Set while what must be kept is on its way to the disk: the last byte of a reply waits for it. */
  durable: Promise<void> | null = null
  /** Set where an answer is read on for its usage though the client has left: the exchange ends with it. */
  drained: Promise<void> | null = null
  /** Model named in the answer. */
  answeredModel: string | null = null
  /** `service_tier` of the answer. */
  serviceTier: string | null = null
  usage: Usage | null = null
  units: Units | null = null

  // 9-log: facts of the delivery
  status = 0
  failure: Failure | null = null
  firstByteAtMs = 0
  bytesIn = 0
  bytesOut = 0
  stream = false

  /** Called when the client leaves: whoever waits on an upstream registers its abort here. */
  onGone: (() => void) | null = null
  gone = false

  constructor(id: string, request: IncomingRequest, clock: Clock) {
    this.id = id
    this.request = request
    this.query = request.query
    this.startedAtMs = clock.nowMs()
    this.startedWallMs = clock.wallMs()
  }

  /**
   * The body as a JSON value, parsed once; undefined where there is no whole body.
   * @throws Failure('invalid_json')
   */
  json(): unknown {
    if (this.#parsed === 'not yet' && this.bodyBytes !== null && this.bodyBytes.length > 0) {
      try {
        this.#json = JSON.parse(decoder.decode(this.bodyBytes))
        this.#parsed = 'good'
        if (this.knownBody !== null) modelParsed.keep(this.knownBody, this.model)
      } catch {
        this.#parsed = 'broken'
      }
    }
    if (this.#parsed !== 'broken') return this.#json
    throw new Failure('invalid_json', 'The request body is not valid JSON. Check the body your client sends.')
  }

  /**
   * `model` of the request where the body is a JSON object that names one; null otherwise. Without a stage that needed
   * the body parsed it is read from the bytes: good enough to report, never to decide by.
   */
  get model(): string | null {
    if (this.#parsed === 'broken' || this.bodyBytes === null) return null
    if (this.#parsed === 'not yet') {
      if (this.#modelSeen === undefined) this.#modelSeen = modelNamed(this.knownBody, this.bodyBytes)
      return this.#modelSeen
    }
    const json = this.#json as { model?: unknown } | null
    return typeof json?.model === 'string' ? json.model : null
  }

  /** The end user that the JSON body names, read from its bytes: to report, never to decide by. */
  get endUser(): string | null {
    if (this.#endUserSeen === undefined && this.bodyBytes !== null)
      this.#endUserSeen = endUserIn.of(this.knownBody, this.bodyBytes)
    return this.#endUserSeen ?? null
  }
}

const none: readonly number[] = []
const decoder = new TextDecoder('utf-8', { fatal: true })
