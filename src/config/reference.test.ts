import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { knownKeys } from './known-keys.ts'
import { loadConfig } from './load.ts'
import { isNotYet, providersNotYet, settingsNotYet } from './not-yet.ts'
import { configJsonSchema, configReference } from './reference.ts'
import { configSchema } from './schema.ts'

const root = join(import.meta.dir, '..', '..')

test('config.schema.json and docs/config.md are current: if not, run `npm run docs`', () => {
  const onDisk = (name: string): string => readFileSync(join(root, name), 'utf8')
  expect(
    onDisk('config.schema.json') === configJsonSchema() || 'config.schema.json is behind: run `npm run docs`',
  ).toBe(true)
  expect(
    onDisk('docs/config.md') === configReference() || 'docs/config.md is behind: run `npm run docs`',
  ).toBe(true)
})

interface Node {
  description?: string
  properties?: Record<string, Node>
  items?: Node
  anyOf?: Node[]
  oneOf?: Node[]
}

function undescribed(node: Node, path: string): string[] {
  const parts = [
    ...(node.anyOf ?? []),
    ...(node.oneOf ?? []),
    ...(node.items === undefined ? [] : [node.items]),
  ]
  return [
    ...Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
      ...(child.description === undefined ? [`${path}.${key}`] : []),
      ...undescribed(child, `${path}.${key}`),
    ]),
    ...parts.flatMap((part) => undescribed(part, path)),
  ]
}

test('every option is described', () => {
  expect(undescribed(z.toJSONSchema(configSchema, { io: 'input' }) as Node, '')).toEqual([])
})

function namesIn(node: Node): string[] {
  const parts = [
    ...(node.anyOf ?? []),
    ...(node.oneOf ?? []),
    ...(node.items === undefined ? [] : [node.items]),
  ]
  const own = Object.entries(node.properties ?? {}).flatMap(([key, child]) => [key, ...namesIn(child)])
  return [...own, ...parts.flatMap(namesIn)]
}

test('every setting has its row, and no table is empty', () => {
  const reference = configReference()
  expect(reference).not.toMatch(/\| --- \|\n(?!\|)/)
  const { properties } = z.toJSONSchema(configSchema, { io: 'input' }) as Node
  const missing = reference.split(/^## /m).slice(1).flatMap((section) => {
    const name = section.slice(1, section.indexOf('`', 1))
    const shown = [...section.matchAll(/^\| `([^`]+)` /gm)].flatMap(([, path]) => path!.split(/\.|\[\]\.?/))
    return namesIn(properties![name]!).filter((each) => !shown.includes(each)).map((each) => `${name}: ${each}`)
  }) // prettier-ignore
  expect(missing).toEqual([])
})

test('a row says the default and the range', () => {
  const reference = configReference()
  for (const row of [
    '| `retry.hedge.after` | duration, 1ms to 1m | `200ms` |',
    '| `breaker.slowFactor` | number, 2 to 1000 |  |',
    '| `breaker.failures` | number, 1 to 100 | `3` |',
    '| `limits.headerBytes` | size, 1KB to 1MB | `32KB` |',
  ])
    expect(reference).toContain(row)
})

test('every default of the schema is one that the schema takes', () => {
  expect(configSchema.safeParse({}).success).toBe(true)
})

test('nothing is both known and left to a later version', () => {
  for (const setting of settingsNotYet) {
    const path = setting.split('.').map((part) => (part === '*' ? 0 : part))
    expect([setting, isNotYet(path)]).toEqual([setting, true])
    const known = knownKeys({ schema: configSchema }, path.slice(0, -1))
    expect([setting, known.length > 0, known.includes(String(path.at(-1)))]).toEqual([setting, true, false])
  }
  const { success } = configSchema.safeParse({
    upstreams: providersNotYet.map((provider) => ({ name: 'a', provider })),
  })
  expect(success).toBe(false)
})

test('an editor that follows the JSON Schema lets references stand', () => {
  const schema = JSON.parse(configJsonSchema()) as {
    properties: { server: { properties: Record<string, { properties: object }> } }
  }
  expect(schema.properties.server.properties['limits']?.properties).toMatchObject({
    headers: {
      default: 100,
      anyOf: [
        { type: 'integer', minimum: 1, maximum: 1000 },
        { type: 'string', pattern: '\\$\\{' },
      ],
    },
    headerBytes: { type: 'string', default: '32KB' },
  })
})

test('headgate.example.yaml is right as it stands, and says the defaults where it says it does', async () => {
  const { config, warnings } = await loadConfig({
    cwd: root,
    file: 'headgate.example.yaml',
    env: { OPENAI_API_KEY: 'k1' },
  })
  expect(warnings).toEqual([])
  const standard = configSchema.parse({})
  expect([config.server, config.admin]).toEqual([standard.server, standard.admin])
  expect({ ...config.log, file: undefined }).toEqual({ ...standard.log, file: undefined })
})
