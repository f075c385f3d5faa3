// A Redis of its own on a free port of this machine, gone with the tests.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import { freePort } from '../free-port.ts'

/** A running server. */
export interface RedisServer {
  readonly url: string
  /** Stops and lets go of the process itself: SIGSTOP, SIGCONT. */
  signal(signal: NodeJS.Signals): void
  /** Kills it. */
  kill(): Promise<void>
  /** Serves again, empty, at the same address. */
  start(): Promise<void>
  /** One command, its answer as redis-cli prints it. */
  cli(...words: string[]): Promise<string>
  remove(): Promise<void>
}

/** Whether the program is installed. */
export const redisFound = Bun.which('redis-server') !== null

/** Makes and starts one. `more`: further settings on the command line. */
export async function startRedis(...more: string[]): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-redis-'))
  const port = freePort()
  let child: Subprocess | null = null
  const cli = async (...words: string[]): Promise<string> => {
    const run = Bun.spawn(['redis-cli', '-p', String(port), ...words], { stdout: 'pipe', stderr: 'ignore' })
    return (await run.stdout.text()).trim()
  }
  const start = async (): Promise<void> => {
    child = Bun.spawn(
      ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...more],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
    )
    for (let tries = 0; (await cli('ping')) !== 'PONG'; tries++) {
      if (tries > 500) throw new Error('redis-server does not answer')
      await Bun.sleep(20)
    }
  }
  const kill = async (): Promise<void> => {
    child?.kill('SIGKILL')
    await child?.exited
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    signal: (signal) => child!.kill(signal),
    kill,
    start,
    cli,
    remove: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
