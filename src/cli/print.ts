// What commands say. Written at once and by hand: a standard output that is full or gone must show in the exit code
// (a key that is shown once may not get lost with "ok"), and a standard error that cannot be written must neither hang
// nor end a server. The runtime's own streams do both: they retry a full disk for ever.

import fs from 'node:fs'

const waitMs = 10
const triesMax = 200

/** Writes a text and a line end to standard output. @returns false where it could not be written whole */
export function print(text: string): boolean {
  return writeAll(1, `${text}\n`)
}

/** Writes to standard error; what cannot be written is dropped. */
export function printError(text: string): void {
  writeAll(2, text)
}

/** Exit code of a command whose result is `text` on standard output. */
export function printed(text: string): number {
  if (print(text)) return 0
  printError('headgate: standard output cannot be written\n')
  return 1
}

function writeAll(descriptor: number, text: string): boolean {
  const bytes = Buffer.from(text, 'utf8')
  let offset = 0
  for (let tries = 0; offset < bytes.length && tries < triesMax;) {
    try {
      offset += fs.writeSync(descriptor, bytes, offset)
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== 'EAGAIN') return false
      // A pipe that does not block and is full: its reader is slow, not gone.
      tries++
      Bun.sleepSync(waitMs)
    }
  }
  return offset === bytes.length
}
