// Tokens by command, with a clock that the test turns.

import { expect, test } from 'bun:test'
import { TokenCommand, type RunCommand } from './token-command.ts'

function setUp(answers: Awaited<ReturnType<RunCommand>>[], refreshMs = 60 * 60_000) {
  let nowMs = 1_000_000
  let runs = 0
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs }
  const run: RunCommand = () => Promise.resolve(answers[Math.min(runs++, answers.length - 1)]!)
  const token = new TokenCommand({ command: 'x', refreshMs }, { clock, run })
  return { token, wait: (ms: number) => void (nowMs += ms), runs: () => runs, nowMs: () => nowMs }
}

const minute = 60_000

test('runs with the first request, and once for all who wait', async () => {
  const { token, runs } = setUp([{ output: 'one\n' }])
  expect(token.current).toBeNull()
  expect(runs()).toBe(0)
  await Promise.all([token.fresh(), token.fresh(), token.fresh()])
  expect(token.current?.reveal()).toBe('one')
  expect(token.fresh()).toBeUndefined()
  expect(runs()).toBe(1)
})

test('is replaced five minutes before its end, and not used behind it', async () => {
  const { token, wait, runs } = setUp([
    { output: '{"access_token":"one","expires_in":3600}' },
    { wrong: 'away' },
  ])
  await token.fresh()
  wait(54 * minute)
  expect(token.fresh()).toBeUndefined()
  wait(2 * minute)
  await token.fresh()
  expect([runs(), token.trouble]).toEqual([2, 'away'])
  // Still good for a while; the command is asked again, but not at once.
  expect(token.current?.reveal()).toBe('one')
  expect(token.fresh()).toBeUndefined()
  wait(4 * minute)
  expect(token.current).toBeNull()
})

test('says its end as a claim, a moment or a duration; else it is replaced by the clock', async () => {
  const jwt = (exp: number) => `h.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.s`
  for (const output of [
    jwt(1000 + 3600),
    '{"accessToken":"a","expires_on":"4600"}',
    '{"token":"a","expires_in":"3600"}',
  ]) {
    const { token, wait, runs } = setUp([{ output }])
    await token.fresh()
    wait(56 * minute)
    await token.fresh()
    expect([output, runs()]).toEqual([output, 2])
  }
  const { token, wait, runs } = setUp([{ output: 'plain' }], 10 * minute)
  await token.fresh()
  wait(9 * minute)
  expect(token.fresh()).toBeUndefined()
  wait(minute)
  await token.fresh()
  expect(runs()).toBe(2)
})

test('a refused one is asked for anew, not within seconds of the last run', async () => {
  const { token, wait } = setUp([{ output: 'one' }, { output: 'two' }])
  await token.fresh()
  const first = token.current!
  expect(token.refuse(first)).toBe(false)
  expect(token.fresh()).toBeUndefined()
  wait(5000)
  expect(token.refuse(first)).toBe(true)
  await token.fresh()
  expect(token.current?.reveal()).toBe('two')
  // A late refusal of the old one says nothing of the new one.
  wait(5000)
  token.refuse(first)
  expect(token.fresh()).toBeUndefined()
})

test('what is no token is trouble, and no text of it is repeated', async () => {
  for (const output of ['', 'two words', '{"a":', '{"accessToken":7}', 'x'.repeat(20_000)]) {
    const { token } = setUp([{ output }])
    await token.fresh()
    expect(token.current).toBeNull()
    expect(token.trouble).toMatch(/^the command printed (?:no token|JSON that cannot be read)$/)
  }
})
