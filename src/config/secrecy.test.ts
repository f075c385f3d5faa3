// No message of a configuration repeats a secret: whatever shape it has, however wrong the place it stands in, and
// whichever way it came in.

import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { loadConfig } from './load.ts'
import { ConfigProblems } from './problem.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-secrecy-'))
afterAll(() => rmSync(folder, { recursive: true }))

const canary = 'canary8d71f0c3'
const number = '730119284455'
writeFileSync(join(folder, 'secret'), canary)

async function problems(text: string): Promise<ConfigProblems> {
  writeFileSync(join(folder, 'headgate.yaml'), text)
  const env = { CANARY: canary, SPACED: `${canary} ${canary}`, NUMBER: number }
  const outcome = await loadConfig({ cwd: folder, env }).catch((cause: unknown) => cause)
  if (outcome instanceof ConfigProblems) return outcome
  throw new Error('the configuration was accepted')
}

const keys = (value: string): string => `upstreams:\n  - name: a\n    provider: openai\n    keys: ${value}\n`
const places: string[] = [
  // Wrong where a key belongs.
  keys(`[${number}]`),
  keys(`[[${canary}]]`),
  keys(`[{ ${canary}: 1 }]`),
  keys(`[{ value: [${canary}] }]`),
  keys(`[{ value: { ${canary}: ${canary} } }]`),
  keys(`[{ value: ${number} }]`),
  keys(`[{ key: ${canary} }]`),
  keys(canary),
  keys(`{ ${canary}: ${canary} }`),
  keys(`["${canary} ${canary}"]`),
  keys(`["\${env:SPACED}"]`),
  keys(`["\${env:CANARY}\\u0001"]`),
  keys(`["\${command:echo ${canary}; exit 1}"]`),
  keys(`["\${command:echo ${canary}"]`),
  keys(`["\${${canary}-}"]`),
  keys(`[{ value: x, notAfter: ${canary} }]`),
  // Filled in where something else belongs.
  ...[
    'server.listen',
    'server.limits.headers',
    'server.timeouts.header',
    'admin.listen',
    'log.format',
    'log.rotate',
    'access.anonymous',
    'access.iKnow',
    'access.keys',
  ].flatMap((path) =>
    ['${env:CANARY}', '${file:secret}', `\${command:echo ${canary}}`, canary].map((value) => {
      const steps = path.split('.')
      return `${steps.map((step, depth) => `${'  '.repeat(depth)}${step}:`).join('\n')} ${value}\n`
    }),
  ),
  ...['name', 'provider', 'baseUrl', 'proxy', 'organization', 'insecureHttp', 'timeouts'].map((key) =>
    `upstreams:\n  - name: a\n    provider: openai\n    keys: [k]\n    ${key}: "\${env:SPACED}"\n`.replace(
      key === 'name' ? /name: a\n {4}/ : key === 'provider' ? /provider: openai\n {4}/ : '',
      '',
    ),
  ),
  `access:\n  keys: [{ name: a, value: ${number} }]\n`,
  `access:\n  keys: [{ name: a, hash: ${canary} }]\n`,
  `access:\n  keys: [{ name: a, value: [${canary}] }]\n`,
  `access:\n  keys: [${canary}]\n`,
  `access:\n  keys: [{ name: ${canary}!, value: ${canary} }]\n`,
  // Broken YAML around a key.
  keys(`["${canary}]`),
  keys(`[${canary}: x: y]`),
  keys(`\n\t- ${canary}`),
  `${canary}\n${keys('[x]')}`,
  `upstreams: *${canary}\n`,
  `upstreams: !${canary} []\n`,
  `${canary}: 1\n${canary}: 2\n`,
  keys(`"\\${canary}"`),
]

test('no message repeats a secret', async () => {
  for (const text of places) {
    const found = await problems(text)
    for (const said of [found.format(), found.message, inspect(found), JSON.stringify(found.problems)]) {
      expect([text, said.includes(canary) || said.includes(number)]).toEqual([text, false])
    }
  }
})

test('a loaded configuration prints no secret', async () => {
  const more = `access: { keys: [ { name: a, value: "\${file:secret}" } ] }\n`
  writeFileSync(join(folder, 'headgate.yaml'), keys(`["\${env:CANARY}", { value: ${canary}2 }]`) + more)
  const { config } = await loadConfig({ cwd: folder, env: { CANARY: canary } })
  expect(inspect(config, { depth: 20 }) + JSON.stringify(config)).not.toContain(canary)
  expect(config.access.keys[0]?.value?.reveal()).toBe(canary)
})
