import { expect, test } from 'bun:test'
import { namesDiffer } from './distinct-names.ts'

test.each([
  ['{}', true],
  ['{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}', true],
  ['{"a":"a","b":"a"}', true],
  ['{"a":1,"a":2}', false],
  ['{"a":1,"\\u0061":2}', false],
  ['{"b":[{"a":1,"a":2}]}', false],
  ['{"a":"\\"","a":2}', false],
  ['{"__proto__":1}', true],
  ['['.repeat(17) + ']'.repeat(17), false],
])('%s: %p', (text, differ) => {
  expect(namesDiffer(text)).toBe(differ)
})
