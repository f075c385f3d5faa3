// Promise: a second gateway that serves from one data directory is warned about, and one that follows another is not.

import { expect, test } from 'bun:test'
import { promiseTests, scratchFolder, served } from './harness.ts'

promiseTests()

const warning = 'another gateway serves from'

test('is warned about, also after the first has come back from kill -9', async () => {
  const folder = scratchFolder()
  const first = await served({ folder })
  expect(first.output().stderr).not.toContain(warning)
  const second = await served({ folder })
  await second.says(warning)
  first.signal('SIGKILL')
  second.signal('SIGTERM')
  await Promise.all([first.exited, second.exited])
  const third = await served({ folder })
  third.signal('SIGTERM')
  await third.exited
  expect(third.output().stderr).not.toContain(warning)
})
