// What limits promise, wherever they are counted: one suite for counters in the process and for those in Redis.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { LimitParts, LimitStage } from '../../src/stages/3-limit/limit.ts'
import { exchange, finish, per, refused, type Made } from './stage.ts'

/** Gives a stage whose counters are fresh, under limits of any names. */
export type MakeStage = (limits: LimitParts['limits']) => Promise<LimitStage>

/** A step of a made-up day: a request, or the end of one that runs. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ask' as const), amount: fc.integer({ min: 0, max: 60 }), team: fc.constantFrom('a', 'b') }) }, // prettier-ignore
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(20), used: fc.option(fc.integer({ min: 0, max: 60 })) }) }, // prettier-ignore
)

/** Registers the suite. `name` ends with what it needs, where it may be skipped. */
export function limitContract(make: MakeStage, on: { name: string; skip: boolean }): void {
  const it = (what: string, run: () => Promise<void>): void =>
    test.skipIf(on.skip)(`${what} ${on.name}`.trim(), run)

  it('a limit passes as much as it says, and not one more', async () => {
    const stage = await make([{ name: 'n', per: ['key'], requests: per('3/1h') }])
    for (let at = 0; at < 3; at++) expect(await refused(stage, exchange())).toBeNull()
    const failure = await refused(stage, exchange())
    expect(failure?.code).toBe('rate_limit_exceeded')
    expect(failure?.message).toBe(
      'Rate limit exceeded. Please try again later. The limit is "n", 3 requests per 1h, for key "web".',
    )
    expect(failure!.retryAfterMs).toBeGreaterThan(3_500_000)
    expect(await refused(stage, exchange({ key: 'other' }))).toBeNull()
  })

  it('a burst is what NGINX lets pass without delay: one, and so many ahead', async () => {
    const stage = await make([{ name: 'n', requests: per('1/1h'), burst: 2 }])
    for (let at = 0; at < 3; at++) expect(await refused(stage, exchange())).toBeNull()
    const failure = await refused(stage, exchange())
    expect(failure!.retryAfterMs).toBeGreaterThan(3_590_000)
    expect(failure!.retryAfterMs).toBeLessThanOrEqual(3_600_000)
  })

  it('all or nothing: what one limit refuses, none has counted', async () => {
    const stage = await make([
      { name: 'many', requests: per('5/1h') },
      { name: 'tokens', tokens: per('100/1h') },
      { name: 'few', per: ['team'], requests: per('1/1h') },
      { name: 'slots', concurrent: 3 },
      { name: 'money', budget: per('$1/day') },
    ])
    const ask = (team: string) => exchange({ team }, { input: 10, cost: 1e8 })
    expect(await refused(stage, ask('a'))).toBeNull()
    for (let at = 0; at < 10; at++) expect((await refused(stage, ask('a')))?.message).toContain('"few"')
    expect(await refused(stage, ask('b'))).toBeNull()
    expect(await refused(stage, ask('c'))).toBeNull()
    expect((await refused(stage, ask('d')))?.message).toContain('"slots"')
    const rows = await stage.rows()
    expect(rows.filter(({ limit }) => limit === 'many')[0]).toMatchObject({ used: 3, max: 5, remaining: 2 })
    expect(rows.filter(({ limit }) => limit === 'money')[0]).toMatchObject({ used: 3e8 })
  })

  it('what was reserved and not used comes back, in every kind', async () => {
    const limits = [
      { name: 'requests', requests: per('1/1h') },
      { name: 'rate', requests: per('1/1h'), burst: 0 },
      { name: 'tokens', tokens: per('10/1h') },
      { name: 'month', tokens: per('10/month') },
      { name: 'slots', concurrent: 1 },
      { name: 'money', budget: per('$1') },
    ]
    for (const limit of limits) {
      const stage = await make([limit])
      const ask = () => exchange({}, { output: 10, cost: 1e9 })
      for (let at = 0; at < 3; at++) {
        const x = ask()
        expect(await refused(stage, x)).toBeNull()
        expect(await refused(stage, ask())).not.toBeNull()
        // Refused behind this stage, or answered from the cache: nothing was spent.
        finish(stage, x)
      }
      const last = ask()
      expect(await refused(stage, last)).toBeNull()
      finish(stage, last, { output: 10, cost: 1e9 })
      const again = await refused(stage, ask())
      if (limit.name === 'slots') expect(again).toBeNull()
      else expect(again?.message).toContain(`"${limit.name}"`)
    }
  })

  it('parallel requests share what is left, and the truth settles it', async () => {
    const stage = await make([{ name: 'money', per: ['team'], budget: per('$3/month') }])
    const asked = Array.from({ length: 200 }, () => exchange({ team: 'core' }, { cost: 1e9 }))
    const answers = await Promise.all(asked.map((x) => refused(stage, x)))
    expect(answers.filter((failure) => failure === null)).toHaveLength(3)
    const failure = answers.find((one) => one !== null)!
    expect(failure).toMatchObject({ code: 'budget_exceeded', status: 429, retryable: false })
    expect(failure.message).toBe(
      'The budget is used up: "money", $3 per month, for team "core". Ask its owner for more, or wait until it begins anew.',
    )
    for (const [index, x] of asked.entries()) if (answers[index] === null) finish(stage, x, { cost: 25e7 })
    const rest = await Promise.all(
      Array.from({ length: 50 }, () => refused(stage, exchange({ team: 'core' }, { cost: 1e9 }))),
    )
    expect(rest.filter((one) => one === null)).toHaveLength(2)
  })

  it('a request that does not fit into what is left is told how much that is, and what to do', async () => {
    const stage = await make([{ name: 'money', per: ['team'], budget: per('$3/month') }])
    const ask = (cost: number) => refused(stage, exchange({ team: 'core' }, { cost }))
    const never = await ask(4_500_000_001)
    expect(never).toMatchObject({ code: 'budget_exceeded', retryable: false, retryAfterMs: null })
    expect(never?.message).toBe(
      'The budget has $3 left, and this request may cost up to $4.500001: "money", $3 per month, for team "core". Send `max_completion_tokens` or `max_tokens`, or a lower one, or ask its owner for more.',
    )
    expect(await ask(1_750_000_000)).toBeNull()
    const later = await ask(2e9)
    expect(later).toMatchObject({ code: 'budget_exceeded', retryable: false })
    expect(later?.message).toContain('The budget has $1.25 left, and this request may cost up to $2: "money"')
    expect(await ask(1_250_000_000)).toBeNull()
    expect((await ask(1))?.message).toStartWith('The budget is used up: "money"')
  })

  it('a request that can never fit is told so, and not to try again', async () => {
    const stage = await make([{ name: 't', tokens: per('100/1m') }])
    const failure = await refused(stage, exchange({}, { output: 101 }))
    expect(failure).toMatchObject({ retryable: false, retryAfterMs: null })
    expect(failure?.message).toContain('lower its maximum of tokens')
  })

  it('any run of requests and ends agrees with a model that keeps every request', async () => {
    const kinds = [
      { name: 'tokens', per: ['team' as const], tokens: per('100/1h') },
      { name: 'cost', per: ['team' as const], budget: { ...per('$1/month'), amount: 100 } },
      { name: 'slots', per: ['team' as const], concurrent: 3 },
    ]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...kinds), fc.array(step, { maxLength: 40 }), async (kind, steps) => {
        const stage = await make([kind])
        const slots = kind.name === 'slots'
        const counted = new Map([['a', 0], ['b', 0]]) // prettier-ignore
        const running: { x: ReturnType<typeof exchange>; amount: number; team: string }[] = []
        for (const one of steps) {
          if (one.do === 'ask') {
            const amount = slots ? 1 : one.amount
            const x = exchange({ team: one.team }, { output: one.amount, cost: one.amount })
            const fits = counted.get(one.team)! + amount <= (slots ? 3 : 100)
            expect((await refused(stage, x)) === null).toBe(fits)
            if (!fits) continue
            counted.set(one.team, counted.get(one.team)! + amount)
            running.push({ x, amount, team: one.team })
          } else if (running.length > 0) {
            const [ended] = running.splice(one.which % running.length, 1)
            const used: Made | undefined =
              one.used === null ? undefined : { output: one.used, cost: one.used }
            finish(stage, ended!.x, used)
            const kept = slots ? 0 : (one.used ?? 0)
            counted.set(ended!.team, counted.get(ended!.team)! - ended!.amount + kept)
          }
        }
        for (const { x } of running) finish(stage, x)
      }),
      { numRuns: 60 },
    )
  })
}
