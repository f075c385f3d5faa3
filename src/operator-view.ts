// What operators see of a running gateway, and what they may do to it: the admin port's world, made of the stages in
// force. The data path knows nothing of it but one line: each exchange that ends is also taken down for GET /api/requests.

import { RecentRequests } from './admin/recent-requests.ts'
import type { AdminWorld, UpstreamRow } from './admin/route.ts'
import type { AdminParts, Health } from './admin/admin.ts'
import type { Clock } from './base/clock.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Stages } from './proxy.ts'

/** What the process behind a gateway gives its admin port. */
export interface AdminBackend extends Pick<AdminWorld, 'keys' | 'audit' | 'reload'> {
  /** Absent = there is no ledger to read. */
  readonly reports?: AdminWorld['reports']
  /** What is wrong though requests are served, such as a price file. */
  readonly troubles?: () => string[]
  /** Digest of the token that was made at the first start; null where one is configured. */
  generatedToken(): Buffer | null
}

/** A gateway by itself: no store, no configuration to read anew, no token but configured ones. */
const noBackend: AdminBackend = {
  keys: null,
  audit: null,
  reload: () =>
    Promise.resolve({ kind: 'failed', message: 'this gateway was not started from a configuration' }),
  generatedToken: () => null,
}

/** What the gateway was built of. */
export interface ViewParts {
  readonly clock: Clock
  readonly log: Stages['log']
  readonly ledger?: Pick<Ledger, 'trouble'>
  readonly admin?: AdminBackend
}

/** The state of a gateway that is asked for at each look. */
export interface Watched {
  stages(): Stages
  connections(): number
  /** Under way. */
  exchanges(): number
}

export class OperatorView implements AdminParts {
  draining = false
  readonly health: Health
  readonly world: AdminWorld
  readonly event: AdminParts['event']
  readonly generatedToken: AdminParts['generatedToken']
  readonly #requests = new RecentRequests()

  constructor(
    private readonly parts: ViewParts,
    private readonly watched: Watched,
  ) {
    const { clock, log, admin: backend = noBackend } = parts
    this.event = log.event
    this.generatedToken = backend.generatedToken
    this.health = {
      notReady: () => this.#notReady(),
      remarks: () => [...watched.stages().authenticate.troubles(), ...(backend.troubles?.() ?? [])],
      counts: () => ({ connections: watched.connections(), exchanges: watched.exchanges() }),
    }
    this.world = {
      clock,
      keys: backend.keys,
      audit: backend.audit,
      reports: backend.reports ?? null,
      requests: this.#requests,
      upstreams: () => this.#upstreams(),
      cache: () => watched.stages().cache.view(),
      purge: (which) => watched.stages().cache.purge(which),
      drain: (name, draining) => this.#drain(name, draining),
      limits: () => watched.stages().limit.rows(),
      reload: (by) => backend.reload(by),
    }
  }

  /** `log`, whose lines are also kept for a while. */
  keeping(log: Stages['log']): Stages['log'] {
    const requests = this.#requests
    const { clock } = this.parts
    const write: Stages['log']['write'] = (x) => {
      requests.add(x, clock.nowMs())
      log.write(x)
    }
    return { ...log, write }
  }

  #notReady(): string[] {
    const reasons = this.draining ? ['draining: no new requests are taken'] : []
    const trouble = this.parts.ledger?.trouble() ?? null
    if (trouble !== null) reasons.push(`ledger: ${trouble}`)
    const { upstream, route } = this.watched.stages()
    for (const account of upstream.accounts) {
      const trouble = account.keyTrouble()
      if (trouble !== null) reasons.push(`upstream ${account.name}: ${trouble}`)
    }
    if (upstream.accounts.every(({ name }) => route.report(name).draining))
      reasons.push('upstreams: every one is drained; take one back with `headgate upstreams resume <name>`')
    return reasons
  }

  #drain(name: string, draining: boolean): boolean {
    const { upstream, route } = this.watched.stages()
    if (!upstream.accounts.some((account) => account.name === name)) return false
    route.drain(name, draining)
    return true
  }

  #upstreams(): UpstreamRow[] {
    const { upstream, route } = this.watched.stages()
    return upstream.accounts.map((account) => ({
      name: account.name,
      provider: account.providerName,
      host: account.host,
      env: account.env,
      sockets: account.wire.counts(),
      keys: account.keyCounts(),
      ...route.report(account.name),
    }))
  }
}
