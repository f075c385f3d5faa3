// Whether a store is there, for commands that read: they make none, since a typo in --data must not look like one that is
// empty.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'

/** Whether there is a store. Whatever else is wrong with its file, opening it says. */
export function hasStore({ path, postgres }: Config['storage']): boolean {
  if (postgres !== undefined) return true
  try {
    statSync(join(path, 'headgate.db'))
    return true
  } catch (cause) {
    return (cause as { code?: unknown }).code !== 'ENOENT'
  }
}

/** What to do where there is none. */
export const storeHint =
  'a gateway makes it when it first serves, and prints where; --data, $HEADGATE_DATA or storage.path in the config names it'

/** That there is none, in one line. */
export function noStoreText({ path }: Config['storage']): string {
  return `there is no store here: ${path} (${storeHint})`
}
