// The scripts are run by the shells they are for.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildProgram } from './cli.ts'
import { completionScript, type Shell } from './completion.ts'

const program = buildProgram(() => {})
const commands = program.commands.map((one) => one.name()).toSorted()
const has = (shell: Shell): boolean => Bun.which(shell) !== null

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-completion-'))
  writeFileSync(join(folder, 'a.yaml'), '')
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    writeFileSync(join(folder, shell), completionScript(program, shell))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(...command: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: folder, stdin: 'ignore' })
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: '' })
  return stdout.toString()
}

describe('bash', () => {
  /** What Tab offers after these words. */
  function complete(...words: string[]): string[] {
    const line = words.map((word) => `'${word}'`).join(' ')
    const script = `source ./bash; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _headgate; printf '%s\\n' "\${COMPREPLY[@]}"`
    return run('bash', '-c', script)
      .split('\n')
      .filter((word) => word !== '')
      .toSorted()
  }

  test.skipIf(!has('bash'))('the script is sound (needs bash)', () => {
    run('bash', '-n', 'bash')
    expect(run('bash', '-c', 'source ./bash; complete -p headgate')).toContain('-F _headgate headgate')
  })

  test.skipIf(!has('bash'))('offers commands, options and words (needs bash)', () => {
    expect(complete('headgate', '')).toEqual(commands)
    expect(complete('headgate', 'se')).toEqual(['serve'])
    expect(complete('headgate', 'serve', '--w')).toEqual(['--watch'])
    expect(complete('headgate', 'check', '--')).toEqual([
      '--config',
      '--data',
      '--help',
      '--json',
      '--listen',
    ])
    expect(complete('headgate', 'completion', '')).toContain('fish')
  })

  test.skipIf(!has('bash'))('offers files and folders where an option takes them (needs bash)', () => {
    expect(complete('headgate', 'serve', '--config', 'a')).toEqual(['a.yaml'])
    expect(complete('headgate', 'serve', '--data', 'a')).toEqual([])
    expect(complete('headgate', 'serve', '--listen', '')).toEqual([])
  })
})

test.skipIf(!has('fish'))('fish offers commands, options and words (needs fish)', () => {
  const complete = (line: string): string[] =>
    run('fish', '--no-config', '-c', `source ./fish; complete -C '${line}'`)
      .split('\n')
      .flatMap((one) => (one === '' ? [] : [one.split('\t')[0]!]))
      .toSorted()
  run('fish', '--no-config', '-n', 'fish')
  expect(complete('headgate ')).toEqual(commands)
  expect(complete('headgate check --')).toEqual(['--config', '--data', '--help', '--json', '--listen'])
  expect(complete('headgate completion z')).toEqual(['zsh'])
  expect(complete('headgate serve --config a')).toEqual(['a.yaml'])
})

test.skipIf(!has('zsh'))('zsh takes the script, and it registers itself (needs zsh)', () => {
  run('zsh', '-f', '-n', 'zsh')
  const script = `autoload -U compinit; compinit -D -u; source ./zsh; print $_comps[headgate]; functions _headgate`
  const output = run('zsh', '-f', '-c', script)
  expect(output).toStartWith('_headgate\n')
  for (const command of program.commands) {
    expect(output).toContain(`'${command.name()}:${command.description()}'`)
    for (const option of command.options) expect(output).toContain(option.long!)
  }
})
