// `npm run build`: one executable, dist/headgate, that needs nothing installed. It reads no .env and no bunfig.toml
// from the folder it is started in, like the launcher.

import { join } from 'node:path'
import { ensure } from './ensure.mjs'
import { become, findBun, root } from './launch.mjs'

const bun = ensure({ root, dev: false }) ? findBun({ root, path: process.env['PATH'] ?? '' }) : null
if (bun === null) {
  process.exitCode = 1
} else {
  process.chdir(root)
  const options = ['--compile', '--minify-syntax', '--sourcemap=inline']
  const closed = ['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig']
  await become(bun, [
    'build',
    ...options,
    ...closed,
    join('src', 'main.ts'),
    '--outfile',
    join('dist', 'headgate'),
  ])
}
