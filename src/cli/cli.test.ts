import fs from 'node:fs'
import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { buildProgram, runCli } from './cli.ts'
import { version } from './version.ts'

let out = ''
let err = ''
let restore: (() => void)[] = []

beforeEach(() => {
  out = err = ''
  const spies = [
    spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true)),
    spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true)),
    spyOn(fs, 'writeSync').mockImplementation(((descriptor: number, bytes: Buffer) => {
      if (descriptor === 1) out += bytes.toString()
      else err += bytes.toString()
      return bytes.length
    }) as typeof fs.writeSync),
  ]
  restore = spies.map((spy) => () => spy.mockRestore())
})
afterEach(() => {
  for (const one of restore) one()
})

test('without a command it shows help', async () => {
  expect(await runCli([])).toBe(0)
  expect(out).toStartWith('Usage: headgate <command> [options]\n')
  for (const command of buildProgram(() => {}).commands) expect(out).toContain(`  ${command.name()}`)
  expect(out).toContain('Exit codes: 0 fine')
  expect(err).toBe('')
})

test.each([[['version']], [['--version']], [['-V']]])('%p prints the version', async (args) => {
  expect(await runCli(args)).toBe(0)
  expect(out).toBe(`headgate ${version} (bun ${Bun.version})\n`)
})

test.each([[['help', 'serve']], [['serve', '--help']], [['serve', '-h']]])(
  '%p shows the command',
  async (args) => {
    expect(await runCli(args)).toBe(0)
    expect(out).toStartWith('Usage: headgate serve [options]\n')
    for (const option of ['--config <file>', '--listen <host:port>', '--watch', '--data <folder>']) {
      expect(out).toContain(option)
    }
  },
)

describe('wrong usage is exit code 2 and one line that says what to do', () => {
  test.each([
    [['sevre'], `headgate: unknown command 'sevre' (Did you mean serve?) See "headgate help".\n`],
    [['help', 'chek'], `headgate: unknown command 'chek' (Did you mean check?) See "headgate help".\n`],
    [
      ['serve', '--confg', 'x'],
      `headgate: unknown option '--confg' (Did you mean --config?) See "headgate help".\n`,
    ],
    [['--nonsense'], `headgate: unknown option '--nonsense'. See "headgate help".\n`],
    [
      ['serve', '--config'],
      `headgate: option '-c, --config <file>' argument missing. See "headgate help".\n`,
    ],
    [
      ['check', 'extra'],
      `headgate: too many arguments for 'check'. Expected 0 arguments but got 1. See "headgate help".\n`,
    ],
    [['completion'], `headgate: missing required argument 'shell'. See "headgate help".\n`],
  ])('%p', async (args, message) => {
    expect(await runCli(args)).toBe(2)
    expect(err).toBe(message)
    expect(out).toBe('')
  })

  test.each(['8080', 'localhost', ':8080', '127.0.0.1:99999', '127.0.0.1:http'])(
    '--listen %s',
    async (listen) => {
      expect(await runCli(['serve', '--listen', listen])).toBe(2)
      expect(err).toContain('Write host:port, such as 127.0.0.1:8080 or [::1]:8080.')
      expect(err.trimEnd().split('\n')).toHaveLength(1)
    },
  )

  test('an unknown shell', async () => {
    expect(await runCli(['completion', 'tcsh'])).toBe(2)
    expect(err).toContain('Write bash, zsh or fish.')
  })
})
