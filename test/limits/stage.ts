// Stage 3 by itself: exchanges made by hand, costs that a test sets, a clock that it moves.

import { Secret } from '../../src/base/secret.ts'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { parseSpan } from '../../src/base/allowance.ts'
import { Exchange, nobody, type Principal } from '../../src/exchange.ts'
import { Failure } from '../../src/failure.ts'
import { HeaderBlock } from '../../src/net/wire/headers.ts'
import { findEndpoint, unknownEndpoint } from '../../src/openai/endpoints.ts'
import { createLimit, LimitMemory, type LimitParts, type LimitStage } from '../../src/stages/3-limit/limit.ts'
import type { Costs, Spent } from '../../src/stages/3-limit/costs.ts'
import { RedisStore } from '../../src/storage/redis.ts'

/** What a made-up request may use and did use. */
export interface Made {
  readonly input?: number
  readonly output?: number
  readonly cost?: number | null
}

const estimates = new WeakMap<Exchange, Made>()
const truths = new WeakMap<Exchange, Spent>()

/** Costs as the test says. */
export const madeCosts: Costs = {
  estimate: (x) => {
    const { input = 0, output = 0, cost = 0 } = estimates.get(x) ?? {}
    return { inputTokens: input, outputTokens: output, costNanoUsd: cost }
  },
  spent: (x) => truths.get(x) ?? { requests: 0, inputTokens: 0, outputTokens: 0, costNanoUsd: 0 },
}

let made = 0

/** An exchange that asks for `made`. */
export function exchange(
  principal: Partial<Principal> = {},
  worst: Made = {},
  more: { readonly path?: string; readonly method?: string; readonly body?: string } = {},
): Exchange {
  const { path = '/v1/chat/completions', method = 'POST', body = '{"model":"gpt-4o"}' } = more
  const request = {
    method,
    path,
    query: '',
    headers: HeaderBlock.empty,
    body: null,
    peerAddress: '',
    upgrade: null,
  }
  const x = new Exchange(`hgx_${process.pid}_${made++}`, request, systemClock)
  x.principal = { ...nobody, kind: 'key', key: 'web', ...principal }
  x.endpoint = findEndpoint(method, path) ?? unknownEndpoint
  x.bodyBytes = Buffer.from(body)
  estimates.set(x, worst)
  return x
}

/** Ends an exchange that used this; without it, no upstream was asked. */
export function finish(stage: LimitStage, x: Exchange, used?: Made): void {
  if (used !== undefined) {
    const { input = 0, output = 0, cost = 0 } = used
    truths.set(x, { requests: 1, inputTokens: input, outputTokens: output, costNanoUsd: cost })
  }
  stage.settle(x)
}

/** What a limit said to an exchange: null = it may pass. */
export async function refused(stage: LimitStage, x: Exchange): Promise<Failure | null> {
  try {
    await stage.reserve(x)
    return null
  } catch (cause) {
    if (cause instanceof Failure) return cause
    throw cause
  }
}

/** A clock that stands until it is moved. */
export class HandClock implements Clock {
  monotonicMs = 1_000_000
  wallClockMs = Date.UTC(2026, 10, 25, 12)

  nowMs(): number {
    return this.monotonicMs
  }

  wallMs(): number {
    return this.wallClockMs
  }

  pass(ms: number): void {
    this.monotonicMs += ms
    this.wallClockMs += ms
  }
}

/** A count or an amount as a config has it. */
export function per(text: string) {
  return parseSpan(text, text.startsWith('$') ? 'money' : 'count')!
}

/** The stage with these limits. */
export function stageOf(limits: LimitParts['limits'], more: Partial<LimitParts> = {}): LimitStage {
  const clock = more.clock ?? systemClock
  return createLimit({
    limits,
    upstreams: new Map(),
    clock,
    memory: new LimitMemory(clock),
    costs: madeCosts,
    shared: null,
    whenRedisDown: 'local',
    spend: null,
    warn: () => {},
    ...more,
  })
}

/** A connection to a Redis, open. `waitMs`: how long a request waits for it; a test on a busy machine may. */
export async function openRedis(
  url: string | readonly string[],
  waitMs = 2000,
  said: string[] = [],
): Promise<RedisStore> {
  const urls = [url].flat().map((one) => new Secret(one))
  const event = (_: string, text: string): void => void said.push(text)
  const store = new RedisStore({ urls, clock: systemClock, event, waitMs })
  await store.open(5000)
  return store
}
