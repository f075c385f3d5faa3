import { describe, expect, test } from 'bun:test'
import { lenientName, visitMembers, type FoundMember } from './json-keys.ts'

const search = { names: new Set(['model']), skipped: new Set(['free']) }

function found(json: string): FoundMember[] {
  const members: FoundMember[] = []
  visitMembers(Buffer.from(json), search, (member) => members.push(member))
  return members
}

describe('members by name', () => {
  test.each<[string, [name: string, depth: number, texts: string[] | null][]]>([
    ['{}', []],
    ['"model"', []],
    ['["model"]', []],
    ['{"a":"model","b":"\\"model\\":1"}', []],
    ['{"model":"a"}', [['model', 1, ['a']]]],
    ['{ "model" \r\n\t: "a\\u0062\\"" }', [['model', 1, ['ab"']]]],
    ['{"model":"a","model":"b"}', [['model', 1, ['a']], ['model', 1, ['b']]]], // prettier-ignore
    ['{"mod\\u0065l":"a"}', [['model', 1, ['a']]]],
    ['{"MoDeL":"a"}', [['MoDeL', 1, ['a']]]],
    ['{"a\\\\":1,"model":"\\\\"}', [['model', 1, ['\\']]]],
    ['[{"a":{"model":"b"}}]', [['model', 3, ['b']]]],
    ['{"a":[{"model":"x"}],"a":[]}', [['model', 3, ['x']]]],
    ['{"model":null}', [['model', 1, []]]],
    ['{"model":[ ]}', [['model', 1, []]]],
    ['{"model":[ "a" , "b" ]}', [['model', 1, ['a', 'b']]]],
    ['{"model":["a",1]}', [['model', 1, null]]],
    ['{"model":[["a"]]}', [['model', 1, null]]],
    ['{"model":1}', [['model', 1, null]]],
    ['{"model":{"model":"a"}}', [['model', 1, null], ['model', 2, ['a']]]], // prettier-ignore
    ['{"free":{"model":"a","b":[{"model":"c"}]},"model":"d"}', [['model', 1, ['d']]]],
    ['{"free":{},"a":{"model":"b"}}', [['model', 2, ['b']]]],
    ['{"free":"x","a":{"model":"b"}}', [['model', 2, ['b']]]],
    ['{"free":[{"model":"b"}]}', [['model', 3, ['b']]]],
    ['{"Free":{"model":"b"}}', [['model', 2, ['b']]]],
  ])('of %s', (json, expected) => {
    expect(found(json)).toEqual(expected.map(([name, depth, texts]) => ({ name, depth, texts })))
  })

  test('deep and long texts take no recursion and no square of their length', () => {
    const deep = 200_000
    expect(found(`${'{"a":'.repeat(deep)}{"model":"x"}${'}'.repeat(deep)}`)).toEqual([
      { name: 'model', depth: deep + 1, texts: ['x'] },
    ])
    expect(found(`{"a":"${'\\\\'.repeat(deep)}${'\\"'.repeat(deep)}","model":"x"}`)).toHaveLength(1)
    expect(found(`${'{"model":['.repeat(deep)}${']}'.repeat(deep)}`)).toHaveLength(deep)
  })
})

test('names are compared as the most lenient reader would', () => {
  for (const name of ['model', 'MODEL', 'Model ', '\u0000model', 'model\ud800', 'mo\u200bdel'])
    expect(lenientName(name)).toBe('model')
  expect(lenientName('FALLBAC\u212a\u017f')).toBe('fallbacks')
  expect(lenientName('models')).not.toBe('model')
})
