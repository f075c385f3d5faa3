// Streams recorded from real providers, where the test data is on this machine.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

const folder = resolve(
  process.env['HEADGATE_TEST_DATA'] ?? resolve(import.meta.dir, '../../../shared/data'),
  'streams',
)

/** The recorded streams are not on this machine. */
export const streamsMissing = !existsSync(folder)

export interface Recorded {
  readonly name: string
  /** Server-sent events, framed as the provider sent them. */
  readonly frames: readonly Buffer[]
}

/** Every recorded stream; empty where there are none. */
export function recordedStreams(): Recorded[] {
  if (streamsMissing) return []
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.chunks.txt'),
  )
  return names.toSorted().map((name) => {
    const lines = readFileSync(resolve(folder, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
    return { name, frames: [...lines, '[DONE]'].map((line) => Buffer.from(`data: ${line}\n\n`)) }
  })
}
