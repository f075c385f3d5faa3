// The program's front door: command line → a command in cli/, and its exit code. Ends the process when the command
// is done, so that a forgotten timer or idle socket cannot keep a finished command alive.

import { runCli } from './cli/cli.ts'

process.exit(await runCli(process.argv.slice(2)))
