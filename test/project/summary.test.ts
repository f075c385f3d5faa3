// The line a test run ends with comes from what `bun test` prints: on real runs of it, good, bad and broken off.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closingLine, readCounts } from '../../scripts/summary.mjs'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-summary-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What `bun test` prints for a file of these tests. */
function run(name: string, text: string, env: Record<string, string> = {}): string {
  writeFileSync(join(folder, `${name}.test.ts`), `import { test, expect } from 'bun:test'\n${text}`)
  const done = Bun.spawnSync([process.execPath, 'test', `./${name}.test.ts`], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  return `${done.stdout}${done.stderr}`
}

describe('counts', () => {
  test('passed, failed and skipped, with the names of the skipped', () => {
    const output = run(
      'mixed',
      `test('one', () => {}); test('two', () => {}); test('three', () => { expect(1).toBe(2) })
       test.skipIf(true)('four (needs nginx)', () => {}); test.todo('five')`,
    )
    expect(readCounts(output)).toEqual({
      passed: 2,
      failed: 1,
      skipped: 2,
      skippedNames: ['four (needs nginx)', 'five'],
      complete: true,
    })
  })

  test('in colour, the numbers at least', () => {
    const output = run('colour', `test('one', () => {}); test.skip('two (needs zsh)', () => {})`, {
      FORCE_COLOR: '1',
    })
    expect(output).toContain('\u001B[')
    expect(readCounts(output)).toEqual({ passed: 1, failed: 0, skipped: 1, skippedNames: [], complete: true })
  })

  test('a file that fails while it loads is a failure', () => {
    const { passed, failed, complete } = readCounts(run('load', `throw new Error('x')`))
    expect({ passed, complete }).toEqual({ passed: 0, complete: true })
    expect(failed).toBeGreaterThan(0)
  })

  test('a run that breaks off keeps what had passed, and is a failure', () => {
    const output = run(
      'crash',
      `test('one', () => {}); test('two', () => { process.kill(process.pid, 'SIGKILL') })`,
    )
    expect(readCounts(output)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
      skippedNames: [],
      complete: false,
    })
  })

  test('no output at all is a failure', () => {
    expect(readCounts('')).toEqual({ passed: 0, failed: 1, skipped: 0, skippedNames: [], complete: false })
  })
})

test('the closing line', () => {
  expect(closingLine({ passed: 12, failed: 0, skipped: 3 })).toBe('12 passed, 0 failed, 3 skipped')
})
