// A Redis of its own on a free port of this machine, without files, gone with the tests.

import { createServer } from 'node:net'

/** A running server. */
export interface RedisServer {
  readonly url: string
  /** It no longer answers, but its connections stay open. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

/** The program; null where it is not installed. */
export function redisProgram(): string | null {
  return Bun.which('redis-server')
}

/** Starts one; at `port`, where given. */
export async function startRedis(port?: number): Promise<RedisServer> {
  const at = port ?? (await freePort())
  const child = Bun.spawn(
    [redisProgram()!, '--port', String(at), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    },
  )
  const { Redis } = await import('ioredis')
  const client = new Redis(at, '127.0.0.1', { retryStrategy: () => 20 })
  client.on('error', () => {})
  await client.ping()
  client.disconnect()
  return {
    url: `redis://127.0.0.1:${at}`,
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    stop: async () => {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
