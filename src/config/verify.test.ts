import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from './load.ts'
import { formatProblem } from './problem.ts'
import { verifyConfig } from './verify.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-verify-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function verified(text: string, wallMs = Date.UTC(2026, 0, 1)): Promise<string[]> {
  writeFileSync(join(folder, 'headgate.yaml'), text)
  const loaded = await loadConfig({ cwd: folder, env: {} })
  return (await verifyConfig(loaded, { nowMs: () => 0, wallMs: () => wallMs })).map(formatProblem)
}

test('a data directory that can be made or written is fine', async () => {
  expect(await verified('storage: { path: deep/er/data }\n')).toEqual([])
  mkdirSync(join(folder, 'there'))
  expect(await verified('storage: { path: there }\n')).toEqual([])
})

test('a data directory that is a file, or below one, is said with its line', async () => {
  writeFileSync(join(folder, 'file'), '')
  const hint = '(name another place, or mend its rights)'
  expect(await verified('# first\nstorage:\n  path: file\nlog: { file: stdout }\n')).toEqual([
    `headgate.yaml:3: storage.path: cannot use the data directory ${folder}/file: ${folder}/file is not a directory ${hint}`,
  ])
  expect(await verified('log: { file: file/x/access.log }\n')).toEqual([
    `headgate.yaml:1: log.file: cannot use the log's folder ${folder}/file/x: a part of the path is not a directory ${hint}`,
  ])
})

test('a data directory is tried, since rights alone promise what /proc does not hold', async () => {
  const [line, ...more] = await verified('storage: { path: /proc/nope }\n')
  expect(line).toStartWith('headgate.yaml:1: storage.path: cannot create the data directory /proc/nope: ')
  expect(more).toEqual([])
  await verified('storage: { path: tried }\n')
  expect(readdirSync(folder).filter((name) => name.includes('check'))).toEqual([])
})

test('a log file that is a directory is said', async () => {
  mkdirSync(join(folder, 'logs'))
  expect(await verified('log: { file: logs }\n')).toEqual([
    `headgate.yaml:1: log.file: cannot write the log ${folder}/logs: it is a directory (name a file in it, such as access.log)`,
  ])
})

test('a data directory that the file does not name is said with what names it, once', async () => {
  writeFileSync(join(folder, 'headgate.yaml'), '# nothing\nlog:\n  keep: 3\n')
  writeFileSync(join(folder, 'taken'), '')
  const data = join(folder, 'taken')
  const said = async (options: object): Promise<string[]> =>
    (await verifyConfig(await loadConfig({ cwd: folder, env: {}, ...options }))).map(formatProblem)
  const wrong = (path: string): string =>
    `cannot use the data directory ${path}: ${path} is not a directory (name another place, or mend its rights)`
  expect(await said({ data })).toEqual([`--data: ${wrong(data)}`])
  expect(await said({ env: { HEADGATE_DATA: data } })).toEqual([`$HEADGATE_DATA: ${wrong(data)}`])
  writeFileSync(join(folder, '.headgate'), '')
  expect(await said({})).toEqual([`the default ./.headgate: ${wrong(join(folder, '.headgate'))}`])
  rmSync(join(folder, '.headgate'))
  mkdirSync(join(folder, '.headgate', 'access.log'), { recursive: true })
  expect(await said({})).toEqual([
    `log.file: cannot write the log ${folder}/.headgate/access.log: it is a directory (name a file in it, such as access.log)`,
  ])
  rmSync(join(folder, '.headgate'), { recursive: true })
})

test('a CA file must be there and hold certificates', async () => {
  const config = 'upstreams: [ { name: a, provider: openai, keys: [k], tls: { caFile: ca.pem } } ]\n'
  const hint = '(name a PEM file that holds the certificates of the CA)'
  const said = async (): Promise<string | undefined> => (await verified(config))[0]
  const place = 'headgate.yaml:1: upstreams[0].tls.caFile:'
  expect(await said()).toBe(`${place} cannot read ${folder}/ca.pem: no such file ${hint}`)
  writeFileSync(join(folder, 'ca.pem'), 'hello')
  expect(await said()).toBe(`${place} ${folder}/ca.pem holds no certificate ${hint}`)
  const good = rootCertificates[0]!
  const bad = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  writeFileSync(join(folder, 'ca.pem'), `${good}\n${bad}`)
  expect(await said()).toBe(`${place} certificate 2 in ${folder}/ca.pem cannot be read ${hint}`)
  writeFileSync(join(folder, 'ca.pem'), `${good}\n${rootCertificates[1]}`)
  expect(await said()).toBeUndefined()
})

test('expired keys are a warning, and an error where none is left', async () => {
  const config = (keys: string): string => `upstreams: [ { name: a, provider: openai, keys: [${keys}] } ]\n`
  const old = '{ value: k1, notAfter: 2026-06-30 }'
  expect(await verified(config(`${old}, k2`), Date.UTC(2026, 5, 30, 23))).toEqual([])
  expect(await verified(config(`${old}, k2`), Date.UTC(2026, 6, 1))).toEqual([
    'headgate.yaml:1: warning: upstreams[0].keys: 1 of 2 keys are past notAfter (remove them)',
  ])
  expect(await verified(config(old), Date.UTC(2026, 6, 1))).toEqual([
    'headgate.yaml:1: upstreams[0].keys: every key is past its notAfter (add a key)',
  ])
})

test('a client key that can be guessed is a warning', async () => {
  expect(await verified('access: { keys: [ { name: a, value: short } ] }\n')).toEqual([
    'headgate.yaml:1: warning: access.keys[0].value: is shorter than 16 characters and can be guessed (`headgate init` makes a key)',
  ])
})
