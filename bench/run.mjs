// `npm run bench`: measures Headgate beside NGINX, see docs/benchmarks.md. This starter only finds Bun and binds what
// makes the load to the second core, since a process cannot bind itself.

import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { ensure } from '../scripts/ensure.mjs'
import { become, findBun, root } from '../scripts/launch.mjs'

const bun = ensure({ root, dev: false }) ? findBun({ root, path: process.env['PATH'] ?? '' }) : null
const missing = ['nginx', 'wrk', 'taskset'].filter((name) => spawnSync(name, ['-v']).error !== undefined)

if (missing.length > 0) {
  process.stderr.write(
    `bench: needs ${missing.join(', ')}; on Debian: apt-get install nginx wrk util-linux\n`,
  )
  process.exitCode = 1
} else if (cpus().length < 2) {
  process.stderr.write('bench: needs two processor cores: one for what is measured, one for the load\n')
  process.exitCode = 1
} else if (bun === null) {
  process.stderr.write('bench: Bun is not installed; run "npm ci"\n')
  process.exitCode = 1
} else {
  await become('taskset', [
    '-c',
    '1',
    bun,
    '--no-env-file',
    join(root, 'bench', 'main.ts'),
    ...process.argv.slice(2),
  ])
}
