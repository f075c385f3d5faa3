// `headgate cache …` on the command line: names and options of its commands. What they do is loaded when one is called.

import type { Command } from 'commander'
import { located, shown } from './common-options.ts'
import type { CacheOptions, PurgeOptions } from './cache.ts'
import type { ExplainOptions } from './cache-explain.ts'
import type { SimulateOptions } from './cache-simulate.ts'

type Finish = (code: number) => void

/** Adds `cache` and its commands. `finish` gets the exit code of the one that runs. */
export function addCacheCommands(program: Command, finish: Finish): void {
  const cache = program.command('cache').description('stored answers: stats, purge, simulate, explain')
  cache.helpCommand(false)
  shown(cache.command('stats').description('what is stored on disk, and how requests fared of late')).action(
    async (options: CacheOptions) => finish(await (await import('./cache.ts')).runCacheStats(options)),
  )
  located(cache.command('purge').description('forget stored answers, also those of a running gateway'))
    .option('--key <digest>', 'the answer to one request, by its 64 hex digits')
    .option('--tag <tag>', 'answers with this tag')
    .option('--model <model>', 'answers asked of a model, or given by it')
    .option('--team <team>', 'answers fetched by a team')
    .option('--all', 'all answers')
    .action(async (options: PurgeOptions) =>
      finish(await (await import('./cache.ts')).runCachePurge(options)),
    )
  shown(cache.command('simulate').description('what a cache would have saved on the requests recorded'))
    .option('--ttl <list>', 'how long answers would be fresh, with commas', '1h,24h')
    .option('--from <when>', 'from a date on, or so long ago, such as 7d')
    .action(async (options: SimulateOptions) =>
      finish(await (await import('./cache-simulate.ts')).runCacheSimulate(options)),
    )
  shown(
    cache.command('explain').description('whether two requests share an answer, and what tells them apart'),
  )
    .argument('<a>', 'a file with a request: its JSON body, or {"path", "headers", "key", "body"}')
    .argument('<b>', 'the other one')
    .option('--path <path>', 'where a file is sent that does not say it, such as /v1/embeddings')
    .option(
      '--key <key>',
      'who sends a file that does not say it: name of a configured key, or id of a stored one',
    )
    .addHelpText('after', '\nExit codes: 0 they share an answer, 1 they do not, 2 wrong usage.')
    .action(async (a: string, b: string, options: ExplainOptions) =>
      finish(await (await import('./cache-explain.ts')).runCacheExplain([a, b], options)),
    )
}
