import { expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const main = resolve(import.meta.dir, '../main.ts')

function run(args: string, cwd = tmpdir()): { code: number; stderr: string } {
  const command = `exec "${process.execPath}" "${main}" ${args}`
  const { exitCode, stderr } = Bun.spawnSync(['sh', '-c', command], { cwd, stdout: 'pipe', stderr: 'pipe' })
  return { code: exitCode, stderr: stderr.toString() }
}

test.each(['version', 'completion bash'])('%s says so where standard output is full', (command) => {
  expect(run(`${command} >/dev/full`)).toEqual({
    code: 1,
    stderr: 'headgate: standard output cannot be written\n',
  })
})

test('init keeps nothing where the key could not be shown', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-print-'))
  try {
    const { code, stderr } = run('init >/dev/full', folder)
    expect(code).toBe(1)
    expect(stderr).toContain('the key could not be shown')
    expect(existsSync(join(folder, 'headgate.yaml'))).toBe(false)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
