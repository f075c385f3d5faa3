// `headgate cache explain`, as somebody types it: files good and bad, keys of the configuration and of the store.

import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../../src/cli/store.ts'
import type { Config } from '../../src/config/schema.ts'
import { runCaptured } from './cli-capture.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-explain-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const hash = `sha256:${'0'.repeat(64)}`
const config = file('headgate.yaml', {
  storage: { path: 'data' },
  access: {
    keys: [
      { name: 'web', hash, team: 'core' },
      { name: 'job', hash: hash.replace(/0$/, '1'), team: 'ops' },
    ],
  },
  cache: { scope: 'team', ttl: '2h', rules: [{ match: { endpoints: ['moderations'] }, ttl: '0s' }] },
})
const at = ['--config', config]
const explain = (...args: string[]) => runCaptured('cache', 'explain', ...args, ...at)

const chat = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] }
const a = file('a.json', chat)

test('two that are the same, one streamed: exit code 0', async () => {
  const b = file('b.json', { stream: true, messages: chat.messages, temperature: 1, model: chat.model })
  const { code, out, err } = await explain(a, b)
  expect([code, err]).toEqual([0, ''])
  expect(out).toContain(
    'b.json: chat.completions, gpt-4o-mini, as a stream\n   cacheable, fresh for 2h\n   key ',
  )
  expect(out).toContain('They share an answer.')
})

test('two that differ: what, and exit code 1', async () => {
  const b = file('b.json', {
    path: '/v1/chat/completions?beta=1',
    headers: { 'OpenAI-Beta': ['x', 'y'] },
    key: 'job',
    body: { ...chat, store: true, n: 2 },
  })
  const { code, out } = await explain(a, b, '--key', 'web')
  expect(code).toBe(1)
  expect(out).toContain(
    'not answered from the cache: it makes or continues state at the provider (store: true)',
  )
  expect(out).toContain('The differences:\n  scope\n    A  team core\n    B  team ops\n')
  expect(out).toContain('  header openai-beta\n    A  (not there)\n    B  x, y\n')
  expect(out).toContain('  body.n\n    A  (not there)\n    B  2\n')
  const json = JSON.parse((await explain(a, b, '--key', 'web', '--format', 'json')).out)
  expect(json.share).toBe(false)
  expect(json.differences.map((one: { where: string }) => one.where)).toEqual([
    'scope',
    'query',
    'header openai-beta',
    'body.n',
    'body.store',
  ])
})

test('the same, and yet not kept', async () => {
  const b = file('b.json', { input: 'x', model: 'omni-moderation-latest' })
  const { code, out } = await explain(b, b)
  expect(code).toBe(1)
  expect(out).toContain('a rule of cache.rules says that its answer is not kept')
  expect(out).toContain('They ask for the same, but share no stored answer')
})

test('keys of the store, by id', async () => {
  const store = await openStore({ path: join(folder, 'data') } as Config['storage'], {
    event: () => {},
    revoked: () => {},
  })
  const made = async (team: string) => (await store.keys.create({ name: team, team }, 'test')).id
  const [one, other] = [await made('red'), await made('blue')]
  await store.close()
  const b = file('b.json', { key: other, body: chat })
  const { code, out } = await explain(a, b, '--key', one)
  expect([code, out]).toEqual([
    1,
    expect.stringContaining(
      'The difference:\n  scope\n    A  team red, env dev\n    B  team blue, env dev\n',
    ),
  ])
  expect(await explain(a, b, '--key', 'key_nothing')).toMatchObject({
    code: 1,
    err: expect.stringContaining('No key has this id'),
  })
})

test('a body given as a text counts byte for byte', async () => {
  const twice = file('b.json', {
    path: '/v1/chat/completions',
    body: '{"model":"m","model":"n","messages":[]}',
  })
  expect((await explain(twice, twice)).out).toContain('a member given twice')
})

const bad: [string, unknown, RegExp][] = [
  ['no JSON', '{"model":', /it is no JSON: /],
  ['empty', '', /it is no JSON: /],
  ['no object', '[1]', /it is no JSON object/],
  ['another member', { body: {}, header: {} }, /"header" is none of method, path, headers, key, body/],
  ['no endpoint', { model: 'm', prompt: 'x' }, /say --path, such as --path \/v1\/embeddings/],
  ['no path', { body: { model: 'm' } }, /it has no "path"/],
  ['headers', { path: '/v1/x', headers: { 'a b': '1' }, body: {} }, /headers: expected a mapping/],
  ['header lines', { path: '/v1/x', headers: { a: 'b\r\nc: d' }, body: {} }, /headers: expected a mapping/],
  ['a path', { path: 'v1/x', body: {} }, /"v1\/x" is no path/],
  ['a method', { path: '/v1/x', method: 5, body: {} }, /method: expected a word/],
  ['a body', { path: '/v1/x', body: [1] }, /body: expected an object/],
  ['a key', { path: '/v1/x', key: 1, body: {} }, /key: expected a name/],
]
for (const [name, content, said] of bad) {
  test(`a bad file: ${name}`, async () => {
    const wrong = file('wrong.json', content)
    const { code, out, err } = await explain(a, wrong)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(said)
    expect(err).toContain(`cannot use ${wrong}`)
  })
}

test('other bad usage', async () => {
  expect(await explain(a, join(folder, 'missing.json'))).toMatchObject({
    code: 2,
    err: expect.stringMatching(/no such file/),
  })
  expect(await explain(a, folder)).toMatchObject({ code: 2, err: expect.stringMatching(/it is a directory/) })
  expect(await explain(a, a, '--key', 'nobody')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/no key "nobody"/),
  })
  expect(await explain(a)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/missing required argument 'b'/),
  })
})
