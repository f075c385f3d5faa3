// `headgate upstreams …` on the command line: names and options. What they do is loaded when one is called.

import { Option, type Command } from 'commander'
import type { UpstreamsOptions } from './upstreams.ts'

type Finish = (code: number) => void

/** Adds `upstreams` and its commands. `finish` gets the exit code of the one that runs. */
export function addUpstreamsCommands(program: Command, finish: Finish): void {
  const upstreams = asking(
    program.command('upstreams').description("a running gateway's upstreams: show, drain, resume"),
  ).action(async (options: UpstreamsOptions) =>
    finish(await (await import('./upstreams.ts')).runUpstreams(options)),
  )
  upstreams.helpCommand(false)
  for (const [action, description] of [
    ['drain', 'send no new requests to an upstream'],
    ['resume', 'send requests to an upstream again'],
  ] as const)
    asking(
      upstreams.command(action).description(description).argument('<name>', 'name of the upstream'),
    ).action(async (name: string, _: UpstreamsOptions, command: Command) => {
      const { runUpstreams } = await import('./upstreams.ts')
      finish(await runUpstreams(command.optsWithGlobals<UpstreamsOptions>(), { action, name }))
    })
}

function asking(command: Command): Command {
  return command
    .option('-c, --config <file>', 'config file (default: headgate.yaml or headgate.config.ts)')
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
    .option(
      '-a, --admin <url>',
      'admin port of the gateway, http://host:port (default: where the config says)',
    )
    .addOption(
      new Option('-f, --format <format>', 'how to print').choices(['table', 'json']).default('table'),
    )
}
