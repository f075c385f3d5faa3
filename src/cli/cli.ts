// The command line as one commander program: the help, the suggestions and the shell completions all come from it.
// Each command lives in its own file and is loaded when it is called, so that `headgate version` loads no server.
// The trap: commander ends a wrong usage with exit code 1; ours is 2, since 1 means "ran, and found a problem".

import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { addCacheCommands } from './cache-commands.ts'
import { examples } from './help.ts'
import { addKeysCommands } from './keys-commands.ts'
import { addUsageCommands } from './usage-commands.ts'
import { addUpstreamsCommands } from './upstreams-commands.ts'
import { addLimitsCommands } from './limits-commands.ts'

/** Exit codes of every command: fine, a problem that was said, wrong usage. */
export const exitCodes = { ok: 0, problem: 1, usage: 2 } as const

/** Takes the exit code of the command that ran. */
type Finish = (code: number) => void

/** The whole command line as a commander program. `finish` gets the exit code of the command that runs. */
export function buildProgram(finish: Finish): Command {
  const program = new Command('headgate')
    .description('A gate in front of the OpenAI API, and of every provider that speaks like it.')
    .usage('<command> [options]')
    .helpCommand(false)
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageError(text)) })
  addServerCommands(program, finish)
  addKeysCommands(program, finish)
  addCacheCommands(program, finish)
  addUsageCommands(program, finish)
  addUpstreamsCommands(program, finish)
  addLimitsCommands(program, finish)
  addAuditCommand(program, finish)
  addProgramCommands(program, finish)
  return program
}

/**
 * Runs one command line.
 * @param args the words after the program's name
 * @returns the exit code: 0 fine, 1 a problem that was said, 2 wrong usage
 */
export async function runCli(args: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok
  const program = buildProgram((result) => {
    code = result
  })
  if (args.length === 0) {
    program.outputHelp()
    return exitCodes.ok
  }
  const words = args[0] === '--version' || args[0] === '-V' ? ['version'] : args
  try {
    await program.parseAsync([...words], { from: 'user' })
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause
    return cause.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  }
  return code
}

function addServerCommands(program: Command, finish: Finish): void {
  program
    .command('serve')
    .description('run the gate; SIGHUP reloads the config, SIGTERM drains')
    .option(
      '-c, --config <file>',
      'config file (default: headgate.yaml or headgate.config.ts, if there is one)',
    )
    .option('-l, --listen <host:port>', 'listen here instead of where the config says', listenAddress)
    .option('-w, --watch', 'reload when the config file changes')
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
    .action(async (options: { config?: string; listen?: string; watch?: boolean; data?: string }) => {
      const { runServe } = await import('./serve.ts')
      finish(await runServe(options))
    })
  program
    .command('init')
    .description('write a commented config, create the data directory and a first client key')
    .option('-f, --force', 'overwrite a config file that exists')
    .option('-c, --config <file>', 'where to write the config (default: headgate.yaml)')
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
    .action(async (options: { force?: boolean; config?: string; data?: string }) => {
      const { runInit } = await import('./init.ts')
      finish(await runInit(options))
    })
  program
    .command('check')
    .description('check a config: every problem with its line and a suggestion; exit code 0 or 1')
    .option('-c, --config <file>', 'config file (default: headgate.yaml or headgate.config.ts)')
    .option(
      '-l, --listen <host:port>',
      'check with this address instead of where the config says',
      listenAddress,
    )
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
    .option('--json', 'print the problems as JSON')
    .action(async (options: { config?: string; listen?: string; data?: string; json?: boolean }) => {
      const { runCheck } = await import('./check.ts')
      finish(await runCheck(options))
    })
  program
    .command('sandbox')
    .description('run the fake OpenAI alone, to test applications against')
    .option('-l, --listen <host:port>', 'where to listen (default: 127.0.0.1:8090)', listenAddress)
    .addHelpText('after', () => {
      // Commander does not wait for help, so this cannot be an import.
      const { faultHelp } = require('./sandbox-help.ts') as typeof import('./sandbox-help.ts')
      return faultHelp()
    })
    .action(async (options: { listen?: string }) => {
      const { runSandbox } = await import('./sandbox.ts')
      finish(await runSandbox(options))
    })
}

function addAuditCommand(program: Command, finish: Finish): void {
  program
    .command('audit')
    .description('look for what is unsafe or wrong in an installation; exit code 1 where it is serious')
    .option('-c, --config <file>', 'config file (default: headgate.yaml or headgate.config.ts)')
    .option('-d, --data <folder>', 'data directory (default: $HEADGATE_DATA, else ./.headgate)')
    .option('--json', 'print the findings as JSON')
    .action(async (options: { config?: string; data?: string; json?: boolean }) => {
      const { runAudit } = await import('./audit.ts')
      finish(await runAudit(options))
    })
}

function addProgramCommands(program: Command, finish: Finish): void {
  program
    .command('version')
    .description('print the version')
    .action(async () => {
      const { runVersion } = await import('./version.ts')
      finish(await runVersion())
    })
  program
    .command('help')
    .description('show help, for one command if named')
    .argument('[command]', 'name of the command')
    .action(async (name: string | undefined) => {
      const { runHelp } = await import('./help.ts')
      finish(await runHelp(program, name))
    })
  program
    .command('completion')
    .description('print a completion script for a shell')
    .argument('<shell>', 'bash, zsh or fish', knownShell)
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { runCompletion } = await import('./completion.ts')
      finish(await runCompletion(program, shell))
    })
}

function listenAddress(text: string): string {
  const port = /^.+:(\d{1,5})$/.exec(text)?.[1]
  if (port === undefined || Number(port) > 65_535) {
    throw new InvalidArgumentError('Write host:port, such as 127.0.0.1:8080 or [::1]:8080.')
  }
  return text
}

function knownShell(text: string): string {
  if (!['bash', 'zsh', 'fish'].includes(text)) throw new InvalidArgumentError('Write bash, zsh or fish.')
  return text
}

/** Commander's message as one line in our voice: `error: unknown command 'serv'\n(Did you mean serve?)`. */
function usageError(text: string): string {
  const words = text
    .replace(/^error: /, '')
    .split('\n')
    .filter((line) => line !== '')
    .join(' ')
  return `headgate: ${words.replace(/([^.?)])$/, '$1.')} See "headgate help".\n`
}
