// `headgate check`: like `nginx -t`. Everything that is wrong at once, a line each, so that an editor can jump there.

import { basename } from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { LoadedConfig } from '../config/load.ts'
import { ConfigProblems, formatProblem } from '../config/problem.ts'
import type { Problem } from '../config/problem.ts'
import { didYouMean } from '../config/suggest.ts'
import { verifyConfig } from '../config/verify.ts'
import { loadPrices } from '../prices/keeper.ts'
import { priceSettings } from './price-settings.ts'

/** Options of `headgate check`. */
export interface CheckOptions {
  config?: string | undefined
  data?: string | undefined
  listen?: string | undefined
  json?: boolean | undefined
}

/**
 * Checks a configuration and prints what it finds: problems on standard error, `ok` on standard output, or all of it as
 * one JSON object on standard output.
 * @returns exit code 0, or 1 where there is an error; warnings do not fail
 */
export async function runCheck(options: CheckOptions): Promise<number> {
  const { loaded, problems } = await inspect(options)
  const ok = problems.every(({ severity }) => severity === 'warning')
  if (options.json === true) {
    console.log(JSON.stringify({ ok, file: loaded?.file ?? options.config ?? null, problems }, null, 2))
    return ok ? 0 : 1
  }
  for (const problem of problems) console.error(formatProblem(problem))
  if (ok && loaded !== null) console.log(summary(loaded, options.config))
  return ok ? 0 : 1
}

async function inspect(options: CheckOptions): Promise<{ loaded: LoadedConfig | null; problems: Problem[] }> {
  try {
    const loaded = await loadConfig({ file: options.config, data: options.data, listen: options.listen })
    return {
      loaded,
      problems: [...loaded.warnings, ...(await verifyConfig(loaded)), ...priceProblems(loaded)],
    }
  } catch (cause) {
    if (cause instanceof ConfigProblems) return { loaded: null, problems: cause.problems }
    throw cause
  }
}

/** What is wrong with the price file, which `serve` would not start with, and what of it counts for nobody. */
function priceProblems({ config }: LoadedConfig): Problem[] {
  try {
    const settings = priceSettings(config)
    return loadPrices(settings).fittingNobody.map(({ path, name }) => ({
      file: settings.file === null ? null : basename(settings.file),
      line: null,
      column: null,
      path,
      message: `no upstream is named ${name}`,
      suggestion: didYouMean(
        name,
        settings.upstreams.map((upstream) => upstream.name),
      ),
      severity: 'warning',
    }))
  } catch (cause) {
    if (cause instanceof ConfigProblems) return cause.problems
    throw cause
  }
}

function summary({ config, file }: LoadedConfig, named: string | undefined): string {
  const keys = config.upstreams.reduce(
    (sum, upstream) => sum + ('keys' in upstream ? upstream.keys.length : 0),
    0,
  )
  const place = named ?? (file === null ? 'no config file, defaults' : basename(file))
  const clients = counted(config.access.keys.length, 'client key')
  return `${place}: ok (${counted(config.upstreams.length, 'upstream')}, ${counted(keys, 'key')}, ${clients})`
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
