// Runs Bun from Node and stands in for it: same terminal, same signals, same exit code. Node 20 has no exec, so the
// launcher stays in between; it forwards signals, and Bun ends itself should the launcher be killed outright.
// Refused: detaching the child, which would take it out of reach of Ctrl-C and of whoever stops
// a whole process group. The price: a group-wide signal may arrive twice, so the server counts signals that come
// together as one.

import { spawn } from 'node:child_process'
import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder, with a trailing slash. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** Bun is some 100 MB; what stands in for it is below 1 KB. */
const bunBytesMin = 1024 * 1024

const forwarded = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'])

/**
 * Bun's executable: the pinned package first, in each place where npm may have left it, then `bun` on PATH.
 * @param {{ root: string, path: string }} where the project's folder, and the value of PATH
 * @returns {string | null} a path that can be executed; null = there is no Bun
 */
export function findBun(where) {
  const modules = join(where.root, 'node_modules')
  // With install scripts switched off the first two are a small script that only complains, and the executable is
  // still in the package for this platform.
  const installed = [join(modules, '.bin', 'bun'), join(modules, 'bun', 'bin', 'bun.exe')]
  for (const name of list(join(modules, '@oven'))) {
    if (name.startsWith('bun-')) installed.push(join(modules, '@oven', name, 'bin', 'bun'))
  }
  const onPath = where.path.split(delimiter).flatMap((folder) => (folder === '' ? [] : [join(folder, 'bun')]))
  return (
    installed.find((path) => executable(path, bunBytesMin)) ??
    onPath.find((path) => executable(path, 1)) ??
    null
  )
}

/**
 * Runs `headgate <args>` until it ends, then ends this process the same way.
 * @param {string[]} args
 */
export async function launch(args) {
  const bun = findBun({ root, path: process.env['PATH'] ?? '' })
  // Bun from elsewhere does not help where the packages are missing.
  const lacking =
    bun === null ? 'Bun is' : list(join(root, 'node_modules')).length === 0 ? 'its packages are' : ''
  if (bun === null || lacking !== '') {
    const where = shown(root.replace(/[\\/]$/, ''))
    process.stderr.write(
      `headgate: ${lacking} not installed. Run "npm start" or "npm ci --omit=dev" in ${where}\n`,
    )
    process.exitCode = 1
    return
  }
  // Nothing is picked up from the folder it happens to be started in: no .env, no bunfig.toml with code to preload,
  // no packages installed on the fly.
  const fixed = ['--no-orphans', '--no-env-file', '--no-install', `--config=${join(root, 'bunfig.toml')}`]
  await become(bun, [...fixed, join(root, 'src', 'main.ts'), ...args], memory)
}

/**
 * Memory that a collection has freed goes back to the system two seconds later, and not at once: under load it is wanted again
 * within a tenth of that, and giving and taking it took a tenth of the processor time.
 */
export const memory = { MIMALLOC_PURGE_DELAY: '2000' }

/**
 * Runs a program in this one's place: its signals, its exit code, or its death by a signal.
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} [defaults] variables of its environment, where they are not set
 * @returns {Promise<void>} resolves when the program has ended
 */
export function become(program, args, defaults = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env: { ...defaults, ...process.env } })
    for (const signal of forwarded) {
      process.on(signal, () => {
        // A terminal sends Ctrl-C to the whole group: the child has it already.
        if (signal === 'SIGINT' && process.stdin.isTTY) return
        child.kill(signal)
      })
    }
    child.on('error', (cause) => {
      process.stderr.write(`headgate: cannot run ${program}: ${cause.message}\n`)
      process.exitCode = 1
      resolve()
    })
    child.on('exit', (code, signal) => {
      process.exitCode = code ?? 128 + (signal === null ? 0 : osConstants.signals[signal])
      resolve()
    })
  })
}

/**
 * A path as it can be pasted into a shell.
 * @param {string} path
 */
export function shown(path) {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/**
 * @param {string} path
 * @param {number} bytesMin
 */
function executable(path, bytesMin) {
  try {
    accessSync(path, constants.X_OK)
    const about = statSync(path)
    return about.isFile() && about.size >= bytesMin
  } catch {
    return false
  }
}
