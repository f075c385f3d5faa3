// Help is commander's own text about the program; this file adds what it cannot know: examples and exit codes.

import type { Command } from 'commander'

/** Shown below the list of commands. */
export const examples = `
Examples:
  headgate init                          a commented headgate.yaml and a first key
  headgate check --config headgate.yaml  every problem in it, with its line
  headgate serve --config headgate.yaml  run
  headgate keys create --name web        a client key, its secret shown once
  headgate sandbox                       a fake OpenAI, to try things out
  eval "$(headgate completion bash)"     complete commands and options in this shell

Exit codes: 0 fine, 1 a problem that was said, 2 wrong usage.`

/** `headgate help [command]`: help on the program, or on one command. An unknown name is wrong usage. */
export async function runHelp(program: Command, name: string | undefined): Promise<number> {
  if (name === undefined) {
    program.outputHelp()
    return 0
  }
  const command = program.commands.find((one) => one.name() === name)
  // Commander words the error, with its suggestion, as for any unknown command.
  if (command === undefined) await program.parseAsync([name], { from: 'user' })
  command?.outputHelp()
  return 0
}
