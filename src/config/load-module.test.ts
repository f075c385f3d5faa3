import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from './load.ts'
import { ConfigProblems } from './problem.ts'

const made: string[] = []
afterAll(() => made.forEach((folder) => rmSync(folder, { recursive: true })))

function configFolder(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-module-'))
  made.push(folder)
  writeFileSync(join(folder, 'headgate.config.ts'), text)
  return folder
}

async function said(cwd: string): Promise<string> {
  try {
    await loadConfig({ cwd, env: {} })
    return ''
  } catch (cause) {
    if (!(cause instanceof ConfigProblems)) throw cause
    return cause.format()
  }
}

test('defineConfig is there to import, types are stripped, references work, a function is called', async () => {
  const folder = configFolder(`
import { defineConfig } from 'headgate'
const keep: number = 2
export default defineConfig(async () => ({
  log: { keep },
  upstreams: [{ name: 'main', provider: 'openai', keys: ['\${env:KEY}'] }],
}))
`)
  const { config, file, watched } = await loadConfig({ cwd: folder, env: { KEY: 'k1' } })
  expect([config.log.keep, config.upstreams[0]?.provider]).toEqual([2, 'openai'])
  expect([file, watched]).toEqual([join(folder, 'headgate.config.ts'), [join(folder, 'headgate.config.ts')]])
})

test('a reload sees changes, also in what the module imports, and after an error', async () => {
  const folder = configFolder("import { keep } from './keep.ts'\nexport default { log: { keep } }\n")
  const keep = async (): Promise<number> => (await loadConfig({ cwd: folder, env: {} })).config.log.keep
  writeFileSync(join(folder, 'keep.ts'), 'export const keep = 1\n')
  expect(await keep()).toBe(1)
  writeFileSync(join(folder, 'keep.ts'), 'export const keep = 2\n')
  expect(await keep()).toBe(2)
  expect((await loadConfig({ cwd: folder, env: {} })).watched).toEqual([
    join(folder, 'headgate.config.ts'),
    join(folder, 'keep.ts'),
  ])
  writeFileSync(join(folder, 'headgate.config.ts'), 'throw new Error("not today")\n')
  expect(await said(folder)).toBe('headgate.config.ts:1: not today')
  writeFileSync(join(folder, 'headgate.config.ts'), 'export default { log: { keep: 3 } }\n')
  expect(await keep()).toBe(3)
})

test('problems are said with their path, and errors of the module with their line', async () => {
  const cases: [string, string][] = [
    [
      'export default { log: { kep: 1 } }\n',
      'headgate.config.ts: log.kep: unknown key (did you mean `keep`?)',
    ],
    ['export default { access() {} }\n', 'headgate.config.ts: access: expected a mapping of settings'],
    ['export default 5\n', 'headgate.config.ts: expected a mapping of settings'],
    ['export default { log: new Map() }\n', 'headgate.config.ts: log: expected a mapping of settings'],
    [
      'export const config = {}\n',
      'headgate.config.ts: has no default export (write export default defineConfig({ … }))',
    ],
    ['export default {\n  a: 1\n  b: 2\n}\n', 'headgate.config.ts:3: Expected "}" but found "b"'],
    ['\nthrow 5\n', 'headgate.config.ts: a value that is not an error was thrown'],
    [
      'const a: any = {}\nexport default a\na.self = a\n',
      'headgate.config.ts: self.self: holds itself\nheadgate.config.ts: self: unknown key',
    ],
  ]
  for (const [text, message] of cases)
    expect([text, await said(configFolder(text))]).toEqual([text, expect.stringContaining(message)])
})

test('a message names the file as the user does', async () => {
  const folder = configFolder("import { x } from './none.ts'\nexport default { log: x }\n")
  const text = await said(folder)
  expect(text).toContain('none.ts')
  expect(text).toContain('headgate.config.ts')
  expect(text).not.toContain('?load')
})

test('an error in an imported module names that module', async () => {
  const folder = configFolder("import { x } from './part.ts'\nexport default { log: x }\n")
  writeFileSync(join(folder, 'part.ts'), 'export const x = {\n')
  expect(await said(folder)).toMatch(
    /^headgate\.config\.ts: .*part\.ts:\d+: .*\(a failed import is read again only after a restart\)$/,
  )
})
