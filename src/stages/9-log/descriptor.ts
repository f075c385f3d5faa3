// An open descriptor as a place for lines: standard output, which is a terminal, a pipe or a file of someone else's.

import type { LineSink } from './line-queue.ts'
import { writeSome } from './write-some.ts'

const fullWaitMs = 10

/** Writes to a descriptor that others opened and close. */
export function descriptorSink(fd: number): LineSink {
  return {
    append: async (bytes, offset) => {
      try {
        return await writeSome(fd, bytes, offset)
      } catch (cause) {
        if ((cause as { code?: unknown }).code !== 'EAGAIN') throw cause
        // A pipe that does not block and is full: its reader is slow, not gone.
        await new Promise((resolve) => setTimeout(resolve, fullWaitMs))
        return 0
      }
    },
    reopen: () => {},
    close: () => {},
  }
}
