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
