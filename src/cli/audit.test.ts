import { afterAll, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ledgerRow } from '../../test/ledger/rows.ts'
import { systemClock } from '../base/clock.ts'
import { openLedger } from '../ledger/open-ledger.ts'
import { openStorage } from '../storage/open.ts'

const folder = mkdtempSync(join(tmpdir(), 'headgate-audit-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'data')
const config = join(folder, 'headgate.yaml')
writeFileSync(config, 'upstreams: [{ name: a, provider: sandbox }]\n')

function audit(data: string | null = path): { code: number; text: string } {
  const main = join(import.meta.dir, '..', 'main.ts')
  const named = data === null ? [] : ['--data', data]
  const run = Bun.spawnSync([process.execPath, main, 'audit', '--config', config, ...named], {
    cwd: folder,
    env: { ...process.env, HEADGATE_DATA: '' },
  })
  return { code: run.exitCode, text: run.stdout.toString() + run.stderr.toString() }
}

test('books that agree, and one that somebody has changed', async () => {
  const storage = await openStorage({ path, postgres: null }, systemClock)
  const ledger = await openLedger(storage, {
    path,
    durability: () => 'process',
    retentionMs: () => 1e12,
    clock: systemClock,
    event: () => {},
  })
  for (let number = 0; number < 10; number++) void ledger.settle(ledgerRow(`a${number}-1`))
  await ledger.close()
  await storage.close()
  expect(audit()).toEqual({ code: 0, text: 'nothing found: the config is in order, and the books agree\n' })
  const db = new Database(join(path, 'headgate.db'))
  db.run('update ledger_days set billed_nano = billed_nano - 1')
  db.close()
  const { code, text } = audit()
  expect(code).toBe(1)
  expect(text).toStartWith('high: ledger_days of 2026-11-25')
  expect(text).toContain("billed_nano is 134999, the rows' own sum is 135000")
})

test('a named folder without a store is a finding, and is not made', () => {
  const nowhere = join(folder, 'no-where')
  const { code, text } = audit(nowhere)
  expect(code).toBe(1)
  expect(text).toStartWith(`high: there is no store here: ${nowhere} (`)
  expect(existsSync(nowhere)).toBe(false)
})

test('before anything was served there are no books, which is no finding', () => {
  const { code, text } = audit(null)
  expect({ code, text }).toEqual({
    code: 0,
    text: `nothing found: the config is in order, and there are no books yet: no store is in ${join(folder, '.headgate')}\n`,
  })
  expect(existsSync(join(folder, '.headgate'))).toBe(false)
})
