// The kinds of wire that the contract suite runs on.

import { systemClock } from '../../src/base/clock.ts'
import { Http1Wire } from '../../src/net/wire/client.ts'
import { FetchWire } from '../../src/net/wire/fetch.ts'
import type { Wire, WireOptions } from '../../src/net/wire/message.ts'
import { Sweeper } from '../../src/net/wire/sweeper.ts'

export interface Kind {
  readonly name: string
  /** Parses by itself, and refuses whatever is odd; `fetch` forgives some of it. */
  readonly strict: boolean
  make(options: WireOptions, sweeper: Sweeper): Wire
}

export const kinds: readonly Kind[] = [
  { name: 'own client', strict: true, make: (options, sweeper) => new Http1Wire(options, sweeper) },
  { name: 'fetch', strict: false, make: (options, sweeper) => new FetchWire(options, sweeper) },
]

export type Settings = Partial<Omit<WireOptions, 'timeouts' | 'origin'>> & {
  readonly timeouts?: Partial<WireOptions['timeouts']>
}

/** Options with time-outs that no test meets unless it says so. */
export function optionsFor(origin: URL, settings: Settings = {}): WireOptions {
  return {
    keepAlive: { idleMs: 20_000, maxIdle: 32 },
    caPem: null,
    proxy: null,
    ...settings,
    origin,
    timeouts: {
      connectMs: 20_000,
      firstByteMs: 20_000,
      idleMs: 20_000,
      totalMs: 60_000,
      ...settings.timeouts,
    },
  }
}

/** A wire of this kind to `origin`, with a sweeper of its own. */
export function wireTo(kind: Kind, origin: URL, settings: Settings = {}): Wire {
  return kind.make(optionsFor(origin, settings), new Sweeper(systemClock))
}
