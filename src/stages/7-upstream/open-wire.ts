// Opens the wire of one account: our own HTTP/1.1 client, or `fetch` where an egress proxy is in between that it cannot go
// through.

import { readFileSync } from 'node:fs'
import { Http1Wire } from '../../net/wire/client.ts'
import { canTunnel } from '../../net/wire/egress.ts'
import { FetchWire } from '../../net/wire/fetch.ts'
import type { Wire, WireOptions } from '../../net/wire/message.ts'
import type { Sweeper } from '../../net/wire/sweeper.ts'

/** What a wire is opened by; times in milliseconds. */
export interface Way {
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

/** @throws where the CA's file cannot be read */
export function openWire({ baseUrl, timeouts, keepAlive, tls, proxy }: Way, sweeper: Sweeper): Wire {
  const wire: WireOptions = {
    origin: new URL(baseUrl.origin),
    timeouts: {
      connectMs: timeouts.connect,
      firstByteMs: timeouts.firstByte,
      idleMs: timeouts.idle,
      totalMs: timeouts.total,
    },
    keepAlive: { idleMs: keepAlive.idle, maxIdle: keepAlive.maxIdle },
    caPem: tls.caFile === null ? null : readFileSync(tls.caFile, 'utf8'),
    proxy,
  }
  const own = proxy === null || canTunnel(wire.origin, proxy)
  return own ? new Http1Wire(wire, sweeper) : new FetchWire(wire, sweeper)
}
