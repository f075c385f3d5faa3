// `headgate sandbox`: the fake OpenAI alone, for tests of applications.

import { startSandbox } from '../sandbox/sandbox.ts'

const listenDefault = '127.0.0.1:8090'

/** `host:port`, `[v6]:port` or a port alone, taken apart; null where it is none. */
export function parseListen(text: string): { hostname: string; port: number } | null {
  const match = /^(?:(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) return null
  return { hostname: (match[1] ?? '127.0.0.1').replace(/^\[|\]$/g, ''), port }
}

function banner(url: string): string {
  return [
    `The sandbox, a fake OpenAI, serves on ${url}`,
    '(any API key will do). Try:',
    '',
    `curl ${url}/chat/completions \\`,
    `  -H "Authorization: Bearer sk-any" -H "Content-Type: application/json" \\`,
    `  -d '{"model":"gpt-4o","messages":[{"role":"user","content":"Say hello"}]}'`,
    '',
    'It can also fail on demand, as with the model "gpt-4o+fault-429":',
    '"headgate sandbox --help" lists the faults.',
    'Stop with Ctrl-C.',
  ].join('\n')
}

/** Runs the sandbox until SIGINT or SIGTERM. Gives the exit code: 1 where it could not start, 2 for a malformed address. */
export async function runSandbox(options: { listen?: string }): Promise<number> {
  const text = options.listen ?? listenDefault
  const address = parseListen(text)
  if (address === null) {
    console.error(`headgate: --listen ${text} is not an address; write HOST:PORT, such as ${listenDefault}`)
    return 2
  }
  let sandbox
  try {
    sandbox = await startSandbox(address)
  } catch (cause) {
    const inUse = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    const why = inUse
      ? 'the port is in use; choose another with --listen HOST:PORT'
      : cause instanceof Error
        ? cause.message
        : String(cause)
    console.error(`headgate: cannot listen on ${text}: ${why}`)
    return 1
  }
  console.log(banner(sandbox.url))
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
  await sandbox.close()
  return 0
}
