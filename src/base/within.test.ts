import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { within } from './within.ts'

test('what does not come in time is given up, what fails fails', async () => {
  expect(await within(new Promise(() => {}), 5, 'nothing')).toBe('nothing')
  expect(await within(Promise.resolve('it'), 5, 'nothing')).toBe('it')
  expect(within(Promise.reject(new Error('no')), 5, 'nothing')).rejects.toThrow('no')
})

const waitMs = 200
const program = `
const { within } = await import(${JSON.stringify(join(import.meta.dir, 'within.ts'))})
const word = Bun.stdin.stream().getReader().read().then(({ value }) => Buffer.from(value).toString())
const heard = within(word, ${waitMs}, 'nothing')
process.stdout.write('waits ')
process.stdout.write(await heard)
process.exit(0)`

/** What a process hears that is stopped while it waits, and told meanwhile. Null = its wait was over before it stood. */
async function heardBehindStandstill(): Promise<string | null> {
  const child = Bun.spawn([process.execPath, '-e', program], { stdin: 'pipe', stdout: 'pipe' })
  try {
    let said = ''
    const waits = Promise.withResolvers<void>()
    const ended = (async () => {
      for await (const bytes of child.stdout) {
        if (said === '') child.kill('SIGSTOP')
        said += Buffer.from(bytes).toString()
        waits.resolve()
      }
    })()
    await waits.promise
    await Bun.sleep(2 * waitMs)
    if (said !== 'waits ') return null
    void child.stdin.write('hello')
    void child.stdin.flush()
    child.kill('SIGCONT')
    await ended
    return said.slice('waits '.length)
  } finally {
    child.kill('SIGKILL')
    await child.exited
  }
}

test('what came while this process stood still has come in time', async () => {
  const heard: (string | null)[] = []
  // One that could not be stopped in time shows nothing.
  while (heard.filter((each) => each !== null).length < 3) heard.push(await heardBehindStandstill())
  expect(heard.filter((each) => each !== null)).toEqual(['hello', 'hello', 'hello'])
}, 60_000)
