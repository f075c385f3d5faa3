import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { endOfItems, firstMember, memberNames, memberPlaces, withValue } from './member-place.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const at = (text: string, { start, end }: { start: number; end: number }): string =>
  Buffer.from(text).subarray(start, end).toString()

test('finds every outermost member of a name, however it is spelled, and none deeper', () => {
  const text =
    ' {"a":{"model":"no"},"b":["\\"model\\":\\"no\\"",{"model":1}],"model" : "yes" ,"mod\\u0065l":["x",{"model":2}],"models":3}'
  expect(memberPlaces(bytes(text), 'model').map((place) => at(text, place))).toEqual([
    '"yes"',
    '["x",{"model":2}]',
  ])
  for (const none of ['', '[]', '"model"', '{', '{"model"', '{"model":', 'null', '[{"model":1}]'])
    expect(memberPlaces(bytes(none), 'model').length).toBeLessThanOrEqual(1)
})

test('another value in its place changes nothing else', () => {
  const member = fc.oneof(fc.constantFrom('model', 'messages', 'x'), fc.string())
  fc.assert(
    fc.property(
      fc.dictionary(member, fc.jsonValue(), { noNullPrototype: true }),
      fc.jsonValue(),
      (given, model) => {
        const value = { ...given, model }
        const text = bytes(JSON.stringify(value))
        const places = memberPlaces(text, 'model')
        expect(places).toHaveLength(1)
        const changed = withValue(text, places[0]!, bytes('"other"'))
        expect(Buffer.from(changed).toString()).toBe(JSON.stringify({ ...value, model: 'other' }))
      },
    ),
  )
})

const names = memberNames('input', 'messages')

test('the first items of a list', () => {
  const text = '{"x":1, "messages" : [ {"a":"]"} , {"b":[2]},3 ]}'
  const found = firstMember(bytes(text), names)
  const until = (count: number) =>
    Buffer.from(text)
      .subarray(found, endOfItems(bytes(text), found, count))
      .toString()
  expect([until(1), until(2)]).toEqual(['[ {"a":"]"}', '[ {"a":"]"} , {"b":[2]}'])
})

test('the first member of some names, however it is spelt, and of the outermost object only', () => {
  const first = (text: string): number => firstMember(bytes(text), names)
  const long = 'x'.repeat(100)
  expect(first('{"input":1}')).toBe(9)
  expect(first('{"in\\u0070ut":1}')).toBe(14)
  const behind = `{"${long}":"${long}\\"","in":0,"inputs":0,"messages":1}`
  expect(first(behind)).toBe(behind.indexOf('1}'))
  for (const none of [
    '',
    '{',
    '[',
    '{}',
    '{"a":{"input":1}}',
    '["input"]',
    '{"input"',
    '{"input',
    '{"input\\',
    '{"a":"input"}',
  ])
    expect(first(none)).toBe(-1)
})

test('a string of any length and any escapes ends where JSON says', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '"', '\\', '\u00e4'), maxLength: 80 }), (text) => {
      const json = JSON.stringify({ [`${text}-`]: text, input: 7 })
      const at = firstMember(bytes(json), names)
      expect(Buffer.from(json).subarray(at).toString()).toBe('7}')
    }),
  )
})
