// For headgate.config.ts: gives an editor the types. A configuration in code is the same tree as the YAML, `${…}` too.

import type { ConfigInput } from './schema.ts'

/**
 * Types a configuration: `export default defineConfig({ … })`. Gives back what it is given.
 * A function (also async) that returns a configuration is called at each load.
 */
export function defineConfig<Given extends ConfigInput | (() => ConfigInput | Promise<ConfigInput>)>(
  config: Given,
): Given {
  return config
}
