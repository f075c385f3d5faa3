// The version comes from package.json by import, not by reading a file: so it is also right in the single executable.

import { printed } from './print.ts'
import manifest from '../../package.json' with { type: 'json' }

/** Version of Headgate, as in package.json. */
export const version: string = manifest.version

/** `headgate version`: prints the version and the runtime's. */
export async function runVersion(): Promise<number> {
  return printed(`headgate ${version} (bun ${Bun.version})`)
}
