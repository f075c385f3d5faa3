import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { HeaderBlock } from '../../net/wire/headers.ts'
import { createUserAgentRules, Glob } from './user-agents.ts'

test.each<[string, string, boolean]>([
  ['*', '', true],
  ['*', 'anything', true],
  ['', '', true],
  ['', 'x', false],
  ['curl', 'curl', true],
  ['curl', 'curl/8', false],
  ['curl*', 'curl/8', true],
  ['*sqlmap*', 'sqlmap', true],
  ['*SqlMap*', 'mozilla (sqlmap/1.0)', true],
  ['a*a', 'a', false],
  ['a*a', 'aa', true],
  ['a*b*c', 'abc', true],
  ['a*b*c', 'acb', false],
  ['*ab*ab*', 'ab', false],
  ['*ab*ab*', 'abab', true],
  ['*aab*', 'aaab', true],
  ['*abab*c', 'abaababc', true],
  ['**', 'x', true],
  ['a.c', 'abc', false],
  ['(a+)+$', '(a+)+$', true],
])('%p on %p: %p', (glob, text, expected) => expect(new Glob(glob).matches(text)).toBe(expected))

test('a glob matches what its regular expression would', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 24 })
  const globs = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 10 })
  fc.assert(
    fc.property(globs, letters, (glob, text) => {
      const expected = new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(text)
      expect(new Glob(glob).matches(text)).toBe(expected)
    }),
    { numRuns: 2000 },
  )
})

test('what grows with a power elsewhere is read through once', () => {
  const glob = new Glob(`*${`${'a'.repeat(60)}b*`.repeat(4)}x`)
  // A backtracking matcher would not come back from this within a day.
  expect(glob.matches('a'.repeat(1_000_000))).toBe(false)
})

const block = (...lines: string[]) => HeaderBlock.parse(lines.map((line) => `${line}\r\n`).join(''))!

test('deny wins, allow is a fence, each line counts, and none counts as empty', () => {
  expect(createUserAgentRules({ allow: [], deny: [] })).toBeNull()
  const rules = createUserAgentRules({ allow: ['OpenAI/*', 'curl*'], deny: ['*evil*'] })!
  expect(rules(block('User-Agent: OpenAI/Python 2.1'))).toBe(true)
  expect(rules(block('user-agent: OPENAI/JS EVIL'))).toBe(false)
  expect(rules(block('User-Agent: wget'))).toBe(false)
  expect(rules(block())).toBe(false)
  expect(rules(block('User-Agent: curl', 'User-Agent: evil'))).toBe(false)
  expect(rules(block('User-Agent: curl', 'User-Agent: wget'))).toBe(false)
  expect(createUserAgentRules({ allow: [], deny: [''] })!(block())).toBe(false)
  expect(createUserAgentRules({ allow: [''], deny: [] })!(block('Host: a'))).toBe(true)
})

test('thousands of different agents leave little behind', () => {
  const rules = createUserAgentRules({ allow: [], deny: ['bad*'] })!
  for (let index = 0; index < 5000; index++) expect(rules(block(`User-Agent: agent ${index}`))).toBe(true)
  expect(rules(block('User-Agent: bad 7'))).toBe(false)
  expect(rules(block('User-Agent: bad 7'))).toBe(false)
})
