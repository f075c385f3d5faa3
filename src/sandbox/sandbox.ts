// The fake OpenAI: one object that starts, is looked into by tests, and stops. The parts: `server.ts` owns the sockets, `router.ts`
// finds the endpoint, one file an endpoint writes the answer as a plain value, `script.ts` turns it (and any fault) into bytes and
// pauses. Nothing here is random: identifiers, texts and vectors follow from the seed and the request alone.

import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { sandboxApplication } from './application.ts'
import type { BookEntry } from './books.ts'
import type { FaultControl } from './faults.ts'
import { listen } from './server.ts'
import { World } from './world.ts'
import type { RecordedRequest } from './world.ts'

/** How a sandbox starts; everything has a default. */
export interface SandboxOptions {
  /** Default 127.0.0.1. */
  readonly hostname?: string
  /** Default 0: a free port. */
  readonly port?: number
  /** Accepted bearer keys; absent = any that is not empty. */
  readonly keys?: readonly string[]
  /** Start of every identifier drawn; default 1. */
  readonly seed?: number
  /** Pause before every answer; default 0. */
  readonly latencyMs?: number
  /** Pause before every SSE frame; default 0. */
  readonly chunkDelayMs?: number
  /** GETs of a batch that still see it `in_progress`; default 0: it is complete at once. */
  readonly batchPolls?: number
  /** Requests kept for `requests` and `books()`, the oldest dropped first; default 1000. */
  readonly recordsMax?: number
  readonly clock?: Clock
}

/** A running fake OpenAI. */
export interface Sandbox {
  /** `http://127.0.0.1:PORT/v1`: what an SDK takes as base URL. */
  readonly url: string
  /** Without the `/v1`. */
  readonly origin: string
  readonly port: number
  readonly faults: FaultControl
  /** Whole requests, oldest first, a bounded number. */
  readonly requests: readonly RecordedRequest[]
  /** What was served, for billing tests to compare with; oldest first, a bounded number. */
  books(): readonly BookEntry[]
  /** Connections open now. */
  connections(): number
  setLatency(latency: { readonly latencyMs?: number; readonly chunkDelayMs?: number }): void
  /** Forgets faults, replays, requests, books and stored objects; identifiers start over. */
  reset(): void
  /** Cuts what is open and frees the port. */
  close(): Promise<void>
}

/** Starts a fake OpenAI. @throws the system's error where the port cannot be had (`code` EADDRINUSE) */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const settings = {
    seed: options.seed ?? 1,
    keys: options.keys ?? null,
    batchPolls: options.batchPolls ?? 0,
    recordsMax: options.recordsMax ?? 1000,
    clock: options.clock ?? systemClock,
  }
  const { latencyMs = 0, chunkDelayMs = 0, hostname = '127.0.0.1', port = 0 } = options
  const begin = (): World => new World(settings, { latencyMs, chunkDelayMs }, reset)
  const reset = (): void => void (world = begin())
  let world = begin()
  const server = listen(
    { hostname, port },
    sandboxApplication(() => world),
  )
  const origin = `http://${hostname.includes(':') ? `[${hostname}]` : hostname}:${server.port}`
  return {
    url: `${origin}/v1`,
    origin,
    port: server.port,
    get faults() {
      return world.registry
    },
    get requests() {
      return world.requests
    },
    books: () => world.books.rows(),
    connections: () => server.connections(),
    setLatency: (latency) => world.setLatency(latency),
    reset,
    close: () => server.close(),
  }
}
