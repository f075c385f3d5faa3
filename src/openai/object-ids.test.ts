import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { idsInAnswer, idsInQuery, idsNamed, isObjectId, mayNameIds, NamedIds } from './object-ids.ts'

function named(text: string): { sure: string[]; maybe: string[] } {
  const ids = new NamedIds()
  idsNamed(text, ids)
  return { sure: [...ids.sure].sort(), maybe: [...ids.maybe].sort() }
}

test.each([
  ['file-abc123', true],
  ['resp_68a1b2c3', true],
  ['chatcmpl-Abc123xyz', true],
  ['FILE-ABC123', true],
  ['call_abc123', false],
  ['gpt-4o-mini', false],
  ['user-1234567', false],
  ['file-', false],
  ['a file-abc123', false],
  [`file-${'a'.repeat(300)}`, false],
])('%s is the id of an object: %p', (text, is) => {
  expect(isObjectId(text)).toBe(is)
})

test('what a member holds decides by its name and by its shape', () => {
  const body = {
    previous_response_id: 'anything-at-all',
    id: 'file-abc123',
    user_id: 'u1',
    prompt: { id: 'pmpt_1', variables: { x: { file_id: 'f1' } } },
    conversation: { id: 'conv_123456' },
    messages: [{ tool_calls: [{ id: 'call_1' }], tool_call_id: 'call_1', content: 'file-abc123' }],
    metadata: { file_id: 'file-mine00' },
    model: 'file-abc123',
  }
  expect(named(JSON.stringify(body))).toEqual({
    sure: ['anything-at-all', 'conv_123456', 'f1', 'file-abc123'],
    maybe: ['pmpt_1', 'u1'],
  })
})

test('a query names objects, and its cursors are some', () => {
  const ids = new NamedIds()
  idsInQuery('?after=file-abc123&limit=20&call_id=rtc_abc123&order=desc&FILE_ID=x', ids)
  expect([[...ids.sure], [...ids.maybe]]).toEqual([['file-abc123', 'rtc_abc123', 'x'], []])
})

describe('the search before anything is parsed', () => {
  test.each([
    ['{"model":"gpt-4o","messages":[{"role":"user","content":"my id is \\"file_id\\": \\"x\\""}]}', false],
    ['{"messages":[{"role":"tool","tool_call_id":"call_1","content":"x"}]}', false],
    ['{"tool_calls":[{"id": "call_1","type":"function"}]}', false],
    ['{"a":"père","b":"x","metadata":{}}', false],
    ['{"tool_calls":[{"id":"file-abc123"}]}', true],
    ['{"x_tool_call_id":"call_1","file_id":"x"}', true],
    ['{"conversation":"x"}', true],
    ['{"file":{"file_id":"x"}}', true],
    ['{"\\u0069d":"x"}', true],
    ['{"tool_call_id":"file-abc123"}', true],
    ['{"file_id":"call_1"}', true],
    ['{"arguments":"{\\"file_id\\":\\"x\\"}","url":"http://a:1/b?id=c"}', false],
  ])('%s: %p', (text, may) => {
    expect(mayNameIds(Buffer.from(text))).toBe(may)
  })

  test('never misses what the walk finds', () => {
    const odd = fc.constantFrom(
      'id',
      'file_id',
      'FILE_IDS',
      'fileId',
      'file_i\u200bd',
      'i\u0301d',
      'conver\u200bsation',
      ' id ',
      'container',
      'tool_call_id',
      'x',
      '"id',
      'ｉd',
      'training_file',
      'ids\u00a0',
    )
    const value = fc.oneof(
      fc.constantFrom('file-abc123', 'call_1', 'x', '"', '\\', 'é', ':', '","id":"', ''),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        value,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.array(fc.tuple(fc.oneof(odd, value), tie('tree')), { maxLength: 4 }).map(Object.fromEntries),
      ),
    }))
    fc.assert(
      fc.property(tree, fc.boolean(), (json, spaced) => {
        const text = JSON.stringify(json, null, spaced ? 1 : 0)
        const found = named(text)
        if (found.sure.length + found.maybe.length > 0) expect(mayNameIds(Buffer.from(text))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

test('an answer names what the server made, and nothing of what it repeats', () => {
  const answer = {
    id: 'resp_abc123',
    output: [
      {
        type: 'message',
        id: 'msg_abc123',
        content: [{ annotations: [{ file_id: 'cfile_abc123', container_id: 'cntr_abc123' }] }],
      },
      { type: 'mcp_list_tools', id: 'mcpl_abc123', tools: [{ input_schema: { file_id: 'file-echoed' } }] },
      {
        type: 'function_call',
        id: 'fc_abc123',
        call_id: 'call_abc123',
        arguments: '{"file_id":"file-echoed"}',
      },
    ],
    metadata: { file_id: 'file-echoed' },
    output_file_id: '0b1c-of-any-shape',
    user: 'file-echoed',
  }
  expect(idsInAnswer(answer).sort()).toEqual(
    [
      '0b1c-of-any-shape',
      'cfile_abc123',
      'cntr_abc123',
      'fc_abc123',
      'mcpl_abc123',
      'msg_abc123',
      'resp_abc123',
    ].sort(),
  )
})

test('an answer of any depth and length is walked within bounds', () => {
  let deep: unknown = { id: 'file-abc123' }
  for (let depth = 0; depth < 5000; depth++) deep = { a: deep }
  expect(idsInAnswer(deep)).toEqual([])
  expect(
    idsInAnswer(Array.from({ length: 5000 }, (_, index) => ({ id: `file-${index}abcdef` }))).length,
  ).toBe(2000)
})
