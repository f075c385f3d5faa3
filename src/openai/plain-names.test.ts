import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { firstText } from './outermost.ts'
import { plainNames } from './plain-names.ts'

const plain = (text: string) => Buffer.from(plainNames(Buffer.from(text))).toString()

test('a name with escapes is written plainly, and the rest stays as it is', () => {
  expect(plain('{"max\\u005ftokens" : 5, "\\u006e":2,"x":[{"t\\u0079pe":"input\\u005Fimage"}]}')).toBe(
    '{"max_tokens" : 5, "n":2,"x":[{"type":"input_image"}]}',
  )
})

test('what is no escape of a letter is left alone, and so is a body without one', () => {
  for (const text of [
    '{"content":"caf\\u00e9 \\u0022 \\u0009","n":1}',
    '{"content":"\\\\u006e is how n is written"}',
    `{"content":"${'long '.repeat(100)}\\u006e"}`,
    '{"a":"\\u006',
    '"\\u0065',
    '',
  ]) {
    const bytes = Buffer.from(text)
    expect(plainNames(bytes)).toBe(bytes)
  }
  expect(plain('{"a":"\\\\\\u006e"}')).toBe('{"a":"\\\\n"}')
})

test('it means the same, however it is escaped', () => {
  const escaped = (text: string, every: number) =>
    JSON.stringify(text).replace(/[a-z_]/g, (letter, at: number) =>
      at % every === 0 ? `\\u00${letter.charCodeAt(0).toString(16)}` : letter,
    )
  const value = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer()))
  fc.assert(
    fc.property(value, fc.integer({ min: 1, max: 5 }), (object, every) => {
      const members = Object.entries(object).map(
        ([name, each]) => `${escaped(name, every)}:${typeof each === 'string' ? escaped(each, every) : each}`,
      )
      const text = `{${members.join(',')}}`
      expect(JSON.parse(plain(text))).toEqual(JSON.parse(text))
    }),
  )
})

test('a member of the outermost object is found by an escaped name', () => {
  const model = Buffer.from('"model"')
  expect(firstText(Buffer.from('{"mod\\u0065l":"gpt-4o"}'), model)).toBe('gpt-4o')
  expect(firstText(Buffer.from('{"a":{"mod\\u0065l":"deep"}}'), model)).toBeNull()
  expect(firstText(Buffer.from('{"messages":[{"model":"deep"}],"\\u006dodel":"o3"}'), model)).toBe('o3')
})

test('a hostile body costs no more than its length', () => {
  const startedAtMs = performance.now()
  plainNames(Buffer.from(`{"a":"${'\\u0061'.repeat(1_000_000)}"}`))
  plainNames(Buffer.from(`{"a":"${'\\\\'.repeat(1_000_000)}u0061"}`))
  plainNames(Buffer.from(`[${'"\\u0061",'.repeat(200_000)}1]`))
  expect(performance.now() - startedAtMs).toBeLessThan(20_000)
})
