import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../base/secret.ts'
import { loadConfig } from './load.ts'
import { ConfigProblems, formatProblem } from './problem.ts'
import type { Config } from './schema.ts'

const made: string[] = []
afterAll(() => made.forEach((folder) => rmSync(folder, { recursive: true })))

function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-load-'))
  made.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

async function problemsOf(loading: Promise<unknown>): Promise<string> {
  const cause = await loading.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(cause instanceof ConfigProblems)) throw new Error('expected ConfigProblems', { cause })
  return cause.format()
}

const openaiDefaults = {
  env: null,
  weight: 1,
  models: null,
  baseUrl: 'https://api.openai.com/v1',
  insecureHttp: false,
  organization: null,
  project: null,
  timeouts: { connect: 10_000, firstByte: 60_000, firstToken: 86_400_000, idle: 60_000, total: 600_000 },
  keepAlive: { idle: 60_000, maxIdle: 32 },
  tls: { caFile: null },
  includeUsage: true,
  onClientGone: { drain: null },
  proxy: null,
}

const idempotency = { enabled: false, ttl: 86_400_000, maxBytes: 1024 * 1024 }

/** Defaults of who may call, from where. */
const openCallers = {
  jwt: [],
  onRevoke: 'finish' as const,
  onExpire: 'finish' as const,
  objects: {
    owner: 'team' as const,
    unknown: 'deny' as const,
    sockets: 'refuse' as const,
    keep: 34_560_000_000,
  },
  addresses: { allow: [], deny: [] },
  userAgents: { allow: [], deny: [] },
  identity: { userHeader: 'x-headgate-user', appHeader: 'x-headgate-app' },
  guessing: { failures: { count: 600, windowMs: 60_000 } },
}
const noProxies = {
  trustedProxies: [],
  proxyProtocol: 'off' as const,
  overload: { mode: 'shed' as const, delay: 50 },
}

const noCache: Config['cache'] = {
  mode: 'off',
  ttl: 86_400_000,
  jitter: 0.05,
  rules: [],
  scope: 'key',
  onlyWhen: {},
  normalize: { whitespace: false, sortMessages: false, ignore: [], defaults: true },
  headers: [],
  stateful: false,
  coalesce: true,
  coalesceAcross: 0,
  staleIfError: 0,
  staleWhileRevalidate: 0,
  store: { memory: 268_435_456, disk: 0, inactive: 86_400_000, entry: 8_388_608, redis: true },
  replay: 'instant',
  record: false,
}

function defaults(folder: string): Config {
  return {
    server: {
      listen: [{ hostname: '127.0.0.1', port: 8080 }],
      publicHosts: [],
      ...noProxies,
      limits: {
        headerBytes: 32_768,
        headers: 100,
        jsonBodyBytes: 33_554_432,
        uploadBytes: 1_073_741_824,
        connectionsPerAddress: 1000,
      },
      timeouts: { header: 10_000, idle: 60_000, drain: 600_000 },
    },
    admin: { listen: { hostname: '127.0.0.1', port: 8081 }, tokens: [], publicHosts: [] },
    storage: { path: join(folder, '.headgate'), whenRedisDown: 'local' },
    limits: [],
    upstreams: [{ name: 'sandbox', provider: 'sandbox', env: null, weight: 1, models: null }],
    routes: [],
    access: { ...openCallers, anonymous: 'deny', iKnow: false, keys: [] },
    cache: noCache,
    meter: { durability: 'process', retention: 400 * 86_400_000, prices: null, idempotency },
    log: { file: join(folder, '.headgate', 'access.log'), format: 'auto', rotate: 104_857_600, keep: 14 },
  }
}

test('without a file the defaults hold, and the sandbox serves', async () => {
  const folder = folderWith({})
  const loaded = await loadConfig({ cwd: folder, env: {} })
  expect(loaded.config).toEqual(defaults(folder))
  expect([loaded.file, loaded.watched, loaded.warnings]).toEqual([null, [], []])
})

test('with OPENAI_API_KEY and no upstreams, OpenAI serves', async () => {
  for (const files of [
    {},
    { 'headgate.yaml': 'log: { keep: 3 }\n' },
    { 'headgate.yaml': 'upstreams:\n' },
  ] as Record<string, string>[]) {
    const { config } = await loadConfig({ cwd: folderWith(files), env: { OPENAI_API_KEY: 'k1' } })
    expect(config.upstreams).toEqual([
      {
        name: 'openai',
        provider: 'openai',
        keys: [{ value: new Secret('k1'), notAfter: null }],
        ...openaiDefaults,
      },
    ])
    expect((config.upstreams[0] as { keys: { value: Secret }[] }).keys[0]?.value.reveal()).toBe('k1')
  }
  const { config } = await loadConfig({ cwd: folderWith({}), env: { OPENAI_API_KEY: ' ' } })
  expect(config.upstreams).toEqual([
    { name: 'sandbox', provider: 'sandbox', env: null, weight: 1, models: null },
  ])
  const folder = folderWith({})
  expect(await problemsOf(loadConfig({ cwd: folder, env: { OPENAI_API_KEY: 'a b' } }))).toBe(
    'upstreams[0].keys[0]: holds a space, a line break or a character outside ASCII: not a usable key; the value comes from ${env:OPENAI_API_KEY}',
  )
})

test('an empty file, or one of comments and empty sections, means the defaults', async () => {
  for (const text of ['', '\n', '# nothing\n', '---\n', 'server:\naccess:\n  keys:\n', '{}']) {
    const folder = folderWith({ 'headgate.yaml': text })
    const loaded = await loadConfig({ cwd: folder, env: {} })
    expect([text, loaded.config, loaded.empty]).toEqual([text, defaults(folder), true])
  }
})

test('a file with a setting, or none at all, is not an empty one', async () => {
  for (const files of [
    {},
    { 'headgate.yaml': 'log: { keep: 14 }\n' },
    { 'headgate.yaml': 'access: { keys: [] }\n' },
  ] as Record<string, string>[]) {
    expect((await loadConfig({ cwd: folderWith(files), env: {} })).empty).toBe(false)
  }
})

test('what is well formed and can hardly be meant is a warning', async () => {
  const text = `upstreams:
  - { name: a, provider: openai-compatible, baseUrl: "http://127.0.0.1:8000/" }
access:
  keys:
    - { name: b, value: $DEV_CLIENT_KEY_OF_MINE }
`
  const { warnings } = await loadConfig({ cwd: folderWith({ 'headgate.yaml': text }), env: {} })
  expect(warnings.map(formatProblem)).toEqual([
    'headgate.yaml:2: warning: upstreams[0].baseUrl: has no path: most servers have their API below /v1 (write https://host/v1)',
    'headgate.yaml:5: warning: access.keys[0].value: is the text itself, not the value of an environment variable (did you mean ${env:DEV_CLIENT_KEY_OF_MINE}?)',
  ])
})

test('each line of several problems has the prefix', async () => {
  const folder = folderWith({ 'headgate.yaml': 'lgo: {}\nlog: { kep: 1 }\n' })
  const cause = await loadConfig({ cwd: folder, env: {} }).catch((thrown: unknown) => thrown)
  expect((cause as ConfigProblems).format('headgate: ')).toBe(
    'headgate: headgate.yaml:1: lgo: unknown key (did you mean `log`?)\n' +
      'headgate: headgate.yaml:2: log.kep: unknown key (did you mean `keep`?)',
  )
})

test('everything that can be set comes out in the units of the code', async () => {
  const folder = folderWith({
    'ca.pem': '',
    'headgate.yaml': `
server:
  listen: [127.0.0.1:0, "[::1]:9000", gate.internal:80]
  publicHosts: [API.example.com, "[::1]"]
  limits: { headerBytes: 16KB, headers: 50, jsonBodyBytes: 1.5MB, uploadBytes: 2GB, connectionsPerAddress: 10 }
  timeouts: { header: 500ms, idle: 5m, drain: 1h }
admin: { listen: localhost:0 }
storage: { path: data }
upstreams:
  - name: main
    provider: openai
    baseUrl: http://127.0.0.1:9/v1/
    keys: [ k1, { value: "\${env:K2}", notAfter: 2027-01-01 }, { value: k3, notAfter: "2027-01-01T12:00:00+02:00" } ]
    organization: org-1
    project: proj_1
    timeouts: { connect: 1s, firstByte: 2s, idle: 3s, total: 4s }
    keepAlive: { idle: 5s, maxIdle: 6 }
    tls: { caFile: ca.pem }
    proxy: http://egress:3128/
  - { name: local, provider: openai-compatible, baseUrl: http://vllm.internal:8000/v1, insecureHttp: true }
  - { name: toy, provider: sandbox }
access:
  anonymous: allow
  iKnow: true
  keys:
    - { name: web, hash: "sha256:${'a'.repeat(64)}", team: core, app: web, user: null, env: prod, models: [gpt-4o*], endpoints: [embeddings] }
    - { name: dev, value: a-client-key-of-some-length }
log: { file: logs/access.log, format: json, rotate: 1MB, keep: 2 }
`,
  })
  const { config, watched } = await loadConfig({ cwd: folder, env: { K2: 'k2' } })
  const nobody = { team: null, app: null, user: null, env: null, mayName: false }
  expect(config).toEqual({
    server: {
      listen: [
        { hostname: '127.0.0.1', port: 0 },
        { hostname: '::1', port: 9000 },
        { hostname: 'gate.internal', port: 80 },
      ],
      publicHosts: ['api.example.com', '[::1]'],
      ...noProxies,
      limits: {
        headerBytes: 16_384,
        headers: 50,
        jsonBodyBytes: 1_572_864,
        uploadBytes: 2_147_483_648,
        connectionsPerAddress: 10,
      },
      timeouts: { header: 500, idle: 300_000, drain: 3_600_000 },
    },
    admin: { listen: { hostname: 'localhost', port: 0 }, tokens: [], publicHosts: [] },
    storage: { path: join(folder, 'data'), whenRedisDown: 'local' },
    limits: [],
    upstreams: [
      {
        name: 'main',
        provider: 'openai',
        baseUrl: 'http://127.0.0.1:9/v1',
        keys: [
          { value: new Secret('k1'), notAfter: null },
          { value: new Secret('k2'), notAfter: Date.UTC(2027, 0, 2) - 1 },
          { value: new Secret('k3'), notAfter: Date.UTC(2027, 0, 1, 10) },
        ],
        env: null,
        weight: 1,
        models: null,
        insecureHttp: false,
        organization: 'org-1',
        project: 'proj_1',
        timeouts: { connect: 1000, firstByte: 2000, firstToken: 86_400_000, idle: 3000, total: 4000 },
        keepAlive: { idle: 5000, maxIdle: 6 },
        tls: { caFile: join(folder, 'ca.pem') },
        includeUsage: true,
        onClientGone: { drain: null },
        proxy: 'http://egress:3128',
      },
      {
        name: 'local',
        provider: 'openai-compatible',
        ...openaiDefaults,
        baseUrl: 'http://vllm.internal:8000/v1',
        keys: [],
        insecureHttp: true,
      },
      { name: 'toy', provider: 'sandbox', env: null, weight: 1, models: null },
    ],
    routes: [],
    access: {
      ...openCallers,
      anonymous: 'allow',
      iKnow: true,
      keys: [
        {
          name: 'web',
          hash: `sha256:${'a'.repeat(64)}`,
          ...nobody,
          team: 'core',
          app: 'web',
          env: 'prod',
          models: ['gpt-4o*'],
          endpoints: ['embeddings'],
        },
        { name: 'dev', value: new Secret('a-client-key-of-some-length'), ...nobody },
      ],
    },
    cache: noCache,
    meter: { durability: 'process', retention: 400 * 86_400_000, prices: null, idempotency },
    log: { file: join(folder, 'logs', 'access.log'), format: 'json', rotate: 1_048_576, keep: 2 },
  })
  expect(watched).toEqual([join(folder, 'headgate.yaml'), join(folder, 'ca.pem')])
})

test('files of token issuers are absolute and watched', async () => {
  const jwt = '{ issuer: a, audience: b, jwksFile: keys.json, tls: { caFile: ca.pem } }'
  const folder = folderWith({ 'headgate.yaml': `access: { jwt: [${jwt}] }\n` })
  const { config, watched } = await loadConfig({ cwd: folder, env: {} })
  const [keys, ca] = [join(folder, 'keys.json'), join(folder, 'ca.pem')]
  expect(config.access.jwt[0]).toMatchObject({ jwksFile: keys, tls: { caFile: ca }, algorithms: ['RS256'] })
  expect(watched).toEqual([join(folder, 'headgate.yaml'), keys, ca])
})

test('numbers and yes/no may come from references', async () => {
  const text =
    'server: { limits: { headers: "${env:N}" } }\naccess: { iKnow: "${env:YES}" }\nlog: { keep: "5" }\n'
  const folder = folderWith({ 'headgate.yaml': text })
  expect(await problemsOf(loadConfig({ cwd: folder, env: { N: '7', YES: 'true' } }))).toBe(
    'headgate.yaml:3: log.keep: expected a whole number',
  )
  writeFileSync(join(folder, 'headgate.yaml'), text.replace('"5"', '5'))
  const { config } = await loadConfig({ cwd: folder, env: { N: '7', YES: 'true' } })
  expect([config.server.limits.headers, config.access.iKnow]).toEqual([7, true])
  expect(await problemsOf(loadConfig({ cwd: folder, env: { N: 'x', YES: '1' } }))).toBe(
    'headgate.yaml:1: server.limits.headers: expected a whole number; the value comes from ${env:N}\n' +
      'headgate.yaml:2: access.iKnow: expected true or false; the value comes from ${env:YES}',
  )
})

test('HEADGATE_ADMIN_TOKEN is the admin token where the file names none', async () => {
  const token = async (text: string) => {
    const env = { HEADGATE_ADMIN_TOKEN: 'token-of-the-environment' }
    const { config } = await loadConfig({ cwd: folderWith({ 'headgate.yaml': text }), env })
    return [config.admin.token?.reveal(), config.admin.listen.port, config.admin.tokens.length]
  }
  expect(await token('')).toEqual(['token-of-the-environment', 8081, 0])
  expect(await token('admin: { listen: 0.0.0.0:9 }')).toEqual(['token-of-the-environment', 9, 0])
  expect(await token('admin: { token: token-of-the-file }')).toEqual(['token-of-the-file', 8081, 0])
  const people = 'admin: { tokens: [{ name: ann, value: token-of-the-list }] }'
  expect(await token(people)).toEqual([undefined, 8081, 1])
})

test('a load that keeps the text, or what commands gave, reads only the rest', async () => {
  const text =
    'log: { keep: ${env:N} }\nstorage: { path: "${file:path}" }\naccess: { keys: [{ name: a, value: "${command:echo x >> runs; cat runs | wc -l}-key-of-some-length" }] }\n'
  const folder = folderWith({ 'headgate.yaml': text, path: 'one' })
  const first = await loadConfig({ cwd: folder, env: { N: '1' } })
  expect(first.secretFiles).toEqual([join(folder, 'path')])
  writeFileSync(join(folder, 'headgate.yaml'), 'nonsense: 1')
  writeFileSync(join(folder, 'path'), 'two')
  const second = await loadConfig({ cwd: folder, env: { N: '2' }, commandsOf: first, textOf: first })
  const told = ({ config }: typeof first) => [
    config.log.keep,
    config.storage.path,
    config.access.keys[0]!.value!.reveal(),
  ]
  expect(told(first)).toEqual([1, join(folder, 'one'), '1-key-of-some-length'])
  expect(told(second)).toEqual([2, join(folder, 'two'), '1-key-of-some-length'])
  writeFileSync(join(folder, 'headgate.yaml'), text)
  const third = await loadConfig({ cwd: folder, env: { N: '3' }, commandsOf: second })
  expect(told(third)[2]).toBe('1-key-of-some-length')
  const fourth = await loadConfig({ cwd: folder, env: { N: '4' } })
  expect(told(fourth)[2]).toBe('2-key-of-some-length')
})

test('anchors, aliases and merge keys work', async () => {
  const text = `upstreams:
  - &one { name: one, provider: openai-compatible, baseUrl: "https://a/v1", timeouts: &t { connect: 1s } }
  - { <<: *one, name: two, timeouts: *t }
`
  const { config } = await loadConfig({ cwd: folderWith({ 'headgate.yaml': text }), env: {} })
  expect(config.upstreams.map(({ name }) => name)).toEqual(['one', 'two'])
  expect(config.upstreams.map((upstream) => 'timeouts' in upstream && upstream.timeouts.connect)).toEqual([
    1000, 1000,
  ])
})

test('the command line and the environment come before the file', async () => {
  const folder = folderWith({ 'headgate.yaml': 'server: { listen: 127.0.0.1:1 }\nstorage: { path: a }\n' })
  const data = async (options: object): Promise<string> =>
    (await loadConfig({ cwd: folder, env: {}, ...options })).config.storage.path
  expect(await data({})).toBe(join(folder, 'a'))
  expect(await data({ env: { HEADGATE_DATA: 'b' } })).toBe(join(folder, 'b'))
  expect(await data({ env: { HEADGATE_DATA: '/b' }, data: 'c' })).toBe(join(folder, 'c'))
  const { config } = await loadConfig({ cwd: folder, env: {}, listen: '[::1]:0' })
  expect(config.server.listen).toEqual([{ hostname: '::1', port: 0 }])
  expect(await problemsOf(loadConfig({ cwd: folder, env: {}, listen: '8080' }))).toBe(
    '--listen: the host is missing (write 127.0.0.1:8080)',
  )
  writeFileSync(join(folder, 'headgate.yaml'), 'access: { anonymous: allow }\n')
  expect(await problemsOf(loadConfig({ cwd: folder, env: {}, listen: '0.0.0.0:80' }))).toStartWith(
    'headgate.yaml:1: access.anonymous: lets anyone who reaches 0.0.0.0:80',
  )
})

test('paths in the file count from its folder, the default data directory from where the user stands', async () => {
  const folder = folderWith({})
  mkdirSync(join(folder, 'etc'))
  writeFileSync(join(folder, 'etc', 'gate.yaml'), 'log: { file: ../access.log }\n')
  const { config } = await loadConfig({ cwd: folder, env: {}, file: 'etc/gate.yaml' })
  expect([config.storage.path, config.log.file]).toEqual([
    join(folder, '.headgate'),
    join(folder, 'access.log'),
  ])
  writeFileSync(join(folder, 'etc', 'gate.yaml'), 'log: { file: stdout }\nstorage: { path: data }\n')
  const other = await loadConfig({ cwd: folder, env: {}, file: 'etc/gate.yaml' })
  expect([other.config.storage.path, other.config.log.file]).toEqual([join(folder, 'etc', 'data'), null])
})

test('the first of the usual names is taken', async () => {
  const folder = folderWith({
    'headgate.yml': 'log: { keep: 2 }\n',
    'headgate.config.ts': 'export default { log: { keep: 3 } }\n',
  })
  const keep = async (): Promise<number> => (await loadConfig({ cwd: folder, env: {} })).config.log.keep
  expect(await keep()).toBe(2)
  const warnings = async (file?: string): Promise<string[]> =>
    (await loadConfig({ cwd: folder, env: {}, file })).warnings.map(formatProblem)
  expect(await warnings()).toEqual([
    'headgate.config.ts: warning: is not read: another configuration file comes first (remove one of them, or name one with --config)',
  ])
  expect(await warnings('headgate.yml')).toEqual([])
  rmSync(join(folder, 'headgate.yml'))
  expect(await keep()).toBe(3)
  writeFileSync(join(folder, 'headgate.yaml'), 'log: { keep: 1 }\n')
  expect(await keep()).toBe(1)
})

test('a file that cannot be read is one clear line', async () => {
  const folder = folderWith({})
  expect(await problemsOf(loadConfig({ cwd: folder, env: {}, file: 'gate.yaml' }))).toBe(
    'gate.yaml: cannot read the file: no such file',
  )
  expect(await problemsOf(loadConfig({ cwd: folder, env: {}, file: 'headgate.yaml' }))).toBe(
    'headgate.yaml: cannot read the file: no such file (`headgate init` writes one)',
  )
  expect(await problemsOf(loadConfig({ cwd: folder, env: {}, file: tmpdir() }))).toBe(
    `${tmpdir()}: cannot read the file: it is a directory`,
  )
})

test('files named by references are watched', async () => {
  const folder = folderWith({
    key: 'k1\n',
    'headgate.yaml':
      'upstreams: [ { name: a, provider: openai, keys: [ "${file:key}", "${file:./key}" ] } ]\n',
  })
  const { watched } = await loadConfig({ cwd: folder, env: {} })
  expect(watched).toEqual([join(folder, 'headgate.yaml'), join(folder, 'key')])
})

test('a live-looking key in the file is a warning, and an error where git tracks the file', async () => {
  const key = `sk-proj-${'Ab3'.repeat(12)}`
  const folder = folderWith({
    'headgate.yaml': `upstreams:\n  - name: a\n    provider: openai\n    keys: [${key}]\n    # keys: [${key}]\n`,
  })
  const { warnings } = await loadConfig({ cwd: folder, env: {} })
  expect(warnings.map(({ line, severity, message }) => [line, severity, message])).toEqual([
    [4, 'warning', 'holds what looks like an OpenAI key'],
    [5, 'warning', 'holds what looks like an OpenAI key'],
  ])
  await Bun.$`git init -q && git add headgate.yaml`.cwd(folder).quiet()
  const said = await problemsOf(loadConfig({ cwd: folder, env: {} }))
  expect(said.split('\n')[0]).toBe(
    'headgate.yaml:4: holds what looks like an OpenAI key, and git tracks this file ' +
      '(write ${env:NAME} or ${file:/path} in its place, and change the key: git keeps the old text)',
  )
  expect(said).not.toContain(key)
})
