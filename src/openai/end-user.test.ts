import { expect, test } from 'bun:test'
import { endUserOf } from './end-user.ts'

test.each<[string, string | null]>([
  ['{"user":"u1"}', 'u1'],
  ['{"safety_identifier":"s1"}', 's1'],
  ['{"user":"u1","safety_identifier":"s1"}', 's1'],
  ['{"messages":[{"role":"user","content":"x"}],"user" : "u2"}', 'u2'],
  ['{"messages":[{"role":"user","content":"x"}]}', null],
  ['{"messages":[{"user":"no"}]}', null],
  ['{"metadata":{"user":"no","safety_identifier":"no"}}', null],
  ['{"messages":[{"content":"\\"user\\":\\"no\\""}]}', null],
  ['{"user":7}', null],
  ['{"user":null,"safety_identifier":["x"]}', null],
  ['"user"', null],
  ['', null],
  ['{"user":"ünï\\u0041"}', 'ünïA'],
  ['{"user"', null],
])('%s: %p', (text, expected) => expect(endUserOf(Buffer.from(text))).toBe(expected))

test('a megabyte of roles is searched once', () => {
  const text = `{"messages":[${'{"role":"user"},'.repeat(60_000)}{}],"user":"beyond"}`
  expect(endUserOf(Buffer.from(text))).toBeNull()
  expect(endUserOf(Buffer.from('"user"'.repeat(100_000)))).toBeNull()
})
