// The other port: for operators, their probes and tools. Not on the data path, so it is Bun's own server. Probes need no
// token; everything else is the API. A change of settings is put in force without moving the port.

import type { AdminConfig } from '../config/admin-options.ts'
import { answerApi, json, refusal, type ApiParts } from './api.ts'
import { FailedAttempts } from './failed-attempts.ts'
import { mayAsk } from './host-guard.ts'
import { ApiProblem } from './problem.ts'
import type { AdminWorld } from './route.ts'
import { AdminTokens } from './tokens.ts'

/** What the probes report; asked anew at every call. */
export interface Health {
  /** Why new requests should go elsewhere; empty = ready. */
  notReady(): string[]
  /** What is wrong though requests are served. */
  remarks(): string[]
  /** Open connections and exchanges under way, for people who look. */
  counts(): { readonly connections: number; readonly exchanges: number }
}

/** Tells the log of the gateway itself. */
export type LogEvent = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

export interface AdminParts {
  readonly health: Health
  readonly world: AdminWorld
  /** Digest of the token made at the first start, where there is one. */
  readonly generatedToken: () => Buffer | null
  readonly event: LogEvent
}

/** How long calls under way may go on when the port moves. */
const graceMs = 5000

export class AdminServer {
  /** The address asked for, as `hostname port`. */
  readonly requested: string
  readonly #server: Bun.Server<undefined>
  readonly #api: ApiParts
  #tokens: AdminTokens
  #config: AdminConfig

  /** Listens. @throws the system's error where the address cannot be had */
  constructor(
    config: AdminConfig,
    private readonly parts: AdminParts,
  ) {
    const { hostname, port } = config.listen
    this.requested = `${hostname} ${port}`
    this.#config = config
    this.#tokens = AdminTokens.of(config, parts.generatedToken())
    this.#api = {
      world: parts.world,
      tokens: () => this.#tokens,
      failures: new FailedAttempts(parts.world.clock),
      event: parts.event,
    }
    this.#server = Bun.serve({
      hostname,
      port,
      development: false,
      // Without `development` Bun shares the port by default: two gateways would answer on it in turns.
      reusePort: false,
      idleTimeout: 30,
      // The API has its own, lower bound with its own words.
      maxRequestBodySize: 1024 * 1024,
      fetch: (request, server) => this.#answer(request, server.requestIP(request)?.address ?? ''),
      error: (cause) => {
        parts.event('error', 'This is a bug: please report it.', { cause })
        return refusal(new ApiProblem('internal_error', 'The gateway failed. Its log says how.'))
      },
    })
  }

  get hostname(): string {
    return this.#server.hostname!
  }

  get port(): number {
    return this.#server.port!
  }

  /** Other tokens and hosts, same address. */
  configure(config: AdminConfig): void {
    this.#config = config
    this.#tokens = AdminTokens.of(config, this.parts.generatedToken())
  }

  /** Cuts everything at once. */
  stop(): void {
    void this.#server.stop(true)
  }

  /** Accepts no more; calls under way, such as the one that moved the port, may end. */
  retire(): void {
    void this.#server.stop(false)
    setTimeout(() => this.stop(), graceMs).unref()
  }

  #answer(request: Request, address: string): Response | Promise<Response> {
    const { listen, publicHosts } = this.#config
    if (!mayAsk(request.headers.get('host'), listen.hostname, publicHosts)) {
      const message =
        'This port does not answer to that Host. Ask by localhost, or add the name to admin.publicHosts.'
      return refusal(new ApiProblem('misdirected_request', message))
    }
    const { pathname } = new URL(request.url)
    if (pathname === '/api' || pathname.startsWith('/api/')) return answerApi(request, address, this.#api)
    if (pathname !== '/healthz' && pathname !== '/readyz') {
      const message = 'There is nothing at this path. Try /healthz, /readyz or /api/openapi.json.'
      return refusal(new ApiProblem('not_found', message))
    }
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refusal(new ApiProblem('method_not_allowed', 'Ask with GET.', { allowed: ['GET'] }))
    return pathname === '/healthz' ? json({ status: 'ok' }, 200) : this.#ready()
  }

  #ready(): Response {
    const { health } = this.parts
    const reasons = health.notReady()
    const ready = reasons.length === 0
    const status = ready ? 'ready' : 'not ready'
    const body = { status, reasons: [...reasons, ...health.remarks()], ...health.counts() }
    return json(body, ready ? 200 : 503)
  }
}
