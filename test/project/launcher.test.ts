// How the program is started: through a symlink, from anywhere, with whatever Bun there is; signals and exit codes
// come through. On a made-up project, so that the launcher alone is tested.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { findBun, shown } from '../../scripts/launch.mjs'

const project = resolve(import.meta.dir, '../..')
const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string }

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-launcher-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Node, so that the launcher runs as it does for users; tests themselves run in Bun. */
const node = Bun.which('node') ?? ''

function runSync(command: string[], cwd: string): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd, stdin: 'ignore' })
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}

/** A project with the real launcher, and a program in place of the server. */
function madeUpProject(name: string, main: string): string {
  const root = join(folder, name)
  for (const part of ['bin', 'scripts', 'src', 'node_modules/.bin'])
    mkdirSync(join(root, part), { recursive: true })
  for (const file of ['bin/headgate', 'bin/package.json', 'scripts/launch.mjs', 'bunfig.toml']) {
    copyFileSync(join(project, file), join(root, file))
  }
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(root, 'src/main.ts'), main)
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/bun'))
  return root
}

function executable(path: string, bytes = 2 * 1024 * 1024): string {
  mkdirSync(resolve(path, '..'), { recursive: true })
  writeFileSync(path, '#!/bin/sh\n')
  truncateSync(path, bytes)
  chmodSync(path, 0o755)
  return path
}

describe('bin/headgate', () => {
  test('runs from any folder, through a symlink', () => {
    const link = join(folder, 'headgate')
    symlinkSync(join(project, 'bin/headgate'), link)
    const { code, out, err } = runSync([link, 'version'], folder)
    expect({ code, out, err }).toEqual({
      code: 0,
      out: `headgate ${version} (bun ${Bun.version})\n`,
      err: '',
    })
  })

  test('wrong usage is one line and exit code 2', () => {
    const { code, out, err } = runSync([join(project, 'bin/headgate'), 'sevre'], folder)
    expect({ code, out, err }).toEqual({
      code: 2,
      out: '',
      err: `headgate: unknown command 'sevre' (Did you mean serve?) See "headgate help".\n`,
    })
  })

  test('says what to do where there is no Bun', () => {
    const root = madeUpProject('without', '')
    rmSync(join(root, 'node_modules'), { recursive: true })
    const done = Bun.spawnSync([node, join(root, 'bin/headgate'), 'version'], { env: { PATH: '/nowhere' } })
    expect(done.exitCode).toBe(1)
    const mend = `Run "npm start" or "npm ci --omit=dev" in ${root}\n`
    expect(done.stderr.toString()).toBe(`headgate: Bun is not installed. ${mend}`)
    const elsewhere = dirname(executable(join(folder, 'elsewhere', 'bun')))
    const packageless = Bun.spawnSync([node, join(root, 'bin/headgate'), 'version'], {
      env: { PATH: elsewhere },
    })
    expect(packageless.stderr.toString()).toBe(`headgate: its packages are not installed. ${mend}`)
  })

  test('a path is shown as a shell takes it', () => {
    expect(['/opt/headgate', '/opt/my gate', "/opt/it's"].map(shown)).toEqual([
      '/opt/headgate',
      "'/opt/my gate'",
      `'/opt/it'\\''s'`,
    ])
  })

  test('takes nothing from the folder it is started in', () => {
    const root = madeUpProject('closed', 'console.log(process.env.SURPRISE ?? "no surprise")')
    const cwd = join(folder, 'hostile')
    mkdirSync(cwd)
    writeFileSync(join(cwd, '.env'), 'SURPRISE=from-dotenv\n')
    writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./preload.ts"]\n')
    writeFileSync(join(cwd, 'preload.ts'), 'process.env.SURPRISE = "from-preload"')
    expect(runSync([node, join(root, 'bin/headgate')], cwd)).toEqual({
      code: 0,
      out: 'no surprise\n',
      err: '',
    })
  })

  test('has freed memory kept for a moment, unless the environment says otherwise', () => {
    const root = madeUpProject('memory', 'console.log(process.env.MIMALLOC_PURGE_DELAY)')
    const run = (env: Record<string, string>): string =>
      Bun.spawnSync([node, join(root, 'bin/headgate')], { env: { PATH: process.env['PATH'] ?? '', ...env } })
        .stdout.toString()
        .trim()
    expect([run({}), run({ MIMALLOC_PURGE_DELAY: '10' })]).toEqual(['2000', '10'])
  })

  test('hands on arguments and the exit code', () => {
    const root = madeUpProject('codes', 'console.log(JSON.stringify(process.argv.slice(2))); process.exit(7)')
    const { code, out } = runSync(
      [node, join(root, 'bin/headgate'), 'serve', '--config', 'a b.yaml', '--', '*'],
      folder,
    )
    expect(code).toBe(7)
    expect(JSON.parse(out)).toEqual(['serve', '--config', 'a b.yaml', '--', '*'])
  })
})

describe('signals sent to the launcher', () => {
  const listener = `
    for (const name of ['SIGHUP', 'SIGTERM', 'SIGINT']) {
      process.on(name, () => {
        console.log(name)
        if (name !== 'SIGHUP') process.exit(name === 'SIGTERM' ? 3 : 4)
      })
    }
    setInterval(() => {}, 1000)
    console.log('ready', process.pid)`

  /** Starts the launcher and reads its lines one by one. */
  function start(root: string) {
    const launcher = Bun.spawn([node, join(root, 'bin/headgate')], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const reader = launcher.stdout.getReader()
    const decoder = new TextDecoder()
    let buffered = ''
    const line = async (): Promise<string> => {
      while (!buffered.includes('\n')) {
        const { value, done } = await reader.read()
        if (done) return buffered
        buffered += decoder.decode(value, { stream: true })
      }
      const end = buffered.indexOf('\n')
      const first = buffered.slice(0, end)
      buffered = buffered.slice(end + 1)
      return first
    }
    return { launcher, line }
  }

  test.each([
    ['SIGTERM', 3],
    ['SIGINT', 4],
  ] as const)('SIGHUP and %s arrive, and the exit code comes back', async (signal, code) => {
    const { launcher, line } = start(madeUpProject(`signals-${signal}`, listener))
    expect(await line()).toStartWith('ready')
    launcher.kill('SIGHUP')
    expect(await line()).toBe('SIGHUP')
    launcher.kill(signal)
    expect(await line()).toBe(signal)
    expect(await launcher.exited).toBe(code)
  })

  test('a server that a signal killed shows as 128 + its number', async () => {
    const { launcher } = start(
      madeUpProject('killed', `process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)`),
    )
    expect(await launcher.exited).toBe(137)
  })

  test('the server does not outlive a launcher that was killed outright', async () => {
    const { launcher, line } = start(madeUpProject('orphan', listener))
    const server = Number((await line()).split(' ')[1])
    expect(server).toBeGreaterThan(1)
    launcher.kill('SIGKILL')
    await launcher.exited
    const deadline = Date.now() + 30_000
    while (isAlive(server) && Date.now() < deadline) await Bun.sleep(20)
    expect(isAlive(server)).toBe(false)
  })
})

describe('Bun is found', () => {
  test('where npm put it, before the one on PATH', () => {
    const root = join(folder, 'found')
    const onPath = executable(join(root, 'elsewhere/bun'))
    const where = { root, path: `/nowhere:${join(root, 'elsewhere')}` }
    expect(findBun(where)).toBe(onPath)
    const platform = executable(join(root, 'node_modules/@oven/bun-linux-x64/bin/bun'))
    expect(findBun(where)).toBe(platform)
    const moved = executable(join(root, 'node_modules/bun/bin/bun.exe'))
    expect(findBun(where)).toBe(moved)
    const linked = executable(join(root, 'node_modules/.bin/bun'))
    expect(findBun(where)).toBe(linked)
  })

  test('not the script that stands in for it where install scripts are switched off', () => {
    const root = join(folder, 'scripts-off')
    executable(join(root, 'node_modules/.bin/bun'), 450)
    executable(join(root, 'node_modules/bun/bin/bun.exe'), 450)
    expect(findBun({ root, path: '' })).toBeNull()
    const platform = executable(join(root, 'node_modules/@oven/bun-linux-x64/bin/bun'))
    expect(findBun({ root, path: '' })).toBe(platform)
  })

  test('not where it cannot be executed', () => {
    const root = join(folder, 'unexecutable')
    chmodSync(executable(join(root, 'node_modules/bun/bin/bun.exe')), 0o644)
    mkdirSync(join(root, 'node_modules/.bin/bun'), { recursive: true })
    expect(findBun({ root, path: '' })).toBeNull()
  })
})

function isAlive(pid: number): boolean {
  try {
    // A process that has ended but was not yet waited for still takes signals: its state tells.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
