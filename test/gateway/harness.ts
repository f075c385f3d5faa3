// What every promise's test starts from: a gateway in this process or in one of its own, from a configuration written to
// a file as a user would, listening on free ports. What it logs is kept, and a bug that it caught and survived still
// fails the test: `stop` throws.

import { afterAll, setDefaultTimeout } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../src/base/secret.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Gateway, type GatewayParts } from '../../src/gateway.ts'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { jsonLine } from '../../src/stages/9-log/json-lines.ts'
import type { LogStage } from '../../src/stages/9-log/log.ts'
import { filesOf, findMarked, type Place } from '../canary/search.ts'
import { readReply, type RawReply } from './message.ts'
import { dial, patienceMs, type Peer } from './peer.ts'

/** The client key that `access` below knows. */
export const clientKey = 'hg_test_7Rk2vXq9LmZt4WcYb8NfHs3JgPd6Ua5E'
/** The upstream key of `upstreamAt` below: no part of it may ever be seen by a client. */
export const upstreamKey = 'sk-upstream-canary-7f3a9c2e5b8d1046'

/** The part of them that stands in no other text. */
const marked = [
  { name: 'the upstream key', random: upstreamKey.slice('sk-upstream-canary-'.length) },
  { name: 'the client key', random: clientKey.slice('hg_test_'.length) },
]

/** What any gate of any test has said or kept holds no piece of either key. */
function noSecretIn(places: readonly Place[]): void {
  const found = findMarked(marked, places)
  if (found.length > 0) throw new Error(`a secret was seen: ${found.join('; ')}`)
}

/** A line of the access log, parsed. */
export type LogLine = Record<string, any>

/** Part of a configuration, as it would stand in a file. */
export type ConfigTree = Record<string, unknown>

const folders: string[] = []
const closers: (() => Promise<void>)[] = []

/** Ends something when the file's tests are over. */
export function finallyClose(close: () => void | Promise<void>): void {
  closers.push(async () => close())
}

/**
 * Call once at the top of each file of tests: whatever it starts is ended behind it, and its tests get time enough for
 * a machine under load. Not done on import, since that happens once for all files of a run.
 */
export function promiseTests(): void {
  setDefaultTimeout(60_000)
  afterAll(async () => {
    const failures: unknown[] = []
    for (const close of closers.splice(0).toReversed()) {
      await close().catch((cause: unknown) => failures.push(cause))
    }
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
    if (failures.length > 0) throw failures[0]
  })
}

/** A folder of its own, removed at the end. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-promise-'))
  folders.push(folder)
  return folder
}

/** `access` with one client key. */
export const access = { keys: [{ name: 'client', value: clientKey }] }

/** An upstream at a base URL, with the canary key. */
export function upstreamAt(baseUrl: string, more: ConfigTree = {}): ConfigTree {
  return { name: 'main', provider: 'openai-compatible', baseUrl, keys: [upstreamKey], ...more }
}

/** A configuration on free ports; `tree` replaces whole sections. */
export function treeOf(tree: ConfigTree, folder: string): ConfigTree {
  const { server, ...rest } = tree
  return {
    // Off, since a gate here shares its thread with the clients of its test: their work would count as its own.
    server: { listen: '127.0.0.1:0', overload: { mode: 'off' }, ...(server as ConfigTree | undefined) },
    admin: { listen: '127.0.0.1:0' },
    storage: { path: join(folder, 'data') },
    access,
    log: { format: 'json' },
    ...rest,
  }
}

/** Writes a configuration. JSON is YAML. */
export function writeConfig(tree: ConfigTree, folder: string): string {
  const file = join(folder, 'headgate.yaml')
  writeFileSync(file, JSON.stringify(treeOf(tree, folder), null, 2))
  return file
}

/** A gateway in this process. */
export interface Gate {
  readonly gateway: Gateway
  readonly port: number
  readonly adminPort: number
  /** Access log so far. */
  readonly lines: LogLine[]
  /** What was thrown and is no failure. */
  readonly bugs: unknown[]
  /** Puts another configuration in force. */
  reload(tree: ConfigTree): Promise<void>
  /** The first access line that fits, once it is there. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>
}

/** Starts a gateway here; `more`: parts that it gets besides. It is stopped at the end of the file, and bugs that it caught fail the run. */
export async function startGate(tree: ConfigTree, more: Partial<GatewayParts> = {}): Promise<Gate> {
  const folder = scratchFolder()
  const load = async (wanted: ConfigTree) =>
    (await loadConfig({ file: writeConfig(wanted, folder), cwd: folder, env: {} })).config
  const lines: LogLine[] = []
  const bugs: unknown[] = []
  const events: unknown[] = []
  const log: LogStage = {
    write: (x) => void lines.push(JSON.parse(jsonLine(x, systemClock.nowMs())) as LogLine),
    bug: (cause) => void bugs.push(cause),
    event: (...said) => void events.push(said),
    flush: () => Promise.resolve(),
    reopen: () => {},
    close: () => Promise.resolve(),
  }
  let sandbox: Promise<Sandbox> | null = null
  const gateway = await Gateway.start(await load(tree), {
    clock: systemClock,
    log,
    sandbox: async () => ({
      baseUrl: new URL((await (sandbox ??= startSandbox())).url),
      keys: [{ value: new Secret('sandbox'), notAfter: null }],
    }),
    ...more,
  })
  finallyClose(async () => {
    gateway.stop()
    await (await sandbox)?.close()
    noSecretIn([{ name: 'the log', bytes: Bun.inspect([lines, events, bugs], { depth: 8 }) }])
    if (bugs.length > 0)
      throw new AggregateError(
        bugs,
        `the gateway caught ${bugs.length} bugs: ${String((bugs[0] as Error).stack)}`,
      )
  })
  return {
    gateway,
    port: gateway.addresses.proxy[0]!.port,
    adminPort: gateway.addresses.admin.port,
    lines,
    bugs,
    reload: async (wanted) => gateway.reload(await load(wanted)),
    logged: (fits) => eventually(() => lines.find(fits), 'an access line'),
  }
}

/** A pause between two looks that took longer shows that this process stood still. */
const standstillMs = 100

/**
 * Polls until `done` gives something. A standstill of this process is no waiting, and behind the last moment is one more look:
 * what came meanwhile is read by then.
 */
export async function eventually<T>(
  done: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  what = 'something',
  timeoutMs = patienceMs,
): Promise<T> {
  let endsAtMs = performance.now() + timeoutMs
  for (let over = false; ;) {
    const found = await done()
    if (found !== undefined && found !== null && found !== false) return found
    const fromMs = performance.now()
    if (over) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    over = fromMs > endsAtMs
    await Bun.sleep(5)
    const sleptMs = performance.now() - fromMs
    if (sleptMs > standstillMs) endsAtMs += sleptMs
  }
}

/** A request as raw text, with the client's key. `lines`: more field lines. */
export function request(
  method: string,
  path: string,
  more: { lines?: readonly string[]; body?: string | Uint8Array; key?: string | null } = {},
): Buffer {
  const { lines = [], body, key = clientKey } = more
  const bytes = body === undefined ? null : typeof body === 'string' ? Buffer.from(body) : body
  const head = [
    `${method} ${path} HTTP/1.1`,
    'Host: gate.test',
    ...(key === null ? [] : [`Authorization: Bearer ${key}`]),
    ...lines,
    ...(bytes === null ? [] : [`Content-Length: ${bytes.length}`]),
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), bytes ?? Buffer.alloc(0)])
}

/** JSON body and its label, for `request`. */
export function jsonBody(value: unknown): { lines: string[]; body: string } {
  return { lines: ['Content-Type: application/json'], body: JSON.stringify(value) }
}

/** One request on a connection of its own, and its answer. */
export async function ask(port: number, bytes: string | Uint8Array, method = 'GET'): Promise<RawReply> {
  const peer = await dial(port)
  try {
    void peer.write(bytes)
    return await readReply(peer, method)
  } finally {
    peer.close()
  }
}

/** A gateway in a process of its own: `headgate serve`. */
export interface Served {
  readonly pid: number
  readonly port: number
  readonly adminPort: number
  readonly file: string
  readonly folder: string
  readonly exited: Promise<number>
  /** What it has printed so far. */
  readonly output: () => { stdout: string; stderr: string }
  readonly signal: (signal: NodeJS.Signals) => void
  /** Access log so far. */
  readonly lines: () => LogLine[]
  /** Resident memory now. */
  readonly rssBytes: () => number
  /** The first access line that fits, once it is there. */
  readonly logged: (fits: (line: LogLine) => boolean) => Promise<LogLine>
  /** Waits for text on stderr; gives all of stderr. */
  readonly says: (text: string | RegExp, from?: number) => Promise<string>
}

/** How a process ended that did not get as far as serving. */
export interface Refused {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface ServeOptions {
  readonly tree?: ConfigTree
  /** The configuration file's text, where it is to be something else than `tree`. */
  readonly text?: string
  readonly args?: readonly string[]
  readonly env?: Record<string, string>
  readonly folder?: string
}

const root = join(import.meta.dir, '..', '..')

/** Starts `headgate serve`; waits until it serves, or has ended. */
export async function serve(options: ServeOptions): Promise<Served | Refused> {
  const folder = options.folder ?? scratchFolder()
  const file =
    options.text === undefined ? writeConfig(options.tree ?? {}, folder) : join(folder, 'headgate.yaml')
  if (options.text !== undefined) writeFileSync(file, options.text)
  const child = Bun.spawn(
    [process.execPath, join(root, 'src/main.ts'), 'serve', '--config', file, ...(options.args ?? [])],
    {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, NO_COLOR: '1', ...options.env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  )
  const said = { stdout: '', stderr: '' }
  const drained = Promise.all([
    collect(child.stdout, (text) => (said.stdout += text)),
    collect(child.stderr, (text) => (said.stderr += text)),
  ])
  let code: number | null = null
  const exited = child.exited.then(async (status) => {
    await drained
    return (code = status)
  })
  finallyClose(async () => {
    if (code === null) child.kill('SIGKILL')
    await exited
    noSecretIn([
      { name: 'stdout', bytes: said.stdout },
      { name: 'stderr', bytes: said.stderr },
      ...(existsSync(join(folder, 'data')) ? filesOf(join(folder, 'data')) : []),
    ])
  })
  await eventually(() => code !== null || /Try it:/.test(said.stderr), 'the gateway to start', 30_000)
  if (code !== null) return { code, ...said }
  const logFile = join(folder, 'data', 'access.log')
  const lines = () => {
    const text = existing(logFile)
    return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as LogLine) // prettier-ignore
  }
  return {
    pid: child.pid,
    port: Number(/listening {2}http:\/\/[^\s,]+:(\d+)/.exec(said.stderr)![1]),
    adminPort: Number(/admin {6}http:\/\/[^\s,]+:(\d+)/.exec(said.stderr)![1]),
    file,
    folder,
    exited,
    output: () => said,
    signal: (signal) => child.kill(signal),
    lines,
    rssBytes: () =>
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) * 1024,
    logged: (fits) => eventually(() => lines().find(fits), 'an access line'),
    says: async (text, from = 0) => {
      const found = () =>
        typeof text === 'string' ? said.stderr.slice(from).includes(text) : text.test(said.stderr.slice(from))
      await eventually(() => found() || code !== null, `stderr to say ${text}`)
      if (!found())
        throw new Error(
          `the gateway ended with ${code} and never said ${text}, but: ${said.stderr.slice(from)}`,
        )
      return said.stderr.slice(from)
    },
  }
}

/** As `serve`, where it must succeed. */
export async function served(options: ServeOptions): Promise<Served> {
  const started = await serve(options)
  if ('code' in started) throw new Error(`headgate serve ended with ${started.code}: ${started.stderr}`)
  return started
}

function existing(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

async function collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }))
}

export type { Peer }
