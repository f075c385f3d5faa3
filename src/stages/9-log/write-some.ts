// One write to a descriptor, which may take less than all: who writes keeps the rest.

import { write } from 'node:fs'

/** Writes part of a buffer at the file's end. Resolves to the number of bytes taken. */
export function writeSome(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}
