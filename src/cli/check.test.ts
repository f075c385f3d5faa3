import { afterAll, expect, spyOn, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCheck } from './check.ts'

const main = join(import.meta.dir, '..', 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'headgate-check-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function check(cwd: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const run = Bun.spawn([process.execPath, main, 'check', ...args], {
    cwd,
    env: { PATH: process.env['PATH'] },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited])
  return { code, out, err }
}

test('a good file is one line and exit code 0', async () => {
  writeFileSync(join(folder, 'good.yaml'), 'upstreams: [ { name: a, provider: openai, keys: [k1, k2] } ]\n')
  expect(await check(folder, '--config', 'good.yaml')).toEqual({
    code: 0,
    out: 'good.yaml: ok (1 upstream, 2 keys, 0 client keys)\n',
    err: '',
  })
})

test('no file at all is fine', async () => {
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  expect(await check(empty)).toEqual({
    code: 0,
    out: 'no config file, defaults: ok (1 upstream, 0 keys, 0 client keys)\n',
    err: '',
  })
})

test('every problem is a line on standard error, exit code 1', async () => {
  writeFileSync(join(folder, 'bad.yaml'), 'lgo: {}\nserver: { listen: "80" }\n')
  expect(await check(folder, '--config', 'bad.yaml')).toEqual({
    code: 1,
    out: '',
    err:
      'bad.yaml:1: lgo: unknown key (did you mean `log`?)\n' +
      'bad.yaml:2: server.listen: the host is missing (write 127.0.0.1:80)\n',
  })
  const missing = await check(folder, '--config', 'none.yaml')
  expect([missing.code, missing.err]).toEqual([1, 'none.yaml: cannot read the file: no such file\n'])
})

test('a price that counts for no upstream is told, with what was meant', async () => {
  const prices = [
    'prices:',
    '  - { model: a, upstream: mian, input: 1, output: 2 }',
    '  - { model: b, upstream: "ma*", input: 1, output: 2 }',
    'providers: { elsewhere: openai }',
  ]
  writeFileSync(join(folder, 'own-prices.yaml'), prices.join('\n'))
  const config =
    'upstreams: [ { name: main, provider: openai, keys: [k] } ]\nmeter: { prices: own-prices.yaml }\n'
  writeFileSync(join(folder, 'priced.yaml'), config)
  const { code, err } = await check(folder, '--config', 'priced.yaml')
  expect([code, err.split('\n')]).toEqual([
    0,
    [
      'own-prices.yaml: warning: prices[0].upstream: no upstream is named mian (did you mean `main`?)',
      'own-prices.yaml: warning: providers.elsewhere: no upstream is named elsewhere',
      '',
    ],
  ])
})

test('problems of the machine count, and warnings do not fail', async () => {
  writeFileSync(
    join(folder, 'ca.yaml'),
    'upstreams: [ { name: a, provider: openai, keys: [k], tls: { caFile: none.pem } } ]\n',
  )
  const failed = await check(folder, '--config', 'ca.yaml')
  expect([failed.code, failed.err]).toEqual([
    1,
    expect.stringContaining('ca.yaml:1: upstreams[0].tls.caFile: cannot read'),
  ])
  writeFileSync(join(folder, 'weak.yaml'), 'access: { keys: [ { name: a, value: short } ] }\n')
  const warned = await check(folder, '--config', 'weak.yaml')
  expect(warned).toEqual({
    code: 0,
    out: 'weak.yaml: ok (1 upstream, 0 keys, 1 client key)\n',
    err: expect.stringContaining('weak.yaml:1: warning: access.keys[0].value: is shorter'),
  })
})

test('--json is one object with everything', async () => {
  writeFileSync(join(folder, 'bad.yaml'), 'lgo: {}\n')
  const { code, out } = await check(folder, '--config', 'bad.yaml', '--json')
  expect([code, JSON.parse(out)]).toEqual([
    1,
    {
      ok: false,
      file: 'bad.yaml',
      problems: [
        {
          file: 'bad.yaml',
          line: 1,
          column: 1,
          path: 'lgo',
          message: 'unknown key',
          suggestion: 'did you mean `log`?',
          severity: 'error',
        },
      ],
    },
  ])
})

test('what serve would be given on its command line is checked too', async () => {
  const config = join(folder, 'plain.yaml')
  writeFileSync(config, 'log: { keep: 3 }\n')
  const lines: string[] = []
  const print = spyOn(console, 'error').mockImplementation((text: string) => void lines.push(text))
  try {
    expect(await runCheck({ config, data: join(config, 'data') })).toBe(1)
    expect(await runCheck({ config, listen: '8080' })).toBe(1)
  } finally {
    print.mockRestore()
  }
  expect(lines).toEqual([
    expect.stringMatching(/^--data: cannot use the data directory /),
    '--listen: the host is missing (write 127.0.0.1:8080)',
  ])
})
