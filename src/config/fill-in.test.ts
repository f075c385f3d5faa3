import { afterAll, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { fillIn } from './fill-in.ts'
import { parseYaml } from './yaml-source.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-fill-'))
afterAll(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'key'), 'from-file\r\n\n')
writeFileSync(join(folder, 'spaced'), '  a\nb  \n')
writeFileSync(join(folder, 'binary'), new Uint8Array([0xff, 0xfe]))
writeFileSync(join(folder, 'large'), 'x'.repeat(64 * 1024 + 1))
mkdirSync(join(folder, 'below'))

const env = { A: 'alpha', EMPTY: '', TRICKY: '${env:A}', PATH: process.env['PATH'], DIR: folder }

async function filled(text: string) {
  const result = await fillIn({ text }, { env, folder })
  return result.findings[0]?.message ?? (result.tree as { text: string }).text
}

test('references become what they name', async () => {
  const cases: [string, string][] = [
    ['plain', 'plain'],
    ['${env:A}', 'alpha'],
    ['<${env:A}|${env:A}>', '<alpha|alpha>'],
    ['${env:NONE:-fallback}', 'fallback'],
    ['${env:EMPTY:-fallback}', 'fallback'],
    ['${env:EMPTY}', ''],
    ['${env:NONE:-}', ''],
    ['${env:A:-fallback}', 'alpha'],
    ['${env:NONE:-${env:A}}', 'alpha'],
    ['${env:NONE:-a:-b}', 'a:-b'],
    ['$${env:A}', '${env:A}'],
    ['$${', '${'],
    ['$$ $ {} ${env:A}$', '$$ $ {} alpha$'],
    ['${file:key}', 'from-file'],
    [`\${file:${folder}/spaced}`, '  a\nb  '],
    ['${file:${env:DIR}/key}', 'from-file'],
    ['${command:echo hello}', 'hello'],
    ["${command:printf 'a b c' | awk '{print $2}'}", 'b'],
    ['${command:pwd -P}', realpathSync(folder)],
    ['${command:echo "$A"}', 'alpha'],
  ]
  for (const [text, value] of cases) expect([text, await filled(text)]).toEqual([text, value])
})

test('what was filled in is not looked at again', async () => {
  expect(await filled('${env:TRICKY}')).toBe('${env:A}')
  expect(await filled("${command:echo '$''{env:A}'}")).toBe('${env:A}')
})

test('what cannot be filled in is said', async () => {
  const cases: [string, string][] = [
    ['${env:NONE}', 'environment variable NONE is not set'],
    ['${env:toString}', 'environment variable toString is not set'],
    ['${env:}', 'not the name of an environment variable'],
    ['${env:A', 'a reference ${… is not closed'],
    ['${A}', 'an unknown kind of reference'],
    ['${}', 'an unknown kind of reference'],
    ['${vault:x}', 'an unknown kind of reference'],
    ['${file:}', 'the reference names no file'],
    ['${file:none}', 'cannot read ${file:none}: no such file'],
    ['${file:below}', 'cannot read ${file:below}: it is a directory'],
    ['${file:binary}', 'cannot read ${file:binary}: it is not UTF-8 text'],
    ['${file:large}', 'cannot read ${file:large}: it is larger than 64 KB'],
    ['${file:/dev/zero}', 'cannot read ${file:/dev/zero}: it is larger than 64 KB'],
    ['${command:echo secret; exit 3}', 'the command ended with exit code 3'],
    [
      '${command:echo secret; printf "\\n\\033[31mwhy\\nmore" >&2; exit 1}',
      'the command ended with exit code 1: [31mwhy',
    ],
    ['${command:kill -9 $$}', 'the command was ended by SIGKILL'],
    ['${command:yes | head -c 70000}', 'the command printed more than 65536 bytes'],
    [`${'${env:NONE:-'.repeat(20)}x${'}'.repeat(20)}`, 'references are nested too deeply'],
  ]
  for (const [text, message] of cases) expect([text, await filled(text)]).toEqual([text, message])
})

test('a command that hangs is ended with its children', async () => {
  const children = join(folder, 'children')
  const text = `\${command:sleep 61 & echo $! > ${children}; sleep 60}`
  let pid = 0
  // A machine may be so busy that the command is ended before it has begun.
  for (let timeoutMs = 200; pid === 0; timeoutMs *= 5) {
    const result = await fillIn({ text }, { env, folder, commandTimeoutMs: timeoutMs })
    expect(result.findings[0]?.message).toBe(`the command did not end within ${timeoutMs / 1000} s`)
    if (await Bun.file(children).exists()) pid = Number(await Bun.file(children).text())
  }
  const lives = (): boolean => {
    try {
      process.kill(pid, 0)
    } catch {
      return false
    }
    // Dead, and nobody has asked for it yet.
    const stat = `/proc/${pid}/stat`
    return !existsSync(stat) || !readFileSync(stat, 'latin1').includes(') Z ')
  }
  for (let tries = 0; tries < 500 && lives(); tries++) await Bun.sleep(10)
  expect(lives()).toBe(false)
})

test('a command named twice runs once', async () => {
  const counter = join(folder, 'counter')
  const text = `\${command:echo run >> ${counter}; echo x}`
  await fillIn({ a: text, b: [text, text] }, { env, folder })
  expect(await Bun.file(counter).text()).toBe('run\n')
})

test('where a value came from and which files were read is remembered', async () => {
  const result = await fillIn(
    { a: [{ b: '${env:A}${file:key}' }], c: 'x', d: '${command:true}' },
    { env, folder },
  )
  expect([...result.origins]).toEqual([
    ['a[0].b', '${env:A}'],
    ['d', '${command:…}'],
  ])
  expect(result.files).toEqual([join(folder, 'key')])
})

test('settings without a value are dropped, list items are kept', async () => {
  const result = await fillIn(
    { a: null, b: undefined, c: { d: null }, e: [null, 0, false, ''] },
    { env, folder },
  )
  expect(result.tree).toEqual({ c: {}, e: [null, 0, false, ''] })
})

test('a tree that holds itself, or is endless, ends', async () => {
  const loop: Record<string, unknown> = { text: '${env:A}' }
  loop['again'] = [loop, loop]
  const result = await fillIn(loop, { env, folder })
  expect(result.findings.map(({ message }) => message)).toEqual(['holds itself', 'holds itself'])
  expect(result.tree).toEqual({ text: 'alpha', again: [null, null] })
})

test('YAML reads references as opaque text wherever they stand', async () => {
  const values: [string, unknown][] = [
    ['[ ${env:A}, { value: ${env:B:-x, y}, n: 1 } ]', ['${env:A}', { value: '${env:B:-x, y}', n: 1 }]],
    ["${command:jq '{a: .b}' # not a comment}", "${command:jq '{a: .b}' # not a comment}"],
    ['"${command:echo \\"{x}\\"}\\t"', '${command:echo "{x}"}\t'],
    ["'${command:echo ''x''}'", "${command:echo 'x'}"],
    ['["${env:A}", \'${env:B}\']', ['${env:A}', '${env:B}']],
    ["|\n  ${env:A}\n  it's ${env:B}\n", "${env:A}\nit's ${env:B}\n"],
    ['$${env:A}', '$${env:A}'],
    ['"${open"', '${open'],
    ['[ "\uE000" ]', ['\uE000']],
  ]
  for (const [yaml, value] of values) {
    const { tree, faults } = parseYaml(`key: ${yaml}`)
    expect([yaml, faults, tree]).toEqual([yaml, [], { key: value }])
  }
})

test('positions stay right beside references', () => {
  const { locate } = parseYaml('a: ${env:LONG_NAME}\nb: [ ${env:X}, here ]\nc:\n  d:\n')
  expect(locate(['b', 1], 'value')).toEqual({ line: 2, column: 16 })
  expect(locate(['c', 'd'], 'value')).toEqual({ line: 4, column: 3 })
  expect(locate(['c', 'missing'], 'value')).toEqual({ line: 3, column: 1 })
  expect(locate(['nowhere', 'else'], 'value')).toEqual({ line: 1, column: 1 })
})

test('any text goes through YAML and filling in unchanged when it is escaped', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
      const escaped = text.replaceAll('${', '$${')
      // A `$` before an escaped reference would read as part of it.
      fc.pre(!escaped.includes('$$$'))
      const { tree } = parseYaml(`text: ${JSON.stringify(escaped)}\n`)
      const result = await fillIn(tree, { env: {}, folder })
      expect(result.tree).toEqual({ text })
    }),
  )
})
