// A command line run in this process, with what it prints.

import fs from 'node:fs'
import { spyOn } from 'bun:test'
import { runCli } from '../../src/cli/cli.ts'

/** How a command ended. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs one command line. */
export async function runCaptured(...args: string[]): Promise<Ran> {
  let out = ''
  let err = ''
  const spies = [
    spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true)),
    spyOn(fs, 'writeSync').mockImplementation(((descriptor: number, bytes: Buffer) => {
      if (descriptor === 1) out += bytes.toString()
      else err += bytes.toString()
      return bytes.length
    }) as typeof fs.writeSync),
  ]
  try {
    return { code: await runCli(args), out, err }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
