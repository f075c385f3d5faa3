// Promise: an upstream that has become slow is left for faster ones, and gets another chance; one that is at its limit,
// broken or drained is passed over for as long as that holds. The clock is the test's, so that nobody waits.

import { describe, expect, test } from 'bun:test'
import { systemClock, type Clock } from '../../../src/base/clock.ts'
import { callAdmin } from '../admin-call.ts'
import { eventually, finallyClose, promiseTests, startGate, upstreamAt, type ConfigTree, type Gate } from '../harness.ts' // prettier-ignore
import { KeptLedger } from '../ledger-kept.ts'
import { reply, ScriptedUpstream } from '../scripted-upstream.ts'
import { call, chat } from './accounts.ts'

promiseTests()

const token = 'a-token-of-the-operators-00001'
const admin = { listen: '127.0.0.1:0', token }
const answer = '{"id":"c","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'

/** A clock that can be set forward, and stands otherwise. */
function standingClock(): Clock & { aheadMs: number } {
  const [nowMs, wallMs] = [systemClock.nowMs(), systemClock.wallMs()]
  return {
    aheadMs: 0,
    nowMs() {
      return nowMs + this.aheadMs
    },
    wallMs() {
      return wallMs + this.aheadMs
    },
  }
}

/** A clock that can be set forward. */
function ownClock(): Clock & { aheadMs: number } {
  return {
    aheadMs: 0,
    nowMs() {
      return systemClock.nowMs() + this.aheadMs
    },
    wallMs() {
      return systemClock.wallMs() + this.aheadMs
    },
  }
}

/** An upstream that waits before each answer. */
function waiting(ms: number) {
  const state = { ms, asked: 0 }
  const upstream = ScriptedUpstream.start(async ({ method }, peer) => {
    if (method === 'POST') state.asked++
    await Bun.sleep(state.ms)
    await peer.write(reply(200, answer))
  })
  finallyClose(() => upstream.stop())
  return { state, url: upstream.url, upstream }
}

async function gateOver(urls: readonly string[], route: ConfigTree) {
  const clock = ownClock()
  const ledger = new KeptLedger()
  const upstreams = urls.map((url, index) => upstreamAt(url, { name: `u${index}` }))
  const gate = await startGate({ admin, upstreams, routes: [route] }, { clock, ledger })
  return { gate, clock, ledger }
}

async function breakers(gate: Gate): Promise<string[]> {
  const { json } = await callAdmin(gate.adminPort, 'GET /api/upstreams', { token })
  return (json.rows as { breaker: string }[]).map(({ breaker }) => breaker)
}

/** Upstreams that let the time pass before each answer: so slow as it says, and nobody waits. */
async function slowGate(ms: readonly number[], route: ConfigTree) {
  const clock = standingClock()
  const ups = ms.map((each) => ({ ms: each, asked: 0 }))
  const upstreams = ups.map((state, index) => {
    const upstream = ScriptedUpstream.start((_, peer) => {
      state.asked++
      clock.aheadMs += state.ms
      return peer.write(reply(200, answer))
    })
    finallyClose(() => upstream.stop())
    return upstreamAt(upstream.url, { name: `u${index}` })
  })
  const gate = await startGate({ admin, upstreams, routes: [route] }, { clock })
  /** One request after the other; how many the first upstream got. */
  const some = async (count: number): Promise<number> => {
    const before = ups[0]!.asked
    for (let each = 0; each < count; each++) expect((await chat(gate)).status).toBe(200)
    return ups[0]!.asked - before
  }
  return { gate, clock, ups, some }
}

const closed = ['closed', 'closed', 'closed']

describe('an upstream that answers far slower than the others', () => {
  const route = { pick: 'roundRobin', breaker: { slowFactor: 4, cooldown: '60s' } }

  test('is left alone for the cooldown, and then probed', async () => {
    const { gate, clock, ups, some } = await slowGate([1000, 1000, 9000], route)
    await some(36)
    expect(await breakers(gate)).toEqual(['closed', 'closed', 'open'])
    const { asked } = ups[2]!
    await some(12)
    expect(ups[2]!.asked).toBe(asked)
    ups[2]!.ms = 1000
    clock.aheadMs += 60_000
    await some(6)
    expect(ups[2]!.asked).toBeGreaterThan(asked)
    expect(await breakers(gate)).toEqual(closed)
  })

  test('is not ejected for one answer that took long, nor where all are slow', async () => {
    const { gate, ups, some } = await slowGate([1000, 1000, 1000], route)
    await some(33)
    ups[2]!.ms = 20_000
    await some(3)
    ups[2]!.ms = 1000
    await some(6)
    expect(await breakers(gate)).toEqual(closed)
    for (const state of ups) state.ms = 20_000
    await some(60)
    expect(await breakers(gate)).toEqual(closed)
  })

  test('no more than a third of them is ejected at once', async () => {
    const { gate, some } = await slowGate([1000, 1000, 1000, 9000, 9000], route)
    let most = 0
    for (let count = 0; count < 80; count++) {
      await some(1)
      most = Math.max(most, (await breakers(gate)).filter((state) => state !== 'closed').length)
    }
    expect(most).toBe(1)
  })

  test('is asked all the same where the route says nothing of it', async () => {
    const { gate, some } = await slowGate([1000, 1000, 9000], { pick: 'roundRobin' })
    await some(36)
    expect(await breakers(gate)).toEqual(closed)
  })
})

test('leastLatency follows the faster one as that changes, and comes back to one that was slow', async () => {
  const { ups, clock, some } = await slowGate([100, 500], { pick: 'leastLatency' })
  await some(4)
  expect(await some(10)).toBe(10)
  ups[0]!.ms = 2000
  ups[1]!.ms = 100
  await some(3)
  expect(await some(10)).toBe(0)
  // Nobody has asked the first for a minute: it may be fast again, and is.
  ups[0]!.ms = 100
  ups[1]!.ms = 500
  clock.aheadMs += 60_000
  await some(4)
  expect(await some(10)).toBe(10)
})

describe('priority spills over', () => {
  test('while the first is at its limit, until the date that it said', async () => {
    const { state, url, upstream } = waiting(0)
    const second = waiting(0)
    const { gate, clock } = await gateOver([url, second.url], { pick: 'priority' })
    const { script } = upstream
    upstream.script = (_, peer) => {
      const date = new Date(clock.wallMs() + 90_000).toUTCString()
      return peer.write(reply(429, '{"error":{"message":"slow down"}}', [`Retry-After: ${date}`]))
    }
    expect(await chat(gate)).toMatchObject({ status: 200, upstream: 'u1', attempts: 2 })
    upstream.script = script
    clock.aheadMs += 80_000
    expect(await chat(gate)).toMatchObject({ upstream: 'u1', attempts: 1 })
    expect(state.asked).toBe(0)
    clock.aheadMs += 11_000
    expect(await chat(gate)).toMatchObject({ upstream: 'u0', attempts: 1 })
  })

  test('in the order of the list, and back to the first as soon as that is open', async () => {
    const ups = [waiting(0), waiting(0), waiting(0)]
    const { gate } = await gateOver(
      ups.map(({ url }) => url),
      { pick: 'priority' },
    )
    const drain = (name: string, action: 'drain' | 'resume') =>
      callAdmin(gate.adminPort, `POST /api/upstreams/${name}/${action}` as 'POST /', { token })
    const seen = [(await chat(gate)).upstream]
    for (const [name, action] of [
      ['u0', 'drain'],
      ['u1', 'drain'],
      ['u0', 'resume'],
      ['u0', 'resume'],
    ] as const) {
      expect((await drain(name, action)).status).toBe(200)
      seen.push((await chat(gate)).upstream)
    }
    expect(seen).toEqual(['u0', 'u1', 'u2', 'u0', 'u0'])
  })

  test('where every upstream is drained the gateway is not ready, until one is resumed', async () => {
    const ups = [waiting(0), waiting(0)]
    const { gate } = await gateOver(
      ups.map(({ url }) => url),
      { pick: 'priority' },
    )
    const ready = async () => {
      const { status, json } = await callAdmin(gate.adminPort, 'GET /readyz')
      return { status, said: json.status, reasons: json.reasons }
    }
    const fine = { status: 200, said: 'ready', reasons: [] }
    await callAdmin(gate.adminPort, 'POST /api/upstreams/u0/drain', { token })
    expect(await ready()).toEqual(fine)
    await callAdmin(gate.adminPort, 'POST /api/upstreams/u1/drain', { token })
    const reason = 'upstreams: every one is drained; take one back with `headgate upstreams resume <name>`'
    expect(await ready()).toEqual({ status: 503, said: 'not ready', reasons: [reason] })
    expect((await chat(gate)).status).toBe(503)
    await callAdmin(gate.adminPort, 'POST /api/upstreams/u0/resume', { token })
    expect(await ready()).toEqual(fine)
  })

  test('an upstream that is drained ends what is under way there', async () => {
    const ups = [waiting(0), waiting(0)]
    const { gate } = await gateOver(
      ups.map(({ url }) => url),
      { pick: 'priority' },
    )
    let release = () => {}
    ups[0]!.upstream.script = (_, peer) => void (release = () => void peer.write(reply(200, answer)))
    const under = chat(gate)
    await eventually(() => ups[0]!.upstream.requests.length === 1, 'the call to be under way')
    const { json } = await callAdmin(gate.adminPort, 'POST /api/upstreams/u0/drain', { token })
    expect(json).toMatchObject({ draining: true, inFlight: 1 })
    expect((await chat(gate)).upstream).toBe('u1')
    release()
    expect(await under).toMatchObject({ status: 200, upstream: 'u0', attempts: 1 })
  })
})

describe('hedging', () => {
  const route = { pick: 'priority', retry: { hedge: { after: '100ms' } } }

  test('asks nobody else where the first answers in time', async () => {
    const ups = [waiting(0), waiting(0)]
    const { gate } = await gateOver(
      ups.map(({ url }) => url),
      { ...route, retry: { hedge: { after: '20s' } } },
    )
    expect(await chat(gate)).toMatchObject({ upstream: 'u0', attempts: 1 })
    expect(ups[1]!.state.asked).toBe(0)
  })

  test.each([
    ['first', 'u1', 'u0'],
    ['second', 'u0', 'u1'],
  ] as const)('has a row for the call that was given up too, the %s', async (_, winner, loser) => {
    const ups = [waiting(0), waiting(0)]
    // Each is asked before one answers, and the other never does.
    for (const [index, { upstream }] of ups.entries())
      upstream.script = async (_seen, peer) => {
        await eventually(() => ups.every((each) => each.upstream.requests.length === 1), 'both to be asked')
        if (`u${index}` === winner) await peer.write(reply(200, answer))
      }
    const { gate, ledger } = await gateOver(
      ups.map(({ url }) => url),
      route,
    )
    const { headers, upstream } = await chat(gate)
    expect(upstream).toBe(winner)
    const rows = () => ledger.of(headers.get('x-headgate-id')!)
    await eventually(() => rows().length === 2, 'both rows')
    const row = (name: string) => rows().find((each) => each.upstream === name)
    expect(row(winner)).toMatchObject({ last: true, failure: null, status: 200 })
    // Nobody knows what it cost, and no time was over.
    expect(row(loser)).toMatchObject({ last: false, failure: 'hedge_lost', status: 0, state: 'estimated' })
    expect(ledger.wrong).toEqual([])
  })

  test('takes the slow one where the second fails, and tells the failure where both do', async () => {
    const ups = [waiting(0), waiting(0)]
    const { gate, ledger } = await gateOver(
      ups.map(({ url }) => url),
      route,
    )
    ups[1]!.upstream.script = (_, peer) => peer.write(reply(500, '{}'))
    ups[0]!.upstream.script = async (_, peer) => {
      await eventually(() => ups[1]!.upstream.requests.length === 1, 'the second to be asked')
      await peer.write(reply(200, answer))
    }
    const { headers, ...taken } = await chat(gate)
    expect(taken).toMatchObject({ status: 200, upstream: 'u0', attempts: 2 })
    const rows = () => ledger.of(headers.get('x-headgate-id')!)
    await eventually(() => rows().length === 2, 'both rows')
    const failed = rows().find((each) => each.upstream === 'u1')
    expect(failed).toMatchObject({ failure: 'upstream_unavailable', status: 500, state: 'void' })
    ups[0]!.upstream.script = async (_, peer) => {
      await Bun.sleep(300)
      await peer.write(reply(503, '{}'))
    }
    expect((await chat(gate)).status).toBeOneOf([500, 503])
  })

  test('never doubles what may be done once only', async () => {
    const ups = [waiting(400), waiting(0)]
    const { gate } = await gateOver(
      ups.map(({ url }) => url),
      route,
    )
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"name":"x"}' }
    expect(await call(gate, '/v1/vector_stores', init)).toMatchObject({ upstream: 'u0', attempts: 1 })
    expect(ups[1]!.state.asked).toBe(0)
  })
})

describe('active checks', () => {
  test('two failures change nothing, and one that hangs is not asked twice', async () => {
    const checks: string[] = []
    let held = false
    const first = ScriptedUpstream.start(({ method, target }, peer) => {
      if (method === 'POST') return peer.write(reply(200, answer))
      checks.push(target)
      if (checks.length <= 2) return peer.write(reply(503, '{}'))
      held = true
      return undefined
    })
    finallyClose(() => first.stop())
    const second = waiting(0)
    const { gate } = await gateOver([first.url, second.url], {
      pick: 'priority',
      check: { path: '/models', every: '1s' },
    })
    await eventually(() => held, 'three checks')
    expect(await breakers(gate)).toEqual(['closed', 'closed'])
    expect((await chat(gate)).upstream).toBe('u0')
    await Bun.sleep(1200)
    expect(checks).toEqual(['/v1/models', '/v1/models', '/v1/models'])
  })

  test('no 4xx takes an upstream out: it answers', async () => {
    let checks = 0
    const first = ScriptedUpstream.start(({ method }, peer) => {
      if (method === 'GET') checks++
      return peer.write(method === 'GET' ? reply(404, '{}') : reply(200, answer))
    })
    finallyClose(() => first.stop())
    const { gate } = await gateOver([first.url, waiting(0).url], {
      pick: 'priority',
      check: { path: '/models', every: '1s' },
    })
    await eventually(() => checks >= 4, 'four checks')
    expect(await breakers(gate)).toEqual(['closed', 'closed'])
  })
})
