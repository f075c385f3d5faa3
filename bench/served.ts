// A whole gateway as its own process, for benches that look into its books afterwards or kill it: its configuration and
// its data lie in one folder, which outlives it.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'

/** The key that clients use. */
export const servedKey = 'hg_bench_served_key_0123456789abcdef'

/** A gateway that listens. */
export interface Served {
  readonly gate: Subprocess
  /** Of chat completions. */
  readonly url: string
  /** What it said on standard error, once it has ended. */
  readonly said: () => Promise<string>
}

/** Writes the configuration of a gateway before an upstream. @returns its folder; the data are in `data` below it */
export function servedFolder(name: string, upstreamPort: number, more: object = {}): string {
  const folder = mkdtempSync(join(tmpdir(), `headgate-${name}-`))
  const config = {
    server: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    storage: { path: 'data' },
    upstreams: [
      {
        name: 'main',
        provider: 'openai',
        baseUrl: `http://127.0.0.1:${upstreamPort}/v1`,
        keys: ['sk-bench'],
      },
    ],
    access: { keys: [{ name: 'bench', value: servedKey, team: 'core' }] },
    ...more,
  }
  writeFileSync(join(folder, 'headgate.yaml'), JSON.stringify(config))
  return folder
}

/** Starts it and waits until it listens. @throws Error with what it said where it does not */
export async function startServed(folder: string): Promise<Served> {
  const main = join(import.meta.dir, '..', 'src', 'main.ts')
  const gate = Bun.spawn([process.execPath, main, 'serve', '--config', join(folder, 'headgate.yaml')], {
    cwd: folder,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, NO_COLOR: '1' },
  })
  let text = ''
  const reader = gate.stderr.getReader()
  while (!/Try it:/.test(text)) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`the gateway did not start: ${text}`)
    text += Buffer.from(value).toString()
  }
  const rest = (async () => {
    for (let read = await reader.read(); !read.done; read = await reader.read())
      text += Buffer.from(read.value).toString()
    return text
  })()
  return { gate, url: `${/listening {2}(\S+)/.exec(text)![1]}/v1/chat/completions`, said: () => rest }
}
