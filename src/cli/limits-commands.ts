// `headgate limits …` on the command line.

import { Option, type Command } from 'commander'
import type { LimitsOptions } from './limits.ts'

/** Adds `limits` and its commands. `finish` gets the exit code of the one that runs. */
export function addLimitsCommands(program: Command, finish: (code: number) => void): void {
  const limits = program.command('limits').description('limits of a running gateway: show')
  limits.helpCommand(false)
  limits
    .command('show')
    .description('who is at what, nearest to the limit first')
    .option('--admin <url>', 'admin port of the gateway (default: as the config says)')
    .option('--token <token>', 'admin token (default: $HEADGATE_ADMIN_TOKEN, else as the config says)')
    .option('-c, --config <file>', 'config file (default: headgate.yaml or headgate.config.ts)')
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
    .option('-n, --limit <rows>', 'most rows, 1 to 1000', '100')
    .addOption(
      new Option('-f, --format <format>', 'how to print').choices(['table', 'json']).default('table'),
    )
    .action(async (options: LimitsOptions) =>
      finish(await (await import('./limits.ts')).runLimitsShow(options)),
    )
}
