// Stage 3 by itself: who is counted, what is refused, what is remembered.

import { describe, expect, test } from 'bun:test'
import { parseAddress } from '../../src/base/address.ts'
import { resetText } from '../../src/stages/3-limit/answers.ts'
import { rulesFrom } from '../../src/stages/3-limit/compile.ts'
import { LimitMemory, plainCosts, type SpendLookup } from '../../src/stages/3-limit/limit.ts'
import { definitionOf } from '../../src/stages/3-limit/rule.ts'
import { Column, Subjects } from '../../src/stages/3-limit/subjects.ts'
import { slabOfSums } from '../../src/base/sliding-sum.ts'
import { exchange, finish, HandClock, per, refused, stageOf } from './stage.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

describe('who is counted', () => {
  test('each combination of what it is per has its own account', async () => {
    const stage = stageOf([{ name: 'n', per: ['team', 'model'], requests: per('1/1h') }])
    const ask = (team: string | null, model: string) =>
      refused(stage, exchange({ team }, {}, { body: JSON.stringify({ model }) }))
    expect(await ask('a', 'gpt-4o')).toBeNull()
    expect(await ask('a', 'o3')).toBeNull()
    expect(await ask('b', 'gpt-4o')).toBeNull()
    expect(await ask(null, 'gpt-4o')).toBeNull()
    expect((await ask('a', 'o3'))?.message).toContain('for team "a", model "o3"')
    expect((await ask(null, 'gpt-4o'))?.message).toContain('for no team, model "gpt-4o"')
  })

  test('a caller that comes again with another model, endpoint or address is counted by that', async () => {
    const stage = stageOf([
      { name: 'model', per: ['key', 'model'], requests: per('2/1h') },
      { name: 'endpoint', per: ['endpoint'], requests: per('4/1h') },
      { name: 'address', per: ['address'], requests: per('3/1h') },
    ])
    const { principal } = exchange()
    const ask = async (model: string, path = '/v1/chat/completions', from = '192.0.2.1') => {
      const x = exchange({}, {}, { path, body: JSON.stringify({ model }) })
      x.principal = principal
      x.clientAddress = parseAddress(from)
      return /is "(\w+)"/.exec((await refused(stage, x))?.message ?? '')?.[1] ?? null
    }
    expect(await ask('a')).toBeNull()
    expect(await ask('b')).toBeNull()
    expect(await ask('a')).toBeNull()
    expect(await ask('c')).toBe('address')
    expect(await ask('a', '/v1/chat/completions', '192.0.2.2')).toBe('model')
    expect(await ask('b', '/v1/chat/completions', '192.0.2.2')).toBeNull()
    expect(await ask('d', '/v1/chat/completions', '192.0.2.2')).toBe('endpoint')
    expect(await ask('d', '/v1/embeddings', '192.0.2.2')).toBeNull()
    expect(await ask('b', '/v1/embeddings', '192.0.2.2')).toBe('model')
    expect(await ask('a', '/v1/embeddings', '192.0.2.3')).toBe('model')
  })

  test('what it matches by: all lists must fit', async () => {
    const match = { models: ['gpt-4o*'], teams: ['core'], endpoints: ['chat.completions'] }
    const stage = stageOf([{ name: 'n', match, requests: per('1/1h') }])
    const ask = (team: string, model: string, path = '/v1/chat/completions') =>
      refused(stage, exchange({ team }, {}, { path, body: JSON.stringify({ model }) }))
    expect(await ask('core', 'gpt-4o-mini')).toBeNull()
    expect(await ask('core', 'o3')).toBeNull()
    expect(await ask('web', 'gpt-4o-mini')).toBeNull()
    expect(await ask('core', 'gpt-4o', '/v1/responses')).toBeNull()
    expect(await ask('core', 'gpt-4o')).not.toBeNull()
  })

  test('hiding the model does not leave the limit; naming two is refused', async () => {
    const stage = stageOf([{ name: 'n', match: { models: ['gpt-4o'] }, requests: per('1/1h') }])
    const hidden = { path: '/v1/audio/transcriptions', body: '--form' }
    expect(await refused(stage, exchange({}, {}, hidden))).toBeNull()
    expect(await refused(stage, exchange({}, {}, hidden))).not.toBeNull()
    expect(await refused(stage, exchange({}, {}, { path: '/v1/models', method: 'GET', body: '' }))).toBeNull()
    const twice = exchange({}, {}, { body: '{"model":"gpt-4o","model":"o3"}' })
    expect((await refused(stage, twice))?.code).toBe('bad_request')
    const escaped = exchange({}, {}, { body: '{"mod\\u0065l":"o3","model":"gpt-4o"}' })
    expect((await refused(stage, escaped))?.code).toBe('bad_request')
    const fine = exchange({}, {}, { body: '{"mod\\u0065l":"o3"}' })
    expect(await refused(stage, fine)).toBeNull()
    const far = exchange({}, {}, { body: `{"model":"gpt-4o","x":"${'x'.repeat(90_000)}","model":"o3"}` })
    expect((await refused(stage, far))?.code).toBe('bad_request')
  })

  test('names that look alike after joining are not the same', async () => {
    const stage = stageOf([{ name: 'n', per: ['team', 'user'], requests: per('1/1h') }])
    expect(await refused(stage, exchange({ team: 'a', user: 'bc' }))).toBeNull()
    expect(await refused(stage, exchange({ team: 'ab', user: 'c' }))).toBeNull()
    expect(await refused(stage, exchange({ team: 'a', user: 'bc' }))).not.toBeNull()
  })
})

describe('budgets', () => {
  test('a model without a price is closed to whoever has a budget, and open to others', async () => {
    const stage = stageOf([{ name: 'money', match: { teams: ['core'] }, budget: per('$1/day') }])
    expect(await refused(stage, exchange({ team: 'web' }, { cost: null }))).toBeNull()
    const failure = await refused(stage, exchange({ team: 'core' }, { cost: null }))
    expect(failure).toMatchObject({ code: 'model_not_allowed', status: 403, param: 'model' })
    expect(failure?.message).toContain('No price is known for this model')
  })

  test('endpoints whose cost shows nowhere are closed until the budget names them', async () => {
    const closed = stageOf([{ name: 'money', budget: per('$1/day') }])
    const open = stageOf([{ name: 'money', match: { endpoints: ['chatkit', 'unknown', 'realtime'] }, budget: per('$1/day') }]) // prettier-ignore
    for (const [path, method] of [
      ['/v1/chatkit/sessions', 'POST'],
      ['/v1/of/the/future', 'POST'],
    ] as const) {
      // prettier-ignore
      const ask = () => exchange({}, { cost: null }, { path, method })
      expect(await refused(closed, ask())).toMatchObject({ code: 'access_denied', status: 403 })
      expect(await refused(open, ask())).toBeNull()
    }
  })

  test("a key's own budget holds beside its team's and everybody's", async () => {
    const stage = stageOf([
      { name: 'team', per: ['team'], budget: per('$5/month') },
      { name: 'all', budget: per('$7/month') },
    ])
    const spend = async (keyId: string, team: string, budget: string | null) => {
      const x = exchange({ keyId, team, budget }, { cost: 1e9 })
      const failure = await refused(stage, x)
      if (failure === null) finish(stage, x, { cost: 1e9 })
      return failure === null ? null : /"([\w-]+)"/.exec(failure.message)![1]!
    }
    for (let at = 0; at < 2; at++) expect(await spend('k1', 'a', '$2/month')).toBeNull()
    expect(await spend('k1', 'a', '$2/month')).toBe('key-budget')
    for (let at = 0; at < 3; at++) expect(await spend('k2', 'a', null)).toBeNull()
    expect(await spend('k2', 'a', null)).toBe('team')
    for (let at = 0; at < 2; at++) expect(await spend('k3', 'b', null)).toBeNull()
    expect(await spend('k3', 'b', null)).toBe('all')
  })

  test('a budget of nothing lets pass what is free, and says why it refuses the rest', async () => {
    const stage = stageOf([{ name: 'none', per: ['team'], budget: per('$0/month') }])
    expect(await refused(stage, exchange({ team: 'core' }, { cost: 0 }))).toBeNull()
    expect(await refused(stage, exchange({ team: 'core' }, { cost: 1 }))).toMatchObject({
      code: 'budget_exceeded',
      retryable: false,
      retryAfterMs: null,
      message:
        'This budget allows nothing that costs: "none", $0 per month, for team "core". Ask its owner for one.',
    })
  })

  test('a refusal names a key by its name, and the list gives it beside the id', async () => {
    const names = new Map([['key_1', 'web'], ['key_2', 'app']]) // prettier-ignore
    const limits = [{ name: 'n', per: ['key' as const], requests: per('1/1h'), warnAt: [0.5] }]
    const said: string[] = []
    const stage = stageOf(limits, { keyName: (id) => names.get(id) ?? null, warn: (text) => said.push(text) })
    const ask = (keyId: string | null, key: string) => refused(stage, exchange({ keyId, key }))
    for (const [keyId, key] of [['key_1', 'web'], ['key_2', 'app'], [null, 'static']] as const) expect(await ask(keyId, key)).toBeNull() // prettier-ignore
    expect((await ask('key_1', 'web'))?.message).toEndWith('for key "web".')
    expect(said[0]).toContain('key "web" has used 50% of it')
    const rows = (await stage.rows()).map(({ principal, keyName }) => [principal.key, keyName])
    expect(rows).toEqual([['key_1', 'web'], ['key_2', 'app'], ['static', null]]) // prettier-ignore
  })

  test('what cost more than its worst case is counted all the same', async () => {
    const stage = stageOf([{ name: 'money', budget: per('$1/month') }])
    const x = exchange({}, { cost: 5e8 })
    expect(await refused(stage, x)).toBeNull()
    finish(stage, x, { cost: 2e9 })
    expect(await refused(stage, exchange({}, { cost: 1 }))).not.toBeNull()
  })

  test('what the ledger knows is spent already: sums of the period, by owner and match', async () => {
    const asked: unknown[] = []
    const none = {
      key: '',
      keyId: '',
      user: '',
      team: '',
      app: '',
      upstream: '',
      model: '',
      endpoint: '',
      env: '',
    }
    const spend: SpendLookup = async (query) => {
      asked.push(query)
      const row = { ...none, atMs: query.fromMs, requests: 3, inputTokens: 5, outputTokens: 5 }
      return [
        { ...row, team: 'core', model: 'gpt-4o', costNanoUsd: 9e8 },
        { ...row, team: 'core', model: 'o3', costNanoUsd: 5e9 },
        { ...row, team: 'web', model: 'gpt-4o', costNanoUsd: 1e8 },
      ]
    }
    const clock = new HandClock()
    const limit = {
      name: 'money',
      per: ['team' as const],
      match: { models: ['gpt-*'] },
      budget: per('$1/month'),
    }
    const stage = stageOf([limit], { spend, clock })
    await stage.ready()
    expect(asked).toEqual([{ fromMs: Date.UTC(2026, 10, 1), by: ['team', 'model'], hourly: false }])
    expect(await refused(stage, exchange({ team: 'core' }, { cost: 1e8 }))).toBeNull()
    expect(await refused(stage, exchange({ team: 'core' }, { cost: 1 }))).not.toBeNull()
    expect(await refused(stage, exchange({ team: 'web' }, { cost: 9e8 }))).toBeNull()
  })

  test('after a restart, the first requests of a key find its own budget as the ledger has it', async () => {
    const none = { key: '', user: '', team: '', app: '', upstream: '', model: '', endpoint: '', env: '' }
    // Keys the ledger knows beside it: their accounts are made while it waits.
    const spend: SpendLookup = async ({ fromMs }) =>
      ['k1', 'k2', 'k3', 'k4', 'k5', 'mine', 'half'].map((keyId) => ({
        ...none,
        keyId,
        atMs: fromMs,
        requests: 1,
        inputTokens: 0,
        outputTokens: 0,
        costNanoUsd: keyId === 'half' ? 5e8 : 1e9,
      }))
    const stage = stageOf([], { spend })
    const ask = (keyId: string, budget: string) => exchange({ keyId, budget }, { cost: 3e8 })
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => refused(stage, ask('mine', '$1/month'))),
    )
    expect(answers.map((failure) => failure?.code)).toEqual(Array(8).fill('budget_exceeded'))
    // The same after one whose amounts are read already, and with what is under way in the sum.
    const others = await Promise.all(Array.from({ length: 4 }, () => refused(stage, ask('half', '$1/month'))))
    expect(others.filter((failure) => failure === null)).toHaveLength(1)
    expect(await refused(stage, ask('k1', '$2/month'))).toBeNull()
    const rows = (await stage.rows()).map(({ principal, max, used }) => [principal.key, max, used])
    expect(rows).toEqual([
      ['mine', 1e9, 1e9],
      ['half', 1e9, 8e8],
      ['k1', 2e9, 13e8],
    ])
    // A budget that was changed, or taken away, has no row any more.
    expect(await refused(stage, ask('mine', '$5/month'))).toBeNull()
    expect(await refused(stage, exchange({ keyId: 'half' }))).toBeNull()
    expect((await stage.rows()).map(({ principal, max }) => [principal.key, max])).toEqual([
      ['k1', 2e9],
      ['mine', 5e9],
    ])
  })

  test("a ledger that cannot be read refuses whom a key's budget bounds, until it can", async () => {
    let broken = true
    const spend: SpendLookup = async () => {
      if (broken) throw new Error('the disk is gone')
      return []
    }
    const stage = stageOf([], { spend })
    const ask = () => exchange({ keyId: 'k', budget: '$1/day' }, { cost: 1 })
    expect(await refused(stage, ask())).toMatchObject({ code: 'overloaded', status: 503 })
    expect(await refused(stage, exchange())).toBeNull()
    broken = false
    expect(await refused(stage, ask())).toBeNull()
  })

  test('a sliding budget lets go of what is older than it, hour by hour', async () => {
    const none = {
      key: '',
      keyId: '',
      user: '',
      team: '',
      app: '',
      upstream: '',
      model: '',
      endpoint: '',
      env: '',
    }
    const clock = new HandClock()
    const at = clock.wallMs()
    const spend: SpendLookup = async () =>
      [3, 1].map((days) => ({
        ...none,
        atMs: at - days * dayMs,
        requests: 1,
        inputTokens: 0,
        outputTokens: 0,
        costNanoUsd: 4e8, // prettier-ignore
      }))
    const stage = stageOf([{ name: 'money', budget: per('$1/5d') }], { spend, clock })
    await stage.ready()
    expect(await refused(stage, exchange({}, { cost: 3e8 }))).not.toBeNull()
    clock.pass(2 * dayMs + 2 * hourMs)
    const x = exchange({}, { cost: 3e8 })
    expect(await refused(stage, x)).toBeNull()
  })
})

describe('clocks', () => {
  const month = () => [{ name: 'money', budget: per('$1/month') }]

  test('a period ends with its month, in its time zone, and what ran over its end belongs to the old one', async () => {
    const clock = new HandClock()
    clock.wallClockMs = Date.parse('2026-11-30T22:30:00Z')
    const stage = stageOf([{ name: 'money', tz: 'Europe/Berlin', budget: per('$1/month') }], { clock })
    const over = exchange({}, { cost: 1e9 })
    expect(await refused(stage, over)).toBeNull()
    const failure = await refused(stage, exchange({}, { cost: 1 }))
    expect(failure?.retryAfterMs).toBe(30 * 60_000)
    clock.pass(30 * 60_000)
    const fresh = exchange({}, { cost: 1e9 })
    expect(await refused(stage, fresh)).toBeNull()
    finish(stage, over, { cost: 1e9 })
    finish(stage, fresh, { cost: 1e9 })
    expect((await stage.rows())[0]).toMatchObject({ used: 1e9 })
  })

  test('jumps give no second budget and lock nobody out', async () => {
    for (const jumpMs of [hourMs, -hourMs, 40 * dayMs, -40 * dayMs]) {
      const clock = new HandClock()
      clock.wallClockMs = Date.parse('2026-11-30T23:59:00Z')
      const stage = stageOf([...month(), { name: 'rpm', requests: per('1/1m') }], { clock })
      const x = exchange({}, { cost: 1e9 })
      expect(await refused(stage, x)).toBeNull()
      finish(stage, x, { cost: 1e9 })
      clock.wallClockMs += jumpMs
      const during = await refused(stage, exchange({}, { cost: 1e9 }))
      expect(during?.message).toContain('money')
      clock.wallClockMs -= jumpMs
      clock.pass(2 * 60_000)
      // December has come, by any clock that goes on: its budget is there, once.
      const december = exchange({}, { cost: 1e9 })
      expect(await refused(stage, december)).toBeNull()
      finish(stage, december, { cost: 1e9 })
      clock.wallClockMs += jumpMs
      clock.pass(2 * 60_000)
      expect((await refused(stage, exchange({}, { cost: 1e9 })))?.message).toContain('money')
    }
  })

  test('sliding windows do not look at the wall clock at all', async () => {
    const clock = new HandClock()
    const stage = stageOf([{ name: 'rpm', requests: per('2/1m') }], { clock })
    for (let at = 0; at < 2; at++) expect(await refused(stage, use(stage))).toBeNull()
    clock.wallClockMs += 365 * dayMs
    expect(await refused(stage, use(stage))).not.toBeNull()
    clock.wallClockMs -= 730 * dayMs
    clock.monotonicMs += 61_000
    expect(await refused(stage, use(stage))).toBeNull()
  })

  function use(_: unknown) {
    return exchange()
  }
})

describe('what clients are told', () => {
  test('the tightest limit of each kind, in the formats of OpenAI', async () => {
    const clock = new HandClock()
    const stage = stageOf(
      [
        { name: 'a', requests: per('10/1m') },
        { name: 'b', requests: per('5/1h') },
        { name: 'c', tokens: per('1000/1m') },
        { name: 'd', outputTokens: per('100/6m') },
        { name: 'e', mode: 'warn', requests: per('1/1m') },
        { name: 'f', concurrent: 1 },
      ],
      { clock },
    )
    const x = exchange({}, { input: 500, output: 40 })
    await stage.reserve(x)
    expect(x.limitLines.split('\r\n')).toEqual([
      'x-ratelimit-limit-requests: 5',
      'x-ratelimit-remaining-requests: 4',
      'x-ratelimit-reset-requests: 1h0m0s',
      'x-ratelimit-limit-tokens: 100',
      'x-ratelimit-remaining-tokens: 60',
      'x-ratelimit-reset-tokens: 6m0s',
      '',
    ])
    const second = exchange({}, { input: 1, output: 1 })
    expect(await refused(stage, second)).toMatchObject({ code: 'rate_limit_exceeded' })
    expect(second.limitLines).toContain('x-ratelimit-remaining-requests: 4\r\n')
  })

  test('times', () => {
    const texts = [0, 0.2, 120, 999.5, 1000, 8640, 60_000, 90_500, hourMs, dayMs].map(resetText)
    expect(texts).toEqual([
      '0ms',
      '1ms',
      '120ms',
      '1s',
      '1s',
      '8.64s',
      '1m0s',
      '1m30.5s',
      '1h0m0s',
      '24h0m0s',
    ])
  })

  test('an SDK is told to try again only where it can wait that long', async () => {
    const stage = stageOf([{ name: 'a', per: ['key'], requests: per('1/30s') }, { name: 'b', match: { keys: ['b'] }, requests: per('1/1h') }]) // prettier-ignore
    for (const key of ['a', 'b']) await stage.reserve(exchange({ key }))
    expect(await refused(stage, exchange({ key: 'a' }))).toMatchObject({ retryable: true })
    expect(await refused(stage, exchange({ key: 'b' }))).toMatchObject({ retryable: false })
  })

  test('warnings: one line for each threshold, again in the next period, and no refusal by a limit that warns', async () => {
    const said: string[] = []
    const clock = new HandClock()
    const limits = [{ name: 'money', per: ['team' as const], budget: per('$10/month'), warnAt: [0.8, 0.5], mode: 'warn' as const }] // prettier-ignore
    const stage = stageOf(limits, { clock, warn: (text) => said.push(text) })
    const spend = async (cost: number) => {
      clock.pass(2000)
      const x = exchange({ team: 'core' }, { cost })
      expect(await refused(stage, x)).toBeNull()
      finish(stage, x, { cost })
    }
    for (let at = 0; at < 15; at++) await spend(1e9)
    const line = (percent: number) => `limit "money", $10 per month: team "core" has used ${percent}% of it`
    expect(said).toEqual([line(50), line(80)])
    clock.pass(10 * dayMs)
    for (let at = 0; at < 5; at++) await spend(1e9)
    expect(said).toEqual([line(50), line(80), line(50)])
  })
})

describe('what is remembered', () => {
  test('counters survive a reload, also where the amount has changed', async () => {
    const clock = new HandClock()
    const memory = new LimitMemory(clock)
    const first = stageOf([{ name: 'n', requests: per('2/1h') }], { clock, memory })
    for (let at = 0; at < 2; at++) await first.reserve(exchange())
    const second = stageOf([{ name: 'n', requests: per('3/1h') }], { clock, memory })
    const x = exchange()
    expect(await refused(second, x)).toBeNull()
    expect(await refused(second, exchange())).not.toBeNull()
    // One that began under the old configuration settles into the same counter.
    finish(first, x)
    expect(await refused(second, exchange())).toBeNull()
    const other = stageOf([{ name: 'other', requests: per('2/1h') }], { clock, memory })
    expect(await refused(other, exchange())).toBeNull()
  })

  test('the definition is what counts apart: name, quantity, time, whom and which', () => {
    const base = { name: 'n', per: ['key' as const], requests: per('2/1h') }
    const text = (more: object) => definitionOf(rulesFrom([{ ...base, ...more }])[0]!)
    expect(text({ requests: per('9/1h') })).toBe(text({}))
    const others = [{ name: 'm' }, { per: [] }, { requests: per('2/2h') }, { requests: per('2/hour') }, { burst: 1 }, { match: { teams: ['a'] } }] // prettier-ignore
    expect(new Set(others.map(text)).add(text({})).size).toBe(others.length + 1)
  })

  test('who has nothing used is forgotten; who has is not; beyond the bound all share one account', () => {
    const { subjects, column } = tableOf(100)
    const at = { nowMs: 0, wallMs: 0 }
    const use = (owner: string) => {
      subjects.look(column.limiter, column, subjects.of(owner, at))
      return column.limiter
    }
    for (let each = 0; each < 100; each++) use(`k${each}`).add(at, 2)
    expect(subjects.of('stranger', at)).toBe(subjects.of('another', at))
    expect(use('k5').used(at)).toBe(2)
    expect(subjects.size).toBe(100)
    const held = subjects.of('k5', at)
    const life = subjects.lifeOf(held)
    const later = { nowMs: 61_000, wallMs: 0 }
    for (let each = 0; each < 1000; each++) subjects.of(`new${each}`, later)
    expect(subjects.size).toBeLessThanOrEqual(100)
    // Who held a record sees that it is somebody else's by now.
    expect(subjects.lifeOf(held)).not.toBe(life)
    expect(subjects.length).toBeLessThan(3000)
  })

  test('limits that come and go leave what the others remember of each subject as it is', () => {
    const { subjects, column, columnOf } = tableOf()
    const at = { nowMs: 0, wallMs: 0 }
    const owners = Array.from({ length: 3000 }, (_, index) => `k${index}`)
    const used = (of: Column, owner: string) => {
      subjects.look(of.limiter, of, subjects.of(owner, at))
      return of.limiter.used(at)
    }
    const count = (of: Column, amount: (index: number) => number) => {
      for (const [index, owner] of owners.entries()) {
        subjects.look(of.limiter, of, subjects.of(owner, at))
        of.limiter.add(at, amount(index))
      }
    }
    count(column, (index) => index)
    const slots = columnOf({ name: 'slots', concurrent: 5 })
    subjects.add(slots)
    count(slots, (index) => index % 5)
    const month = columnOf({ name: 'month', tokens: per('1000/month') })
    subjects.add(month)
    count(month, (index) => index * 3)
    subjects.drop([column])
    for (const [index, owner] of owners.entries()) {
      expect(used(slots, owner)).toBe(index % 5)
      expect(used(month, owner)).toBe(index * 3)
    }
    // Whoever still settles under the limit that is gone changes nothing of the others.
    subjects.look(column.limiter, column, subjects.of('k7', at))
    column.limiter.add(at, 1e6)
    subjects.add(columnOf({ name: 'more', requests: per('5/1m') }))
    expect(used(month, 'k2999')).toBe(8997)
    expect(used(slots, 'k7')).toBe(2)
  })

  test('who was forgotten while a request of theirs ran is found again when it ends', async () => {
    const clock = new HandClock()
    const stage = stageOf(
      [
        { name: 'tokens', per: ['key'], tokens: per('100/1s') },
        { name: 'hour', per: ['key'], tokens: per('1000/hour') },
      ],
      { clock },
    )
    const slow = exchange({ key: 'slow' }, { output: 0 })
    expect(await refused(stage, slow)).toBeNull()
    clock.pass(2000)
    for (let each = 0; each < 50; each++) expect(await refused(stage, exchange({ key: `k${each}` }, { output: 1 }))).toBeNull() // prettier-ignore
    finish(stage, slow, { output: 60 })
    const rows = (await stage.rows()).filter(({ used }) => used > 1)
    expect(rows.map(({ limit, principal, used }) => [limit, principal.key, used])).toEqual([
      ['tokens', 'slow', 60],
      ['hour', 'slow', 60],
    ])
  })
})

/** A table of subjects with one limit of 2 a minute. */
function tableOf(most?: number) {
  const subjects = new Subjects(most)
  const slab = slabOfSums()
  const columnOf = (limit: Parameters<typeof rulesFrom>[0][number]): Column => {
    const [rule] = rulesFrom([limit])
    return new Column(limit.name, rule!, slab)
  }
  const column = columnOf({ name: 'n', requests: per('2/1m') })
  subjects.add(column)
  return { subjects, column, columnOf }
}

test('the plain costs: bytes bound input, the maximum times the choices bounds output', () => {
  const worst = (body: object, path?: string) => {
    const { inputTokens, outputTokens } = plainCosts.estimate(
      exchange({}, {}, { body: JSON.stringify(body), ...(path === undefined ? {} : { path }) }),
      false,
    )
    return [inputTokens, outputTokens]
  }
  expect(worst({ max_tokens: 100, n: 3 })).toEqual([24, 300])
  expect(worst({ max_completion_tokens: 50 })[1]).toBe(50)
  expect(worst({ model: 'x' })[1]).toBe(4096)
  expect(worst({ max_tokens: -5, n: 1e300 })[1]).toBe(4096)
  expect(worst({ max_tokens: 2 ** 40, n: 2 ** 40 })[1]).toBe(2 ** 40)
  expect(worst({ input: 'x' }, '/v1/embeddings')[1]).toBe(0)
  expect(worst([])[1]).toBe(4096)
})
