// `npm run build`: one executable, dist/headgate, that needs nothing installed. It reads no .env and no bunfig.toml
// from the folder it is started in, like the launcher. The source map stays inside it, for stacks that name our lines;
// Bun leaves a copy beside it, which goes.

import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ensure } from './ensure.mjs'
import { become, findBun, root, shown } from './launch.mjs'

const file = join(root, 'dist', 'headgate')
const bun = ensure({ root, dev: false }) ? findBun({ root, path: process.env['PATH'] ?? '' }) : null
if (bun === null) {
  process.exitCode = 1
} else {
  process.chdir(root)
  const options = ['--compile', '--minify-syntax', '--sourcemap=inline']
  const closed = ['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig']
  // Threads are programs of their own, found by their path from the folder of sources.
  const threads = [join('src', 'stages', '8-meter', 'tokens-worker.ts')]
  await become(bun, ['build', ...options, ...closed, join('src', 'main.ts'), ...threads, '--outfile', file])
  if (process.exitCode === 0) {
    for (const map of [`${file}.map`, join(root, 'dist', 'tokens-worker.js.map')])
      rmSync(map, { force: true })
    const megabytes = Math.round(statSync(file).size / 1024 ** 2)
    process.stdout.write(
      `\n${shown(file)} (${megabytes} MB) is the whole program. Run it: ${shown(file)} serve\n`,
    )
  }
}
