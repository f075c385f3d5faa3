// `npm start`: installs what is missing, then serves. Arguments after `--` are those of `headgate serve`.

import { ensure } from './ensure.mjs'
import { launch, root } from './launch.mjs'

if (ensure({ root, dev: false })) await launch(['serve', ...process.argv.slice(2)])
else process.exitCode = 1
