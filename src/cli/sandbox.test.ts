import { expect, test } from 'bun:test'
import { faultNames } from '../sandbox/fault-names.ts'
import { startSandbox } from '../sandbox/sandbox.ts'
import { faultHelp } from './sandbox-help.ts'
import { parseListen } from './sandbox.ts'

const script = `import { runSandbox } from ${JSON.stringify(`${import.meta.dir}/sandbox.ts`)}\nprocess.exit(await runSandbox({ listen: process.argv[1] }))`

function run(listen: string) {
  return Bun.spawn([process.execPath, '-e', script, listen], { stdout: 'pipe', stderr: 'pipe' })
}

test('listen addresses', () => {
  expect(parseListen('127.0.0.1:8090')).toEqual({ hostname: '127.0.0.1', port: 8090 })
  expect(parseListen('[::1]:0')).toEqual({ hostname: '::1', port: 0 })
  expect(parseListen('8090')).toEqual({ hostname: '127.0.0.1', port: 8090 })
  expect(['x', 'a:b', '1.2.3.4:70000', '::1:80', ''].map(parseListen)).toEqual([null, null, null, null, null])
})

test('prints an address that answers, and ends on SIGTERM with 0', async () => {
  const child = run('127.0.0.1:0')
  const reader = child.stdout.getReader()
  let text = ''
  while (!text.includes('Stop with')) {
    const { value, done } = await reader.read()
    if (done) break
    text += new TextDecoder().decode(value)
  }
  const url = /http:\/\/127\.0\.0\.1:\d+\/v1/.exec(text)![0]
  const response = await fetch(`${url}/models`, { headers: { authorization: 'Bearer k' } })
  expect(response.status).toBe(200)
  // All of it, with the curl, stays in sight on the smallest terminal.
  const lines = text.trimEnd().split('\n')
  expect(lines.length).toBeLessThan(20)
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80)
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
})

test('help lists every fault within 80 columns', () => {
  const text = faultHelp()
  for (const { name } of faultNames) expect(text).toContain(`\n  ${name} `)
  expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80)
})

test('a port in use is one clear line and exit 1, a malformed address exit 2', async () => {
  const sandbox = await startSandbox()
  const child = run(`127.0.0.1:${sandbox.port}`)
  expect(await child.exited).toBe(1)
  const said = await new Response(child.stderr).text()
  expect(said).toBe(
    `headgate: cannot listen on 127.0.0.1:${sandbox.port}: the port is in use; choose another with --listen HOST:PORT\n`,
  )
  await sandbox.close()
  const wrong = run('nowhere')
  expect(await wrong.exited).toBe(2)
  expect(await new Response(wrong.stderr).text()).toContain('is not an address')
})
