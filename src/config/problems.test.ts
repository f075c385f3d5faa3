// What users are told, word for word: a table of wrong files and their messages.

import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { loadConfig } from './load.ts'
import { ConfigProblems } from './problem.ts'
import type { Environment } from './env.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-problems-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function said(text: string | Uint8Array, env: Environment = {}): Promise<string[]> {
  writeFileSync(join(folder, 'headgate.yaml'), text)
  try {
    await loadConfig({ cwd: folder, env })
    return []
  } catch (cause) {
    if (!(cause instanceof ConfigProblems)) throw cause
    return cause.format().split('\n')
  }
}

const upstream = (more: string): string =>
  `upstreams:\n  - name: main\n    provider: openai\n    keys: [k1]\n    ${more}\n`
const clientKey = (more: string): string => `access:\n  keys:\n    - name: web\n      ${more}\n`
const providers =
  'openai, openai-compatible, azure, anthropic, google, vertex, bedrock, cohere, alibaba, cerebras, deepseek, fireworks, groq, ' +
  'lmstudio, mistral, nvidia, ollama, openrouter, perplexity, sambanova, together, vllm, xai, sandbox'
const sha = `sha256:${'0'.repeat(64)}`

const table: Record<string, [text: string, ...messages: string[]]> = {
  'an unknown section': ['sever: {}\n', 'headgate.yaml:1: sever: unknown key (did you mean `server`?)'],
  'an unknown key deep down': [
    upstream('timeouts: { conect: 1s }'),
    'headgate.yaml:5: upstreams[0].timeouts.conect: unknown key (did you mean `connect`?)',
  ],
  'an unknown key like no other': [
    'storage:\n  bucket: x\n',
    'headgate.yaml:2: storage.bucket: unknown key (known here: path, postgres, redis, whenRedisDown, pepper, key)',
  ],
  'a key the provider does not have': [
    'upstreams:\n  - name: a\n    provider: sandbox\n    baseUrl: https://x\n',
    'headgate.yaml:4: upstreams[0].baseUrl: unknown key (known here: name, provider, env, weight, models, limits)',
  ],
  'a section of a later version': [
    'alerts:\n  - { name: burst }\n',
    'headgate.yaml:1: alerts: `alerts` is not supported by this version (0.1.0)',
  ],
  'a limit that limits nothing': [
    'limits:\n  - { name: a, per: key }\n',
    'headgate.yaml:2: limits[0]: limits nothing (give one of: requests, tokens, inputTokens, outputTokens, concurrent, budget)',
  ],
  'a limit on two things': [
    'limits:\n  - name: a\n    requests: 1/1s\n    tokens: 5/1m\n',
    'headgate.yaml:4: limits[0].tokens: limits requests already (write one limit for each)',
  ],
  'a limit for nobody known': [
    'limits:\n  - { name: a, per: tem, requests: 1/1s }\n',
    'headgate.yaml:2: limits[0].per: expected one of: key, user, team, app, address, upstream, model, endpoint, env (did you mean `team`?)',
  ],
  'a window that is too short': [
    'limits:\n  - { name: a, requests: 1/10ms }\n',
    'headgate.yaml:2: limits[0].requests: expected a count and the time it is for, such as 100/1m, 5000/1h or 1000000/month (the time is 1s to 400d, such as 1m or 24h, or hour, day, week, month or year)',
  ],
  'a budget without a currency': [
    'limits:\n  - { name: a, budget: 500/month }\n',
    'headgate.yaml:2: limits[0].budget: expected an amount in dollars and a time (write $500/month, /hour, /day, /week, /year, $5/30d for a sliding window, or $1000 for all time)',
  ],
  'a burst of tokens': [
    'limits:\n  - { name: a, tokens: 10/1s, burst: 5 }\n',
    'headgate.yaml:2: limits[0].burst: needs requests in a window such as 10/1s (leave burst away)',
  ],
  'a budget per address': [
    'limits:\n  - { name: a, per: address, budget: $1/day }\n',
    'headgate.yaml:2: limits[0].per: a budget cannot be per address: the ledger keeps none (use key, user, team or app)',
  ],
  'two limits of one name': [
    'limits:\n  - { name: a, requests: 1/1s }\n  - { name: a, concurrent: 1 }\n',
    'headgate.yaml:3: limits[1].name: another one has this name (names must differ)',
  ],
  'a time zone that is none': [
    'limits:\n  - { name: a, requests: 1/day, tz: Mars/Base }\n',
    'headgate.yaml:2: limits[0].tz: is no time zone of the IANA database, such as Europe/Berlin',
  ],
  'an endpoint that is none, in a limit': [
    'limits:\n  - { name: a, requests: 1/1s, match: { endpoints: [chat] } }\n',
    'headgate.yaml:2: limits[0].match.endpoints[0]: no endpoint has this name (names are as in the SDKs, such as chat.completions)',
  ],
  'Redis that is no Redis': [
    'storage: { redis: "http://x" }\n',
    'headgate.yaml:1: storage.redis: expected redis://host:6379, or rediss:// for TLS',
  ],
  'a setting of a later version': [
    'log: { bodies: full }\n',
    'headgate.yaml:1: log.bodies: `log.bodies` is not supported by this version (0.1.0)',
  ],
  'a mistyped provider': [
    'upstreams:\n  - name: a\n    provider: opnai\n',
    `headgate.yaml:3: upstreams[0].provider: expected one of: ${providers} (did you mean \`openai\`?)`,
  ],
  'no provider': [
    'upstreams:\n  - name: a\n',
    `headgate.yaml:2: upstreams[0].provider: is required (one of: ${providers})`,
  ],
  'no upstream at all': [
    'upstreams: []\n',
    'headgate.yaml:1: upstreams: is an empty list: name at least one upstream, or leave the key away',
  ],
  'openai without keys': [
    'upstreams:\n  - name: a\n    provider: openai\n',
    'headgate.yaml:2: upstreams[0].keys: is required',
  ],
  'openai with an empty list of keys': [
    'upstreams:\n  - name: a\n    provider: openai\n    keys: []\n',
    'headgate.yaml:4: upstreams[0].keys: is an empty list: an openai upstream needs a key, such as ${env:OPENAI_API_KEY}',
  ],
  'openai-compatible without baseUrl': [
    'upstreams:\n  - name: a\n    provider: openai-compatible\n',
    'headgate.yaml:2: upstreams[0].baseUrl: is required',
  ],
  'two upstreams of one name': [
    'upstreams:\n  - { name: a, provider: sandbox }\n  - { name: a, provider: sandbox }\n',
    'headgate.yaml:3: upstreams[1].name: another one has this name (names must differ)',
  ],
  'a name that is none': [
    'upstreams:\n  - { name: Main_1, provider: sandbox }\n',
    'headgate.yaml:2: upstreams[0].name: expected lower-case letters, digits and hyphens, 64 at most',
  ],
  'plain http to another machine, beside another problem': [
    upstream('baseUrl: http://api.example.com/v1\n    proxy: ftp://x'),
    'headgate.yaml:5: upstreams[0].baseUrl: is plain http to another machine: the key and every prompt would cross the network in clear (use https, or set insecureHttp: true)',
    'headgate.yaml:6: upstreams[0].proxy: must begin with http:// (write http://host:port)',
  ],
  'a base URL that is none': [
    upstream('baseUrl: api.example.com'),
    'headgate.yaml:5: upstreams[0].baseUrl: is not a URL (write https://host/v1)',
  ],
  'a base URL with a password': [
    upstream('baseUrl: https://u:p@api.example.com'),
    'headgate.yaml:5: upstreams[0].baseUrl: must not hold a user name or password (credentials belong into keys)',
  ],
  'a base URL with a query': [
    upstream('baseUrl: https://api.example.com/v1?'),
    'headgate.yaml:5: upstreams[0].baseUrl: must not hold a query or a fragment (write https://host/v1)',
  ],
  'a base URL that is an endpoint': [
    upstream('baseUrl: https://api.example.com/v1/chat/completions/'),
    'headgate.yaml:5: upstreams[0].baseUrl: ends in the path of one endpoint (leave /chat/completions away: it comes from the request)',
  ],
  'a key that is the name of a variable': [
    'upstreams:\n  - { name: a, provider: openai, keys: [$OPENAI_API_KEY, { value: $env:KEY }] }\n',
    'headgate.yaml:2: upstreams[0].keys[0]: is the text itself, not the value of an environment variable (did you mean ${env:OPENAI_API_KEY}?)',
    'headgate.yaml:2: upstreams[0].keys[1].value: is the text itself, not the value of an environment variable (did you mean ${env:KEY}?)',
  ],
  'a key with a space': [
    'upstreams:\n  - { name: a, provider: openai, keys: ["a b"] }\n',
    'headgate.yaml:2: upstreams[0].keys[0]: holds a space, a line break or a character outside ASCII: not a usable key',
  ],
  'a key that is a number': [
    'upstreams:\n  - { name: a, provider: openai, keys: [12345] }\n',
    'headgate.yaml:2: upstreams[0].keys[0]: expected a key, or a mapping with value and notAfter',
  ],
  'a date that does not exist': [
    'upstreams:\n  - name: a\n    provider: openai\n    keys:\n      - value: k\n        notAfter: 2027-02-30\n',
    'headgate.yaml:6: upstreams[0].keys[0].notAfter: expected a date (write 2027-01-31, the whole day in UTC, or 2027-01-31T12:00:00Z)',
  ],
  'a duration without a unit': [
    upstream('timeouts: { connect: 10 }'),
    'headgate.yaml:5: upstreams[0].timeouts.connect: expected a duration with a unit, such as 250ms, 10s or 5m',
  ],
  'a duration out of range': [
    'server:\n  timeouts:\n    drain: 400d\n',
    'headgate.yaml:3: server.timeouts.drain: must be between 10ms and 1d',
  ],
  'a size without a unit': [
    'server: { limits: { headerBytes: 32000 } }\n',
    'headgate.yaml:1: server.limits.headerBytes: expected a size with a unit, such as 512B, 32KB or 1GB',
  ],
  'a number that is text': [
    'server: { limits: { headers: many } }\n',
    'headgate.yaml:1: server.limits.headers: expected a whole number',
  ],
  'a number out of range': [
    'server: { limits: { headers: 5000 } }\n',
    'headgate.yaml:1: server.limits.headers: must be between 1 and 1000',
  ],
  'a bare port': [
    'server:\n  listen: "8080"\n',
    'headgate.yaml:2: server.listen: the host is missing (write 127.0.0.1:8080)',
  ],
  'a port in a list that is too high': [
    'server:\n  listen:\n    - 127.0.0.1:80800\n',
    'headgate.yaml:3: server.listen[0]: the port is above 65535 (ports go from 0, any free one, to 65535)',
  ],
  'IPv6 without brackets': [
    'server:\n  listen: ::1:8080\n',
    'headgate.yaml:2: server.listen: an IPv6 address needs brackets (write [::1]:8080)',
  ],
  'one address twice': [
    'server:\n  listen: [127.0.0.1:80, 127.0.0.1:80]\n',
    'headgate.yaml:2: server.listen[1]: this address is in the list twice (keep one of them)',
  ],
  'a URL as public host': [
    'server:\n  publicHosts: [https://api.example.com]\n',
    'headgate.yaml:2: server.publicHosts[0]: expected a host name (write it as it stands in the Host header, without scheme, port, path or wildcard: api.example.com)',
  ],
  'an admin port for everyone': [
    'admin:\n  listen: 0.0.0.0:8081\n',
    'headgate.yaml:2: admin.listen: can be reached by others, and no admin token is configured (set admin.token: ${env:HEADGATE_ADMIN_TOKEN}, or listen on 127.0.0.1:8081)',
  ],
  'an admin token that can be guessed, on an open port': [
    'admin:\n  listen: 0.0.0.0:8081\n  token: short\n',
    'headgate.yaml:3: admin.token: is shorter than 16 characters and can be guessed (leave it away, and one is made at the first start)',
  ],
  'admin tokens that are one another, or a client key': [
    'access: { keys: [{ name: a, value: the-same-secret-01 }] }\nadmin:\n  token: the-same-secret-02\n  tokens:\n' +
      '    - { name: ann, value: the-same-secret-01 }\n    - { name: ann, value: the-same-secret-02 }\n',
    'headgate.yaml:5: admin.tokens[0]: is the same secret as access.keys[0] (each needs a token of its own)',
    'headgate.yaml:6: admin.tokens[1]: is the same secret as admin.token (each needs a token of its own)',
    'headgate.yaml:6: admin.tokens[1].name: another one has this name (names must differ)',
  ],
  'an admin token without a secret, with two, and of an unknown role': [
    'admin:\n  tokens:\n    - { name: a }\n    - { name: b, value: some-secret-of-16, hash: "sha256:' +
      'a'.repeat(64) +
      '" }\n    - { name: c, role: root, value: some-secret-of-17 }\n',
    'headgate.yaml:3: admin.tokens[0]: needs either hash or value (value: ${env:NAME})',
    'headgate.yaml:4: admin.tokens[1]: has both hash and value (keep hash)',
    'headgate.yaml:5: admin.tokens[2].role: expected admin or viewer',
  ],
  'an admin host with a port': [
    'admin:\n  publicHosts: ["admin.example.com:8081"]\n',
    'headgate.yaml:2: admin.publicHosts[0]: expected a host name or address, without port',
  ],
  'an upstream of an environment that is none': [
    'upstreams:\n  - { name: a, provider: sandbox, env: Prod! }\n',
    'headgate.yaml:2: upstreams[0].env: expected lower-case letters, digits and hyphens, 32 at most',
  ],
  'an admin port that the proxy has': [
    'server: { listen: 0.0.0.0:8081 }\nadmin: { listen: 127.0.0.1:8081 }\n',
    'headgate.yaml:2: admin.listen: the proxy port has this address already (give the admin port another port)',
  ],
  'an open door': [
    'server: { listen: 0.0.0.0:8080 }\naccess:\n  anonymous: allow\n',
    'headgate.yaml:3: access.anonymous: lets anyone who reaches 0.0.0.0:8080 spend your upstream keys (listen on 127.0.0.1 only, or confirm with iKnow: true)',
  ],
  'an open door beside another problem': [
    'server: { listen: 0.0.0.0:8080 }\naccess: { anonymous: allow }\nlog: { keep: -1 }\n',
    'headgate.yaml:2: access.anonymous: lets anyone who reaches 0.0.0.0:8080 spend your upstream keys (listen on 127.0.0.1 only, or confirm with iKnow: true)',
    'headgate.yaml:3: log.keep: must be between 0 and 1000',
  ],
  'a mistyped word': [
    'access:\n  anonymous: alow\n',
    'headgate.yaml:2: access.anonymous: expected deny or allow (did you mean `allow`?)',
  ],
  'a client key with neither hash nor value': [
    clientKey('team: core'),
    'headgate.yaml:3: access.keys[0]: needs either hash or value (`headgate init` makes a key and its hash)',
  ],
  'a client key with both': [
    clientKey(`hash: ${sha}\n      value: some-long-client-key`),
    'headgate.yaml:3: access.keys[0]: has both hash and value (keep hash)',
  ],
  'a hash that is none': [
    clientKey('hash: sha256:abc'),
    'headgate.yaml:4: access.keys[0].hash: expected sha256: and 64 hex digits',
  ],
  'two entries for one client key': [
    `access:\n  keys:\n    - { name: a, hash: "${sha}" }\n    - { name: b, hash: "${sha}" }\n`,
    'headgate.yaml:4: access.keys[1]: is the same key as access.keys[0] (each entry needs a key of its own)',
  ],
  'an endpoint nobody knows': [
    clientKey(`hash: ${sha}\n      endpoints: [chat.completion]`),
    'headgate.yaml:5: access.keys[0].endpoints[0]: no endpoint has this name (did you mean `chat.completions`?)',
  ],
  'a list of models that refuses all': [
    clientKey(`hash: ${sha}\n      models: []`),
    'headgate.yaml:5: access.keys[0].models: is an empty list, which would refuse every model: leave the key away to allow all',
  ],
  'a list where a mapping belongs': [
    'server: [1]\n',
    'headgate.yaml:1: server: expected a mapping of settings',
  ],
  'a file that is a list': ['- a\n- b\n', 'headgate.yaml:1: expected a mapping of settings'],
  'a file that is a word': ['hello\n', 'headgate.yaml:1: expected a mapping of settings'],
  '__proto__ as a key': [
    '__proto__: { polluted: 1 }\n',
    'headgate.yaml:1: unknown key in this mapping (known here: server, admin, storage, upstreams, routes, access, cache, meter, limits, log)',
  ],

  'an unset variable': [
    'upstreams:\n  - { name: a, provider: openai, keys: [ ${env:NOPE} ] }\n',
    'headgate.yaml:2: upstreams[0].keys[0]: environment variable NOPE is not set (set it, or give a default: ${env:NOPE:-…})',
  ],
  'an empty variable': [
    'upstreams:\n  - name: a\n    provider: openai\n    keys:\n      - ${env:EMPTY}\n',
    'headgate.yaml:5: upstreams[0].keys[0]: is empty; the value comes from ${env:EMPTY}',
  ],
  'a variable with the wrong thing in it': [
    'server:\n  listen: ${env:WORD}\n',
    'headgate.yaml:2: server.listen: expected host:port; the value comes from ${env:WORD} (such as 127.0.0.1:8080 or [::1]:8080)',
  ],
  'a shell-style reference': [
    'server:\n  listen: ${PORT}\n',
    'headgate.yaml:2: server.listen: an unknown kind of reference (write ${env:PORT}, or $${ for the text itself)',
  ],
  'a reference that stays open': [
    'server:\n  listen: "${env:PORT"\n',
    'headgate.yaml:2: server.listen: a reference ${… is not closed (add the }, or write $${ for the text itself)',
  ],
  'a variable name that is none': [
    'server:\n  listen: ${env:MY-PORT}\n',
    'headgate.yaml:2: server.listen: not the name of an environment variable (write ${env:NAME} or ${env:NAME:-default})',
  ],
  'a file that is not there': [
    'upstreams:\n  - { name: a, provider: openai, keys: ["${file:/nowhere/key}"] }\n',
    'headgate.yaml:2: upstreams[0].keys[0]: cannot read ${file:/nowhere/key}: no such file',
  ],
  'a command that fails': [
    'upstreams:\n  - { name: a, provider: openai, keys: ["${command:echo secret; echo sealed >&2; exit 2}"] }\n',
    'headgate.yaml:2: upstreams[0].keys[0]: the command ended with exit code 2: sealed',
  ],
}

for (const [name, [text, ...messages]] of Object.entries(table)) {
  test(name, async () => {
    expect(await said(text, { EMPTY: '', WORD: 'word' })).toEqual(messages)
  })
}

test('a file from Windows or with a byte order mark has the same lines', async () => {
  const wrong = 'log:\r\n  keep: 1\r\n  kepe: 2\r\n'
  const message = 'headgate.yaml:3: log.kepe: unknown key (did you mean `keep`?)'
  expect(await said(wrong)).toEqual([message])
  expect(await said(`\uFEFF${wrong}`)).toEqual([message])
})

test('all problems are said at once, in the order of the file', async () => {
  const text = `server:
  listen: nowhere
  limits: { headers: 0 }
upstreams:
  - name: a
    provider: openai
    keys: [ "\${env:NOPE}" ]
    timeouts: { idle: soon }
  - name: b
    provider: nobody
access:
  keys: [ { name: x } ]
log: { formt: json, rotate: 1 }
`
  const lines = (await said(text)).map((line) => line.split(': ').slice(0, 2).join(' '))
  expect(lines).toEqual([
    'headgate.yaml:2 server.listen',
    'headgate.yaml:3 server.limits.headers',
    'headgate.yaml:7 upstreams[0].keys[0]',
    'headgate.yaml:8 upstreams[0].timeouts.idle',
    'headgate.yaml:10 upstreams[1].provider',
    'headgate.yaml:12 access.keys[0]',
    'headgate.yaml:13 log.formt',
    'headgate.yaml:13 log.rotate',
  ])
})

test('what is too deep, too long or not text is refused in one line', async () => {
  expect(await said('['.repeat(50_000))).toHaveLength(1)
  expect(await said(`server: ${'{a: '.repeat(40)}1${'}'.repeat(40)}\n`)).toContain(
    `headgate.yaml:1: server.${Array(32).fill('a').join('.')}: is nested too deeply or too large`,
  )
  expect(await said(`# ${'x'.repeat(1024 * 1024)}\n`)).toEqual([
    'headgate.yaml: cannot read the file: it is larger than 1024 KB',
  ])
  expect(await said(new Uint8Array([0xff, 0xfe, 0x61, 0x00]))).toEqual([
    'headgate.yaml: cannot read the file: it is not UTF-8 text',
  ])
})

test('random text is either a configuration or a list of problems, never anything else', async () => {
  const word = fc.constantFrom(
    ...[
      'server',
      'upstreams',
      'access',
      'keys',
      'name',
      'listen',
      '- ',
      ': ',
      '\n',
      '\n  ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '&a',
      '*a',
    ],
    ...[
      '${',
      '}',
      '${env:A}',
      '$${',
      '${file:',
      '!!set ',
      '? ',
      '|\n',
      '>-\n',
      '<<: ',
      '#',
      '---\n',
      '%',
      '\t',
      '\0',
      '\uE000',
      '\uD800',
      '0x1',
      'null',
    ],
  )
  const text = fc.oneof(
    fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  )
  await fc.assert(
    fc.asyncProperty(text, async (junk) => {
      const lines = await said(junk)
      for (const line of lines) expect(line).toStartWith('headgate.yaml')
    }),
    { numRuns: 400 },
  )
}, 60_000)
