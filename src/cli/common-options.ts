// Options that several commands have, in the same words.

import { Option, type Command } from 'commander'

/** Where the configuration and the store are. */
export function located(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      'config file (default: headgate.yaml or headgate.config.ts, if there is one)',
    )
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
}

/** The same, and how the answer is written. */
export function shown(command: Command): Command {
  return located(command).addOption(formats(['table', 'json']))
}

/** How the answer is written. */
export function formats(choices: readonly string[]): Option {
  const text = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
  return new Option('-f, --format <format>', text).choices(choices)
}
