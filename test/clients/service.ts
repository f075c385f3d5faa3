// What each client is run against: a gateway in this process, the fake OpenAI behind it, one key on each side. After
// every test the requests that reached the upstream are looked through, whatever the test was about: each carried the
// upstream's key and nothing of the client's, and the gateway caught no bug.
// Hooks are registered by the call and not by this module: modules are evaluated once for all test files of a run, so a
// hook at the top would belong to the first file alone.

import { afterAll, afterEach, expect, setDefaultTimeout } from 'bun:test'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import {
  clientKey,
  startGate,
  upstreamAt,
  upstreamKey,
  type ConfigTree,
  type Gate,
  type LogLine,
} from '../gateway/harness.ts'

export { clientKey, eventually, upstreamKey } from '../gateway/harness.ts'

/** A gateway with the fake OpenAI behind it. */
export interface Service {
  readonly gate: Gate
  readonly sandbox: Sandbox
  /** `http://127.0.0.1:PORT` of the gateway. */
  readonly origin: string
  /** What a user puts in place of OpenAI's: `origin` with `/v1`. */
  readonly baseURL: string
}

/** Starts both for one test file; call it at the file's top. `upstream`: more options of the upstream. */
export async function startService(upstream: ConfigTree = {}): Promise<Service> {
  setDefaultTimeout(60_000)
  const sandbox = await startSandbox({ keys: [upstreamKey] })
  const gate = await startGate({ upstreams: [upstreamAt(sandbox.url, upstream)] })
  afterEach(() => {
    const seen = sandbox.requests
    sandbox.reset()
    expectHiddenKeys(seen)
    expect(gate.bugs).toEqual([])
    expect(gate.lines.filter(unknownThoughServed)).toEqual([])
  })
  afterAll(async () => {
    gate.gateway.stop()
    await sandbox.close()
  })
  const origin = `http://127.0.0.1:${gate.port}`
  return { gate, sandbox, origin, baseURL: `${origin}/v1` }
}

/** What a client has a method for, the gateway has a name for. OpenAI's reference has no HEAD. */
function unknownThoughServed({ endpoint, status, method, path }: LogLine): boolean {
  return endpoint === 'unknown' && status < 400 && method !== 'HEAD' && !path.startsWith('/v1/echo')
}

/** Every request that arrived carries the upstream's key once and the client's nowhere. */
function expectHiddenKeys(requests: Sandbox['requests']): void {
  for (const { method, target, headers, body } of requests) {
    // The sandbox's own controls are asked directly.
    if (target.startsWith('/sandbox/')) continue
    const credentials = headers.filter(([name]) => /^(?:authorization|api-key|x-api-key|cookie)$/i.test(name))
    expect({ method, target, credentials }).toEqual({
      method,
      target,
      credentials: [['Authorization', `Bearer ${upstreamKey}`]],
    })
    const all = `${target}\n${headers.flat().join('\n')}\n${Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1')}`
    expect(all.includes(clientKey)).toBe(false)
  }
}

/**
 * What a call was rejected with; a call that succeeds fails the test. (`expect().rejects` looks into a promise instead of
 * asking its `then`, which the clients' promises override.)
 */
export async function caught<T extends Error>(
  call: PromiseLike<unknown>,
  kind: abstract new (...args: never[]) => T,
): Promise<T> {
  let outcome: unknown
  try {
    outcome = await call
  } catch (cause) {
    expect(cause).toBeInstanceOf(kind)
    return cause as T
  }
  throw new Error(`expected a ${kind.name}, got ${JSON.stringify(outcome)}`)
}

/** Reads a stream to its end; gives how many items it had. `each` is called with how many there were so far. */
export async function countOf(
  stream: AsyncIterable<unknown>,
  each: (count: number, item: unknown) => void = () => {},
): Promise<number> {
  let count = 0
  for await (const item of stream) each(++count, item)
  return count
}

/** Reads one item of a stream and leaves it. */
export async function firstOf<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const item of stream) return item
  throw new Error('the stream has no items')
}

/** How a program ended that was run as a client. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a client in a process of its own, told by its environment where the gateway is, as users do. */
export async function run(
  command: readonly string[],
  more: { readonly env?: Record<string, string>; readonly stdin?: Uint8Array } = {},
): Promise<Ran> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...more.env },
    cwd: `${import.meta.dir}/../..`,
    stdin: more.stdin ?? 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 50_000,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { code: await child.exited, stdout, stderr }
}

/** Starts a script of checks at the first call; gives each check's outcome, `ok` or what went wrong. */
export function checksOf(command: readonly string[], service: Service): (name: string) => Promise<string> {
  let outcomes: Promise<Record<string, string>> | null = null
  return async (name) => (await (outcomes ??= runChecks(command, service)))[name] ?? 'was not run'
}

/** The last line that such a script prints is a JSON object: outcomes by the checks' names. */
async function runChecks(
  command: readonly string[],
  { baseURL, sandbox }: Service,
): Promise<Record<string, string>> {
  const env = { OPENAI_API_KEY: clientKey, OPENAI_BASE_URL: baseURL, SANDBOX: sandbox.origin }
  const { code, stdout, stderr } = await run(command, { env })
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  if (code !== 0 || !last.startsWith('{'))
    throw new Error(`${command.join(' ')} ended with ${code}\n${stdout}\n${stderr}`)
  return JSON.parse(last) as Record<string, string>
}
