// Promise: the unit in deploy/systemd is one that systemd takes, and stopping it leaves the gate its time to drain.
// Checked with systemd's own tool where there is one, on a copy whose program exists here.

import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { memory } from '../../scripts/launch.mjs'
import { loadConfig } from '../../src/config/load.ts'
import { promiseTests, scratchFolder } from '../gateway/harness.ts'

promiseTests()

const root = join(import.meta.dir, '..', '..')
const text = readFileSync(join(root, 'deploy/systemd/headgate.service'), 'utf8')
const absent = Bun.which('systemd-analyze') === null

function setting(name: string): string {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}=`))
  expect(lines).toHaveLength(1)
  return lines[0]!.slice(name.length + 1)
}

test('it waits for the drain, reloads by SIGHUP, and keeps its files to itself', async () => {
  const { config } = await loadConfig({ cwd: scratchFolder(), env: {} })
  const minutes = Number(/^(\d+)min$/.exec(setting('TimeoutStopSec'))![1])
  expect(minutes * 60_000).toBeGreaterThan(config.server.timeouts.drain)
  expect(setting('Type')).toBe('exec')
  expect(setting('ExecReload')).toBe('/bin/kill -HUP $MAINPID')
  expect(setting('UMask')).toBe('0077')
  expect(setting('Environment').split(' ')).toEqual([
    `HEADGATE_DATA=/var/lib/${setting('StateDirectory')}`,
    ...Object.entries(memory).map(([name, value]) => `${name}=${value}`),
  ])
})

test('the documentation shows the same units and settings', () => {
  const document = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  expect(document).toContain(readFileSync(join(root, 'deploy/nginx/headgate.conf'), 'utf8'))
  expect(document).toContain(text)
})

test.skipIf(absent)('systemd takes it without a word (needs systemd-analyze)', () => {
  const file = join(scratchFolder(), 'headgate.service')
  writeFileSync(file, text.replace('/usr/local/bin/headgate', join(root, 'bin/headgate')))
  const { exitCode, stderr } = Bun.spawnSync(['systemd-analyze', 'verify', '--man=no', file])
  // It also speaks of other units of this machine.
  const said = stderr.toString().split('\n').filter((line) => line.includes('headgate')) // prettier-ignore
  expect({ exitCode, said }).toEqual({ exitCode: 0, said: [] })
})
