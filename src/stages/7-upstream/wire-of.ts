// The client of the wire that an upstream is asked with: our own, or `fetch` where an egress proxy is in between.

import { readFileSync } from 'node:fs'
import { Http1Wire } from '../../net/wire/client.ts'
import { canTunnel } from '../../net/wire/egress.ts'
import { FetchWire } from '../../net/wire/fetch.ts'
import type { Wire, WireOptions } from '../../net/wire/message.ts'
import type { Sweeper } from '../../net/wire/sweeper.ts'

/** What the wire needs of an upstream's settings; durations in milliseconds. */
export interface WireSettings {
  readonly baseUrl: URL
  readonly timeouts: {
    readonly connect: number
    readonly firstByte: number
    readonly idle: number
    readonly total: number
  }
  readonly keepAlive: { readonly idle: number; readonly maxIdle: number }
  readonly tls: { readonly caFile: string | null }
  readonly proxy: string | null
}

/** The client for an upstream. @throws where its CA file cannot be read */
export function wireOf(options: WireSettings, sweeper: Sweeper): Wire {
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
