// The two documents made from the schema: config.schema.json, for editors, and docs/config.md, for people. A setting is
// described once, in its kind's schema; a test fails while either document is behind.

import { z } from 'zod'
import { configSchema } from './schema.ts'

/** JSON Schema as far as ours goes. */
interface Node {
  description?: string
  default?: unknown
  type?: string
  const?: unknown
  enum?: unknown[]
  pattern?: string
  properties?: Record<string, Node>
  required?: string[]
  items?: Node
  anyOf?: Node[]
  oneOf?: Node[]
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  /** Ours, of durations and sizes: what JSON Schema has no word for. */
  range?: string
}

/** config.schema.json: what may be written, as JSON Schema 2020-12. */
export function configJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as Node
  allowReferences(schema)
  return `${JSON.stringify({ ...schema, title: 'Headgate configuration' }, null, 2)}\n`
}

/** Anything may be given as `${…}`, which an editor must not underline. */
function allowReferences(node: Node): void {
  delete node.range
  if (node.pattern !== undefined) node.pattern = `(?:${node.pattern})|\\$\\{`
  const children = [...Object.values(node.properties ?? {}), ...(node.anyOf ?? []), ...(node.oneOf ?? [])]
  for (const child of node.items === undefined ? children : [...children, node.items]) allowReferences(child)
  if (node.type === 'integer' || node.type === 'boolean') {
    const { description, default: standard, ...plain } = node
    for (const key of Object.keys(node)) delete node[key as keyof Node]
    Object.assign(node, {
      description,
      default: standard,
      anyOf: [plain, { type: 'string', pattern: '\\$\\{' }],
    })
  }
}

/** docs/config.md: a table for each section, with type, default, meaning, and cautions. */
export function configReference(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as Node
  return `${intro}\n${Object.entries(schema.properties!)
    .map(([name, node]) => section(name, node))
    .join('\n')}`
}

const intro = `# Configuration reference

Generated from the schema (\`npm run docs\`); do not edit. Settings live in \`headgate.yaml\`, or in \`headgate.config.ts\`
with \`export default defineConfig({ … })\` from \`headgate\`. Every setting is optional unless its default says *required*.
Unknown settings are errors; \`headgate check\` shows all of them with their lines.

- **Durations** are a number and a unit: \`250ms\`, \`10s\`, \`5m\`, \`1h\`, \`30d\`, \`1w\`, \`1y\`. **Sizes** likewise: \`512B\`,
  \`32KB\`, \`1GB\`; a kilobyte is 1024 bytes. **Rates** are a count and a duration: \`20/1m\`.
- **Text** may hold \`\${env:NAME}\`, \`\${env:NAME:-default}\` (also used where the variable is empty), \`\${file:/run/secrets/x}\`
  (line breaks at the end are dropped, 64 KB at most) and \`\${command:…}\` (run with \`sh -c\` in the file's folder, 10 s and
  64 KB at most; what it prints, without spaces around it). \`$\${\` stands for \`\${\`. Numbers and true/false may be given this way too.
- **Paths** in the file count from its folder; \`--data\`, \`$HEADGATE_DATA\` and the default data directory count from where the
  process was started.
- A line that holds what looks like a live key is an error in a file that git tracks, and a warning elsewhere.
- A mapping or setting without a value counts as absent.
`

function section(name: string, node: Node): string {
  const lines = [`## \`${name}\``, '', ...prose(node)]
  const item = node.items
  if (item?.oneOf === undefined) lines.push(...table(rows('', item?.properties === undefined ? node : item)))
  else for (const kind of item.oneOf) lines.push(...provider(kind))
  return `${lines.join('\n')}\n`
}

function provider(kind: Node): string[] {
  const tag = kind.properties!['provider']!
  const title = tag.enum === undefined ? `\`provider: ${String(tag.const)}\`` : 'presets of `provider`'
  return [`### ${title}`, '', ...prose(tag), ...table(rows('', kind))]
}

function prose(node: Node): string[] {
  const { meaning, avoid } = described(node)
  return [avoid === '' ? meaning : `${meaning} **Caution:** ${avoid}`, '']
}

function table(body: string[]): string[] {
  return [
    '| setting | type | default | what it does | caution |',
    '| --- | --- | --- | --- | --- |',
    ...body,
    '',
  ]
}

/** A row for each setting below `node`; mappings are followed, with dots, and lists of mappings with `[]`. */
function rows(prefix: string, node: Node): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const name = `${prefix}${key}`
    // One that may be left away does something by being there, even empty.
    if (child.properties !== undefined && child.default !== undefined) return rows(`${name}.`, child)
    const { meaning, avoid } = described(child)
    const required = node.required?.includes(key) === true
    const standard = required
      ? '*required*'
      : child.default === undefined || child.default === null
        ? ''
        : code(child.default)
    const row = `| ${[`\`${name}\``, typeName(child), standard, meaning, avoid].map(cell).join(' | ')} |`
    return [row, ...inner(name, child)]
  })
}

/** The rows of the mapping that a setting is, holds, or may be instead of something shorter. */
function inner(name: string, node: Node): string[] {
  const mapping = (choices: readonly (Node | undefined)[]): Node | undefined =>
    choices.find((each) => each?.properties !== undefined)
  const own = mapping([node, ...(node.anyOf ?? [])])
  if (own !== undefined) return rows(`${name}.`, own)
  const listed = mapping([node.items, ...(node.items?.anyOf ?? [])])
  return listed === undefined ? [] : rows(`${name}[].`, listed)
}

function described(node: Node): { meaning: string; avoid: string } {
  const [meaning = '', avoid = ''] = (node.description ?? '').split(/ Caution: /)
  return { meaning, avoid: avoid === '' ? '' : avoid[0]!.toUpperCase() + avoid.slice(1) }
}

function typeName(node: Node): string {
  if (node.const !== undefined) return code(node.const)
  if (node.enum !== undefined) return node.enum.map(code).join(', ')
  if (node.pattern?.includes('(ms|') === true)
    return node.pattern.includes('\\/') ? 'rate' : within('duration', node)
  if (node.pattern?.includes('KiB') === true) return within('size', node)
  if (node.type === 'array') return `list of ${node.items === undefined ? 'anything' : typeName(node.items)}`
  if (node.type === 'integer' || node.type === 'number') return numberName(node)
  if (node.type === 'boolean') return 'true, false'
  if (node.type === 'object') return 'mapping'
  const choices = (node.anyOf ?? []).filter(({ type }) => type !== 'null')
  return choices.length === 0 ? 'text' : choices.map(typeName).join(' or ')
}

function within(what: string, { range }: Node): string {
  return range === undefined ? what : `${what}, ${range}`
}

function numberName({ minimum, exclusiveMinimum, maximum }: Node): string {
  if (minimum === Number.MIN_SAFE_INTEGER) return 'number'
  return minimum === undefined
    ? `number above ${exclusiveMinimum}, to ${maximum}`
    : `number, ${minimum} to ${maximum}`
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
