// Runs the command of `${command:…}`. It gets its own process group: a shell that is killed alone leaves its children
// behind with our pipe open, and reading would never end. What it prints is a secret: no message repeats it.

import { spawn } from 'node:child_process'
import type { Environment } from './env.ts'

export interface CommandOptions {
  readonly folder: string
  readonly env: Environment
  readonly timeoutMs: number
  readonly outputBytesMax: number
}

/** What the command printed, without spaces and line breaks around it; or what went wrong, fit for a message. */
export type CommandResult = { readonly output: string } | { readonly wrong: string }

/** Runs `text` with `sh -c`, without input. Never throws. */
export function runCommand(text: string, options: CommandOptions): Promise<CommandResult> {
  const { promise, resolve } = Promise.withResolvers<CommandResult>()
  const child = spawn('sh', ['-c', text], {
    cwd: options.folder,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output: Buffer[] = []
  let complaint = ''
  let outputBytes = 0
  const stop = (wrong: string): void => {
    resolve({ wrong })
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // The group is gone already.
    }
    child.stdout.destroy()
    child.stderr.destroy()
  }
  const timer = setTimeout(
    () => stop(`the command did not end within ${options.timeoutMs / 1000} s`),
    options.timeoutMs,
  )
  child.stdout.on('data', (bytes: Buffer) => {
    outputBytes += bytes.length
    if (outputBytes > options.outputBytesMax)
      stop(`the command printed more than ${options.outputBytesMax} bytes`)
    else output.push(bytes)
  })
  child.stderr.on('data', (bytes: Buffer) => {
    if (complaint.length < 1024) complaint += bytes.toString()
  })
  child.on('error', () => stop('the command could not be started: there is no sh'))
  child.on('close', (code, signal) => {
    clearTimeout(timer)
    if (code === 0) return resolve({ output: Buffer.concat(output).toString().trim() })
    const ending = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`
    const said = firstLine(complaint)
    resolve({ wrong: `the command ${ending}${said === '' ? '' : `: ${said}`}` })
  })
  return promise
}

/** Runs the command of a token that expires, where the process was started. Never throws. */
export function runTokenCommand(text: string, env: Environment): Promise<CommandResult> {
  return runCommand(text, { folder: process.cwd(), env, timeoutMs: 30_000, outputBytesMax: 64 * 1024 })
}

/** The first line that says something, without control characters, so that it cannot repaint a terminal. */
function firstLine(text: string): string {
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? ''
  return line
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '')
    .trim()
    .slice(0, 200)
}
