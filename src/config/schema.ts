// The whole configuration, joined from the kinds' own schemas: a later section is a schema beside its kind and one line
// here. The schema says what each setting may be by itself; what settings say about each other is in cross-checks.ts.

import { z } from 'zod'
import { accessOptions } from '../stages/2-authenticate/options.ts'
import { cacheOptions } from '../stages/5-cache/options.ts'
import { limitOptions } from '../stages/3-limit/options.ts'
import type { UpstreamConfig } from '../stages/7-upstream/options.ts'
import { meterOptions } from '../stages/8-meter/options.ts'
import { routeOptions } from '../stages/6-route/options.ts'
import { logOptions } from '../stages/9-log/options.ts'
import { serverOptions } from '../stages/1-accept/options.ts'
import { upstreamOptions } from '../stages/7-upstream/options.ts'
import { adminOptions } from './admin-options.ts'
import { expected } from './fields.ts'
import { storageOptions } from './storage-options.ts'

/** Every setting there is; unknown keys are errors. */
export const configSchema = z
  .strictObject(
    {
      server: serverOptions,
      admin: adminOptions,
      storage: storageOptions,
      upstreams: upstreamOptions,
      routes: routeOptions,
      access: accessOptions,
      cache: cacheOptions,
      meter: meterOptions,
      limits: limitOptions,
      log: logOptions,
    },
    { error: expected('a mapping of settings') },
  )
  .describe('Configuration of Headgate: headgate.yaml or headgate.config.ts.')

/** What a user may write: the type behind `defineConfig`. */
export type ConfigInput = z.input<typeof configSchema>

/** What the schema gives before places in the file system are settled. */
export type ParsedConfig = z.output<typeof configSchema>

/** A checked configuration: durations in ms, sizes in bytes, credentials as `Secret`, paths absolute. */
export interface Config extends Omit<ParsedConfig, 'storage' | 'log' | 'upstreams' | 'meter'> {
  readonly storage: Omit<ParsedConfig['storage'], 'path'> & { readonly path: string }
  /** At least one. */
  readonly upstreams: UpstreamConfig[]
  /** `prices`: null = the built-in list alone. */
  readonly meter: Omit<ParsedConfig['meter'], 'prices'> & { readonly prices: string | null }
  /** `file` null = no file: lines go to standard output. */
  readonly log: Omit<ParsedConfig['log'], 'file'> & { readonly file: string | null }
}
