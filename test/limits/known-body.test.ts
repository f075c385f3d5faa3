// A body that came before is known by its bytes, and what is found out of it must not depend on who asked first.

import { describe, expect, test } from 'bun:test'
import { KnownBytes } from '../../src/base/known-bytes.ts'
import type { Exchange } from '../../src/exchange.ts'
import type { Costs } from '../../src/stages/3-limit/costs.ts'
import { exchange, HandClock, madeCosts, per, refused, stageOf } from './stage.ts'

/** Exchanges of one body, known or not. */
function sharing(body: string, known: boolean): () => Exchange {
  const one = new KnownBytes(Buffer.from(body))
  return () => {
    const x = exchange({}, {}, { body })
    x.knownBody = known ? one : null
    return x
  }
}

describe.each([true, false])('known: %p', (known) => {
  const limits = [{ name: 'a', per: ['key', 'model'] as const, requests: per('100/1m') }]

  test.each([
    '{"model":"gpt-4o-mini","model":null}',
    '{"model":"gpt-4o-mini","model":5}',
    '{"model":"gpt-4o-mini","model":["o3"]}',
    '{"model":null,"model":"gpt-4o-mini"}',
    '{"model":"o3","\\u006dodel":"gpt-4o-mini"}',
  ])('a body that names its model twice is refused each time: %s', async (body) => {
    const again = sharing(body, known)
    const stage = stageOf(limits, { clock: new HandClock() })
    for (let times = 0; times < 3; times++)
      expect(await refused(stage, again())).toMatchObject({ code: 'bad_request', param: 'model' })
  })

  test('the model is the same whoever parsed the body', async () => {
    const again = sharing('{"messages":[{"model":"deep"}],"model":"gpt-4o"}', known)
    const stage = stageOf(limits, { clock: new HandClock() })
    for (let times = 0; times < 3; times++) {
      const x = again()
      expect(await refused(stage, x)).toBeNull()
      expect(x.model).toBe('gpt-4o')
    }
    const parsed = again()
    parsed.json()
    expect([parsed.model, again().model]).toEqual(['gpt-4o', 'gpt-4o'])
  })

  test('what is no JSON is refused each time', async () => {
    const again = sharing('{"model":"gpt-4o"', known)
    const stage = stageOf(limits, { clock: new HandClock() })
    for (let times = 0; times < 3; times++)
      expect(await refused(stage, again())).toMatchObject({ code: 'invalid_json' })
  })
})

test('the worst case is worked out once, for however many rules, with its price only where one asks for it', async () => {
  const asked: boolean[] = []
  const costs: Costs = {
    ...madeCosts,
    estimate(x, priced) {
      asked.push(priced)
      return madeCosts.estimate(x, priced)
    },
  }
  const tokens = Array.from({ length: 5 }, (_, at) => ({ name: `t${at}`, tokens: per(`${1000 + at}/1m`) }))
  const calls = { name: 'calls', requests: per('10/1m') }
  for (const [limits, expected] of [
    [[calls], []],
    [[calls, ...tokens], [false]],
    [[...tokens, { name: 'money', budget: per('$5/day') }], [true]],
  ] as const) {
    asked.length = 0
    expect(await refused(stageOf([...limits], { clock: new HandClock(), costs }), exchange())).toBeNull()
    expect(asked).toEqual([...expected])
  }
})
