// Installs what is missing, so that `npm start` and `npm test` work on a fresh clone with Node and npm alone.
// "Missing" is read from npm's own record of what it installed (node_modules/.package-lock.json), not from a stamp of
// ours: so an install by hand counts, and a changed lock file is noticed.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** @typedef {{ version?: string, dev?: boolean, optional?: boolean, devOptional?: boolean, peer?: boolean }} Locked */
/** @typedef {Record<string, Locked>} Packages */

/**
 * Packages that the lock file asks for and npm's record of the installed ones lacks, or has in another version.
 * @param {{ locked: Packages, installed: Packages, dev: boolean }} state `dev`: those for development count too
 * @returns {string[]} their folders, such as `node_modules/zod`
 */
export function missingPackages({ locked, installed, dev }) {
  const missing = []
  for (const [folder, wanted] of Object.entries(locked)) {
    if (folder === '' || wanted.optional) continue // the project itself; executables of other platforms
    if (!dev && (wanted.dev || wanted.devOptional)) continue
    if (installed[folder]?.version !== wanted.version) missing.push(folder)
  }
  return missing
}

/**
 * Installs packages if any are missing; silent if none are. Prints one line, and says why where it fails.
 * @param {{ root: string, dev: boolean }} options `dev`: also what tests, lint and types need
 * @returns {boolean} whether everything is in place
 */
export function ensure({ root, dev }) {
  const locked = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json')) ?? {}
  if (locked !== null && missingPackages({ locked, installed, dev }).length === 0) return true

  process.stderr.write('headgate: installing packages (once, some 100 MB; this can take a minute)\n')
  // A tree that has packages for development keeps them: leaving them out would delete them.
  const scope = dev || Object.values(installed).some((one) => one.dev) ? [] : ['--omit=dev']
  let result = npm(root, ['ci', ...scope])
  if (!result.ok && /EUSAGE|ENOLOCK/.test(result.output)) result = npm(root, ['install', ...scope])
  if (result.ok) return true
  process.stderr.write(`headgate: packages could not be installed: ${reason(result.output)}\n`)
  return false
}

/**
 * @param {string} path
 * @returns {Packages | null}
 */
function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? {}
  } catch {
    return null
  }
}

/**
 * @param {string} cwd
 * @param {string[]} args
 */
function npm(cwd, args) {
  // Under `npm start` this is the npm in use, which need not be the one on PATH.
  const script = process.env['npm_execpath'] ?? ''
  const [program, before] = basename(script) === 'npm-cli.js' ? [process.execPath, [script]] : ['npm', []]
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  const done = spawnSync(program, [...before, ...args, ...quiet], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = done.error ? `npm cannot be run (${done.error.message})` : `${done.stdout}${done.stderr}`
  return { ok: done.status === 0, output }
}

/**
 * The line of npm's output that says what went wrong.
 * @param {string} output
 */
function reason(output) {
  const lines = output.split('\n').map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
  const telling = lines.filter(
    (line) => line !== '' && !/^(code|A complete log|errno|syscall|Log files)/.test(line),
  )
  return telling[0] ?? 'npm gave no reason; run "npm ci" to see it'
}
