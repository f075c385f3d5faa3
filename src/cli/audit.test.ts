import { afterAll, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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

function audit(): { code: number; text: string } {
  const main = join(import.meta.dir, '..', 'main.ts')
  const run = Bun.spawnSync([process.execPath, main, 'audit', '--config', config, '--data', path], {
    cwd: folder,
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
