// The program's front door: command line → a command in cli/, and its exit code. Ends the process when the command
// is done, so that a forgotten timer or idle socket cannot keep a finished command alive.

import { runCli } from './cli/cli.ts'
import { printError } from './cli/print.ts'

// What a command throws ends it. `serve` has handlers by then that log whatever is thrown and go on, which is right for
// a request and wrong for a start: a server half started would listen for ever and heed no signal.
const code = await runCli(process.argv.slice(2)).catch((cause: unknown) => {
  printError(
    `headgate: this is a bug: please report it.\n${cause instanceof Error ? cause.stack : String(cause)}\n`,
  )
  return 1
})
process.exit(code)
