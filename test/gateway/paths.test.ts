// Promise: the path that a key is judged by is the path that the upstream is asked for. Some two hundred ways to write
// each route so that one reader sees another path than the next: each is refused, or passes byte for byte and is what
// every reader takes it for. A key with a fence never gets past it by spelling.

import { describe, expect, test } from 'bun:test'
import { access, ask, clientKey, promiseTests, request, startGate, upstreamAt } from './harness.ts'
import { fine, ScriptedUpstream } from './scripted-upstream.ts'

promiseTests()

const upstream = ScriptedUpstream.start(fine)
const fenced = 'hg_test_fenced-key-0000000000000000001'
const threadsOnly = 'hg_test_threads-key-000000000000000001'
const modelsOnly = 'hg_test_models-key-0000000000000000001'
const gate = await startGate({
  upstreams: [upstreamAt(upstream.url)],
  access: {
    keys: [
      ...access.keys,
      { name: 'fenced', value: fenced, endpoints: ['moderations'] },
      { name: 'models-only', value: modelsOnly, endpoints: ['models'] },
      { name: 'threads-only', value: threadsOnly, endpoints: ['threads'] },
    ],
  },
})

const routes = [
  ['POST', '/v1/chat/completions'],
  ['GET', '/v1/models/gpt-4o'],
  ['GET', '/v1/files/file-abc/content'],
  ['GET', '/v1/organization/admin_api_keys'],
  ['DELETE', '/v1/vector_stores/vs_1/files/file-abc'],
  ['POST', '/v1/some/future/endpoint'],
] as const

/** Ways to write a separator so that some readers see one and others do not. */
const separators = [
  '//', '///', '/./', '/%2e/', '/%2E/', '/x/../', '/x/%2e%2e/', '/x/.%2e/', '/x/%2e./', '/..;/', '/.;/', '/;/', '/;x=1/', ';/', '%2f', '%2F',
  '%252f', '%25252f', '%5c', '%5C', '\\', '/\\', '%255c', '/%00', '%00/', '/%09/', '/%20/', '%c0%af', '%e0%80%af', '%f0%80%80%af',
  '%ef%bc%8f', '%u002f', '%%2f', '%2', '%', '%zz/', '/%2f', '%2f/', '/%0d%0a', '/%0a', '/\t/', '/ /', '/%7f', '/%23/', '/#/', '/%3f',
] // prettier-ignore
/** Ways to end a path so that some readers drop the end. */
const endings = [
  '/', '//', '/.', '/..', '/%2e', '/%2e%2e', '/%2e%2e/', '/../', '/..;/', ';', ';x', ';x=1', '/;', '%00', '%00.json', '%0a', '%0d%0a', '%20', '%09',
  '%2f', '%2f%2e%2e', '%5c', '\\', '%5c..', '.', '..', '%2e', '%', '%2', '%c0%80', '%ff', '%ef%bb%bf', '\0', '\xa0', '\xff', '#', '#/x', '%23', '%3f', '*', '~', '/*',
] // prettier-ignore

/** Every way to write `path` that the lists above give, and some of the whole. */
function variantsOf(path: string): string[] {
  const found = new Set<string>()
  const slashes = [...path.matchAll(/\//g)].map((match) => match.index)
  for (const at of slashes)
    for (const mark of separators) found.add(path.slice(0, at) + mark + path.slice(at + 1))
  for (const end of endings) found.add(path + end)
  found.add(path.toUpperCase())
  found.add(path.replace('/v1', '/V1'))
  found.add(path.replace('/v1', '/v%31'))
  found.add(path.replace('/v1', '/%76%31'))
  found.add(path.replace('/v1', '/v1;x=1'))
  found.add(path.replace('/v1', '/v1.'))
  found.add(path.replace('/v1', ''))
  found.add(path.replace('/v1', '/v2/../v1'))
  found.add(path.replace('/v1', '/v1/moderations/..'))
  found.add(path.replace('/v1/', '/v1/moderations/../'))
  found.add(path.replace('/v1/', '/v1/moderations/%2e%2e/'))
  found.add(path.replace('/v1/', '/v1/moderations%2f..%2f'))
  found.add(path.replace('/v1/', '/v1/moderations;/'))
  found.add(path.replace(/[a-z](?=[a-z_]*$)/, (letter) => letter.toUpperCase()))
  for (const match of path.matchAll(/[a-z]/g)) {
    const escaped = `%${match[0].charCodeAt(0).toString(16)}`
    found.add(path.slice(0, match.index) + escaped + path.slice(match.index + 1))
  }
  found.add(`http://gate.test${path}/../x`)
  found.add(`http://gate.test/%2e${path}`)
  found.add(`//gate.test${path}`)
  found.add(`${path}/${'a'.repeat(9000)}`)
  found.add(path + '/x'.repeat(5000))
  found.delete(path)
  return [...found]
}

function hexOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}

/** What the most lenient of readers makes of a path: everything decoded, then everything resolved. */
function lenient(path: string): string {
  let text = path
  for (let round = 0; round < 3; round++)
    text = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  text = text
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '')
    .toLowerCase()
  const kept: string[] = []
  for (const segment of text.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}`
}

async function sent(method: string, target: string, key: string | null) {
  const seen = upstream.requests.length
  const more =
    method === 'POST'
      ? { lines: ['Content-Type: application/json'], body: '{"model":"gpt-4o"}', key }
      : { key }
  const answer = await ask(gate.port, request(method, target, more))
  return { status: answer.status, reached: upstream.requests.slice(seen) }
}

describe.each(routes)('%s %s', (method, path) => {
  const variants = variantsOf(path)

  test('has about two hundred spellings to try', () => {
    expect(variants.length).toBeGreaterThan(180)
  })

  test('is refused, or passes byte for byte and means one thing', async () => {
    let passed = 0
    for (const variant of variants) {
      const { status, reached } = await sent(method, variant, clientKey)
      if (reached.length === 0) {
        expect({ variant, refused: status >= 400 && status < 500 }).toEqual({ variant, refused: true })
        continue
      }
      passed++
      const { target } = reached[0]!
      expect({ variant, status, target }).toEqual({ variant, status: 200, target: variant })
      expect(new URL(`http://gate.test${target}`).pathname).toBe(target)
      // Nothing is left in it that decoding would turn into structure, but the slash within a model's name.
      const plain = /^\/v1\/models\/[^/]+$/.test(target) ? target.replaceAll(/%2f/gi, '/') : target
      expect({ target, meaning: lenient(target).length }).toEqual({
        target,
        meaning: plain.replace(/%[0-9a-f]{2}/gi, 'x').length,
      })
    }
    expect(passed).toBeGreaterThan(0)
    expect(passed).toBeLessThan(variants.length / 2)
  })

  test('is not reached by a key that is fenced off from it, however it is spelled', async () => {
    for (const variant of [path, ...variants]) {
      const { status, reached } = await sent(method, variant, fenced)
      expect({ variant, reached: reached.map((each) => each.target) }).toEqual({ variant, reached: [] })
      expect(status >= 400 && status < 500).toBe(true)
    }
  })

  test('is not reached without a key, however it is spelled', async () => {
    for (const variant of [path, ...variants]) {
      const { status, reached } = await sent(method, variant, null)
      expect({ variant, reached: reached.map((each) => each.target) }).toEqual({ variant, reached: [] })
      expect([400, 401, 404, 431]).toContain(status)
    }
  })
})

describe('an escape of what needs none', () => {
  const needless = [...'ABCXYZabcrxyz0189-._~;?#/\\%'].map(hexOf).concat('%00', '%09', '%0a', '%1f', '%7f')
  test.each(needless)('%s is refused wherever it stands', async (escape) => {
    for (const written of [escape.toLowerCase(), escape.toUpperCase()]) {
      for (const path of [`/v1/threads/x${written}x`, `/v1/threads/${written}`, `/v1/some/${written}x`]) {
        const { status, reached } = await sent('POST', path, clientKey)
        expect({ path, status, reached: reached.length }).toEqual({ path, status: 400, reached: 0 })
      }
      if (written.toLowerCase() === '%2f') continue
      expect((await sent('GET', `/v1/models/x${written}x`, modelsOnly)).status).toBe(400)
    }
  })

  test.each(['%72uns', 'r%75ns', '%52uns', 'runs%20', 'runs%3b', 'runs%3fx', 'runs%23', 'Runs', 'RUNS'])(
    'and threads/%s is no way to a run for who may only use threads',
    async (id) => {
      const { status, reached } = await sent('POST', `/v1/threads/${id}`, threadsOnly)
      expect([400, 403]).toContain(status)
      expect(reached).toEqual([])
    },
  )

  test.each(['ft%3Agpt-4o%3Aorg', 'model%401', 'my%20model', 'a%2Bb'])(
    'does not touch the model %s, as SDKs write it',
    async (id) => {
      const { status, reached } = await sent('GET', `/v1/models/${id}`, modelsOnly)
      expect({ status, target: reached[0]?.target }).toEqual({ status: 200, target: `/v1/models/${id}` })
    },
  )
})

describe('a model in the path', () => {
  test.each([
    '/v1/models/org%2fmodel',
    '/v1/models/org%2Fmodel%2Ftag',
    '/v1/models/ft:gpt-4o:org::id',
    '/v1/models/model@1',
  ])('may be %s', async (path) => {
    const { status, reached } = await sent('GET', path, modelsOnly)
    expect({ status, targets: reached.map((each) => each.target) }).toEqual({ status: 200, targets: [path] })
  })

  test.each([
    '/v1/models/..%2ffiles',
    '/v1/models/..%2Ffiles%2Ffile-abc',
    '/v1/models/x%2f..%2f..%2ffiles',
    '/v1/models/x%2f..',
    '/v1/models/.%2ffiles',
    '/v1/models/x%2f.%2fy',
    '/v1/models/%2ffiles',
    '/v1/models/%2f%2fother.test',
    '/v1/models/x%2f%2fy',
    '/v1/models/x%2f',
    '/v1/models/%2f',
    '/v1/models/x%2f%2e%2e%2ffiles',
    '/v1/models/x%252f..%252ffiles',
    '/v1/models/x%5c..%5cfiles',
    '/v1/models/x/..%2f..%2ffiles',
    '/v1/files/x%2fcontent',
    '/v1/models%2fgpt-4o',
  ])('may not be %s', async (path) => {
    for (const key of [modelsOnly, clientKey]) {
      const { status, reached } = await sent('GET', path, key)
      expect(reached.map((each) => each.target)).toEqual([])
      expect([400, 403]).toContain(status)
    }
  })
})

test('nothing but /v1 is proxied', async () => {
  for (const path of [
    '/',
    '/v1',
    '/v2/models',
    '/models',
    '/v1x/models',
    '/healthz',
    '/metrics',
    '/api/keys',
    '/.env',
    '/favicon.ico',
  ]) {
    const { status, reached } = await sent('POST', path, clientKey)
    expect({ path, status, reached: reached.length }).toEqual({ path, status: 404, reached: 0 })
  }
})
