import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { firstText, lastMember } from './outermost.ts'

const usage = Buffer.from('"usage"')
const model = Buffer.from('"model"')
const bytes = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

describe('lastMember', () => {
  test('finds a member of the outermost object, wherever it stands', () => {
    expect(lastMember(bytes({ usage: { a: 1 } }), usage)).toEqual({ a: 1 })
    expect(lastMember(bytes({ usage: { a: 1 }, b: [1, { c: '}' }] }), usage)).toEqual({ a: 1 })
    expect(lastMember(bytes('{ "x" : 1 , "usage" : [ 1 , "]" ] , "y" : "\\"" }\n'), usage)).toEqual([1, ']'])
    expect(lastMember(bytes('{"usage":null}'), usage)).toBeNull()
    expect(lastMember(bytes('{"usage": 12 ,"b":2}'), usage)).toBe(12)
  })

  test('passes over what only looks like it', () => {
    expect(lastMember(bytes({ a: { usage: 1 } }), usage)).toBeUndefined()
    expect(lastMember(bytes({ usage: 1, a: { usage: 2 }, b: [{ usage: 3 }] }), usage)).toBe(1)
    expect(lastMember(bytes({ text: '"usage":5', a: 'usage', b: ['usage'] }), usage)).toBeUndefined()
    expect(lastMember(bytes({ usage: 1, a: 'usage', b: '{"usage":{}}', 'c"usage"': 3 }), usage)).toBe(1)
    expect(lastMember(bytes([{ usage: 1 }]), usage)).toBeUndefined()
  })

  test('the end of the text is enough', () => {
    const text = JSON.stringify({
      data: ['x'.repeat(200_000), '\\"'.repeat(5000)],
      model: 'm',
      usage: { total_tokens: 3 },
    })
    for (const size of [60, 100, 1000, 70_000, text.length]) {
      expect(lastMember(bytes(text.slice(-size)), usage)).toEqual({ total_tokens: 3 })
    }
  })

  test('broken text gives no error', () => {
    for (const text of [
      '',
      '"usage"',
      '{"usage"',
      '{"usage":',
      '{"usage":}',
      '{"usage":x}',
      '{"usage":"',
      '{"usage":{}}}',
      '"usage":"\\',
    ]) {
      expect(lastMember(bytes(text), usage) ?? null).toBeNull()
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        lastMember(bytes(`{"usage":${text}`), usage)
        firstText(bytes(`{"model":${text}`), model)
      }),
    )
  })

  test('agrees with JSON.parse on any object', () => {
    const key = fc.oneof(fc.constant('usage'), fc.constant('model'), fc.string())
    const leaf: fc.Arbitrary<unknown> = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant('"usage":1'),
      fc.constant('usage'),
      fc.boolean(),
      fc.constant(null),
    )
    const few = { maxLength: 3, maxKeys: 3 }
    const inner: fc.Arbitrary<unknown> = fc.oneof(leaf, fc.array(leaf, few), fc.dictionary(key, leaf, few))
    const value: fc.Arbitrary<unknown> = fc.oneof(leaf, fc.array(inner, few), fc.dictionary(key, inner, few))
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 5 }), fc.constantFrom(0, 1), (object, indent) => {
        const text = JSON.stringify(object, null, indent)
        const expected = (JSON.parse(text) as Record<string, unknown>)['usage']
        const found = lastMember(bytes(text), usage)
        // More than eight of the same name may give up; a wrong answer is never right.
        if (text.split('"usage"').length <= 8) expect(found).toEqual(expected as object | null)
        else if (found !== undefined) expect(found).toEqual(expected as object | null)
        const named = (JSON.parse(text) as Record<string, unknown>)['model']
        expect(firstText(bytes(text), model)).toBe(typeof named === 'string' ? named : null)
      }),
      { numRuns: 500 },
    )
  })
})

test('firstText reads a text at the start of a long answer', () => {
  const answer = { id: 'x', tools: [{ model: 'no' }], model: 'gpt-4o-ü', output: 'x'.repeat(100_000) }
  expect(firstText(bytes(answer), model)).toBe('gpt-4o-ü')
  expect(firstText(bytes({ data: 'x'.repeat(100_000), model: 'far' }), model)).toBeNull()
  expect(firstText(bytes('{"model":"gpt'), model)).toBeNull()
  expect(firstText(bytes('{"model":5}'), model)).toBeNull()
})

test('long strings are skipped exactly, whatever is escaped in them', () => {
  const part = fc.constantFrom('\\', '"', '\\"', 'x', 'x'.repeat(60), '"model":"no"', 'ü', '}', '\n')
  const long = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(long, long, long, (before, name, after) => {
      const text = bytes({ [`${before}k`]: before, model: name, [`${after}j`]: [after], usage: 7 })
      expect(firstText(text, model)).toBe(name)
      expect(lastMember(text, usage)).toBe(7)
      expect(lastMember(bytes({ usage: name, a: after }), usage)).toBe(name)
    }),
  )
})

test('texts that share length, first and last character are told apart, also the second time', () => {
  for (let round = 0; round < 2; round++) {
    for (const name of ['gpt-4o-1x', 'gpt-4o-2x', 'gpt-4o\\nx', 'gpt-4o"nx', '', 'ü', 'x'.repeat(300)]) {
      const read = firstText(new Uint8Array(bytes({ model: name })), model)
      expect(read).toBe(name)
    }
    expect(firstText(bytes('{"model":"gpt-4o-1x'), model)).toBeNull()
    expect(firstText(bytes('{"model":"gpt-4o\nnx"}'), model)).toBeNull()
  }
})
