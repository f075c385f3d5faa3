// How this program is called from where the user stands, for texts that tell them what to type next.

import { basename, dirname, join, relative } from 'node:path'

/** `bin/headgate` in a checkout, seen from the current directory; the executable's own name otherwise. */
export function commandName(): string {
  const main = Bun.main
  if (!main.endsWith(join('src', 'main.ts'))) return basename(process.execPath)
  const launcher = join(dirname(dirname(main)), 'bin', 'headgate')
  const way = relative(process.cwd(), launcher)
  return way.startsWith('..') ? launcher : way
}
