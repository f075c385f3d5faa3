import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isNamed, matchesGlob, mayUseTarget } from './glob.ts'

describe('globs', () => {
  test.each([
    ['gpt-4o', 'gpt-4o', true],
    ['gpt-4o', 'GPT-4o', false],
    ['gpt-4o', 'gpt-4o-mini', false],
    ['gpt-4o*', 'gpt-4o-mini', true],
    ['*mini', 'gpt-4o-mini', true],
    ['*', '', true],
    ['**', 'a', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c', false],
    ['*ab*ab*', 'ab', false],
    ['gpt.4o', 'gpt-4o', false],
  ])('%s on %s: %p', (glob, text, fits) => {
    expect(matchesGlob(glob, text)).toBe(fits)
  })

  test('agree with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 12 })
    fc.assert(
      fc.property(text, text, (glob, subject) => {
        const pattern = glob.replaceAll('.', '\\.').replaceAll('*', '[^]*')
        expect(matchesGlob(glob, subject)).toBe(new RegExp(`^${pattern}$`).test(subject))
      }),
    )
  })

  test('a list names what one of it matches; no list names all, an empty one nothing', () => {
    expect(isNamed(['a', 'b*'], 'bc')).toBe(true)
    expect(isNamed(['a', 'b*'], 'c')).toBe(false)
    expect(isNamed(null, 'c')).toBe(true)
    expect(isNamed([], '')).toBe(false)
  })
})

test.each([
  [null, 'fast', 'gpt-4o', true],
  [['gpt-4o*'], 'gpt-4o-mini', 'gpt-4o-mini', true],
  [['gpt-4o*'], 'fast', 'gpt-4o', false],
  // A glob that happens to match the alias says nothing of what stands behind it.
  [['f*'], 'fast', 'gpt-4o', false],
  [['fast'], 'fast', 'gpt-4o', true],
  [['f*', 'gpt-4o'], 'fast', 'gpt-4o', true],
  [['*'], 'fast', 'gpt-4o', true],
  [[], 'fast', 'fast', false],
] as const)('bound to %p, asked for %s, run as %s: %p', (models, asked, target, may) => {
  expect(mayUseTarget(models, asked, target)).toBe(may)
})
