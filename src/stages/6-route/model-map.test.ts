import { expect, test } from 'bun:test'
import { matchesGlob } from '../../base/glob.ts'
import { namesFor, nameThere, servesUnseen } from './model-map.ts'

const names = { '*': '*', fast: 'gpt-4o-mini', 'our-*': 'theirs/*', 'our-best-*': 'best', same: 'same' }

test('an exact name, then the glob that says most', () => {
  const table: [string, string | null | undefined][] = [
    ['fast', 'gpt-4o-mini'],
    ['our-large', 'theirs/large'],
    ['our-best-one', 'best'],
    ['gpt-4o', null],
    ['same', null],
    ['__proto__', null],
    ['constructor', null],
  ]
  for (const [asked, there] of table) expect([asked, nameThere(names, asked)]).toEqual([asked, there])
  expect(nameThere({ fast: 'x' }, 'slow')).toBeUndefined()
  expect(nameThere({ fast: 'x' }, 'toString')).toBeUndefined()
  expect(nameThere(null, 'anything')).toBeNull()
  expect(nameThere({ 'a*b*c': 'x-*' }, 'a1b2c')).toBe('x-1')
  expect(nameThere({ 'p-*': '$&-*' }, 'p-$1')).toBe('$&-$1')
})

test('a form goes only where its model needs no other name', () => {
  expect([
    servesUnseen(null),
    servesUnseen(names),
    servesUnseen({ a: 'a' }),
    servesUnseen({ a: 'b' }),
  ]).toEqual([true, true, true, false])
})

test('what is listed goes by the names used here', () => {
  const listed = ['gpt-4o-mini', 'gpt-4o']
  expect(namesFor({ fast: 'gpt-4o-mini', lost: 'none' }, listed)).toEqual([
    { name: 'fast', of: 'gpt-4o-mini' },
  ])
  expect(namesFor(null, listed).map(({ name }) => name)).toEqual(listed)
})

test('globs', () => {
  const table: [string, string, boolean][] = [
    ['gpt-*', 'gpt-4o', true],
    ['gpt-*', 'xgpt-4o', false],
    ['*-mini', 'gpt-4o-mini', true],
    ['a*a', 'a', false],
    ['*', '', true],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'acb', false],
    ['exact', 'exact', true],
  ]
  for (const [glob, text, fits] of table)
    expect([glob, text, matchesGlob(glob, text)]).toEqual([glob, text, fits])
})
