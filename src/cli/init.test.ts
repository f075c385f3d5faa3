import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashClientKey, isWellFormedClientKey } from '../base/client-key.ts'
import { loadConfig } from '../config/load.ts'
import { verifyConfig } from '../config/verify.ts'

const main = join(import.meta.dir, '..', 'main.ts')
const made: string[] = []
afterAll(() => made.forEach((folder) => rmSync(folder, { recursive: true })))

function fresh(): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-init-'))
  made.push(folder)
  return folder
}

async function init(cwd: string, env: Record<string, string>, ...args: string[]) {
  const run = Bun.spawn([process.execPath, main, 'init', ...args], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited])
  return { code, out, err, key: /hg_dev_\w+/.exec(out)?.[0] ?? '' }
}

for (const env of [{}, { OPENAI_API_KEY: 'k1' }] as Record<string, string>[]) {
  const provider = 'OPENAI_API_KEY' in env ? 'openai' : 'sandbox'
  test(`the file is valid as it stands: ${provider}`, async () => {
    const folder = fresh()
    const { code, out, err, key } = await init(folder, env)
    expect([code, err]).toEqual([0, ''])
    expect(isWellFormedClientKey(key)).toBe(true)
    expect(out).toContain(`curl http://127.0.0.1:8080/v1/chat/completions`)
    const loaded = await loadConfig({ cwd: folder, env })
    expect([...loaded.warnings, ...(await verifyConfig(loaded))]).toEqual([])
    expect(loaded.config.upstreams.map((upstream) => upstream.provider)).toEqual([provider])
    expect(loaded.config.access.keys).toMatchObject([{ name: 'dev', hash: hashClientKey(key), env: 'dev' }])
  })
}

test('the key is in no file, the data directory is private, the schema is where the file says', async () => {
  const folder = fresh()
  const { key } = await init(folder, {})
  const text = readFileSync(join(folder, 'headgate.yaml'), 'utf8')
  expect(readdirSync(folder).toSorted()).toEqual(['.headgate', 'headgate.yaml'])
  expect(statSync(join(folder, '.headgate')).mode & 0o777).toBe(0o700)
  for (const name of readdirSync(join(folder, '.headgate'))) {
    expect(readFileSync(join(folder, '.headgate', name), 'utf8')).not.toContain(key)
  }
  expect(text).not.toContain(key)
  const schema = /\$schema=(\S+)/.exec(text)?.[1] ?? ''
  expect(JSON.parse(readFileSync(join(folder, schema), 'utf8'))).toMatchObject({ type: 'object' })
})

test('a file that exists stays, unless --force', async () => {
  const folder = fresh()
  await init(folder, {})
  const before = readFileSync(join(folder, 'headgate.yaml'), 'utf8')
  const again = await init(folder, {})
  expect([again.code, again.out, again.err]).toEqual([
    1,
    '',
    'headgate init: ./headgate.yaml is there already; --force replaces it\n',
  ])
  expect(readFileSync(join(folder, 'headgate.yaml'), 'utf8')).toBe(before)
  const forced = await init(folder, {}, '--force')
  expect(forced.code).toBe(0)
  expect(readFileSync(join(folder, 'headgate.yaml'), 'utf8')).toContain(hashClientKey(forced.key))
  expect(readdirSync(folder).toSorted()).toEqual(['.headgate', 'headgate.yaml'])
})

test('a configuration in code counts as one that exists', async () => {
  const folder = fresh()
  await Bun.write(join(folder, 'headgate.config.ts'), 'export default {}\n')
  const { code, err } = await init(folder, {})
  expect([code, err]).toEqual([
    1,
    'headgate init: ./headgate.config.ts is there already; --force replaces it\n',
  ])
  expect(readdirSync(folder)).toEqual(['headgate.config.ts'])
})

test('other places are obeyed', async () => {
  const folder = fresh()
  const { code } = await init(folder, { HEADGATE_DATA: 'from-env' }, '--config', 'etc/gate.yaml')
  expect([code, existsSync(join(folder, 'etc/gate.yaml')), existsSync(join(folder, 'from-env'))]).toEqual([
    0,
    true,
    true,
  ])
  await init(folder, {}, '--config', 'other.yaml', '--data', 'elsewhere')
  const { config } = await loadConfig({ cwd: folder, env: {}, file: 'other.yaml' })
  expect(config.storage.path).toBe(join(folder, 'elsewhere'))
})

test('a place that cannot be written is one clear line', async () => {
  const { code, err } = await init(fresh(), {}, '--config', '/dev/null/gate.yaml')
  expect([code, err]).toEqual([1, 'headgate init: cannot write /dev/null/gate.yaml: a file is in the way\n'])
})
