// A PostgreSQL of its own in a scratch folder, on a free port of this machine, gone with the tests. The server refuses to
// run as root, so there it runs as the user `postgres` that its package makes.

import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'

/** A running server. */
export interface Cluster {
  /** Connection string of a fresh database. */
  database(name: string): Promise<string>
  /** Cuts every connection and refuses new ones. */
  stop(): Promise<void>
  /** Serves again, at the same address. */
  start(): Promise<void>
  /** Ends it and removes its files. */
  remove(): Promise<void>
}

const debian = '/usr/lib/postgresql'

/** Folder of the server's programs; null where PostgreSQL is not installed. */
export function postgresPrograms(): string | null {
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  for (const version of versions) {
    const folder = join(debian, version, 'bin')
    if (existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'pg_ctl'))) return folder
  }
  const found = Bun.which('initdb')
  return found === null ? null : join(found, '..')
}

/** Makes and starts one. @throws where its programs fail */
export async function startCluster(): Promise<Cluster> {
  const programs = postgresPrograms()!
  const folder = mkdtempSync(join(tmpdir(), 'headgate-postgres-'))
  const asRoot = process.getuid?.() === 0
  if (asRoot) {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (flag) => Number(await output(['id', flag, 'postgres']))),
    )
    chownSync(folder, uid!, gid!)
  }
  const data = join(folder, 'data')
  const port = freePort()
  const as = (...command: string[]) =>
    output(
      asRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...command] : command,
      folder,
    )
  const ctl = (...words: string[]) => as(join(programs, 'pg_ctl'), '-D', data, '-w', ...words)
  const settings = `-F -p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c max_connections=50`
  const start = async () => void (await ctl('-l', join(folder, 'log'), '-o', settings, 'start'))
  const stop = async () => void (await ctl('-m', 'immediate', 'stop'))
  await as(
    join(programs, 'initdb'),
    '-D',
    data,
    '-U',
    'headgate',
    '-A',
    'trust',
    '-N',
    '-E',
    'UTF8',
    '--no-locale',
  )
  await start()
  return {
    database: async (name) => {
      await as(join(programs, 'createdb'), '-h', '127.0.0.1', '-p', String(port), '-U', 'headgate', name)
      return `postgres://headgate:a-canary-password@127.0.0.1:${port}/${name}`
    },
    start,
    stop,
    remove: async () => {
      await stop().catch(() => {})
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function output(command: string[], cwd?: string): Promise<string> {
  const run = Bun.spawn(command, {
    cwd,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  })
  // pg_ctl's server keeps the pipes open, so only the exit counts.
  const code = await run.exited
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${await run.stderr.text()}`)
  return command[0] === 'id' ? run.stdout.text() : ''
}
