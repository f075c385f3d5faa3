// `npm test`: lint, format, types, then all tests; each of the first three counts as one test. Ends with the one line
// `N passed, N failed, N skipped`. `npm test -- <path>` runs only the tests of files whose path contains <path>.

import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensure } from './ensure.mjs'
import { findBun, root } from './launch.mjs'
import { closingLine, readCounts } from './summary.mjs'

const testTimeoutMs = 60_000
const runTimeoutMs = 30 * 60_000

const checks = [
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'format', command: ['oxfmt', '--check', '.'], mend: 'Run "npm run format".' },
  { name: 'types', command: ['tsc', '--noEmit'] },
]

const paths = process.argv.slice(2)
const counts = { passed: 0, failed: 0, skipped: 0 }
process.chdir(root)
const bun = ensure({ root, dev: true }) ? findBun({ root, path: process.env['PATH'] ?? '' }) : null
if (bun === null) {
  counts.failed++
} else {
  if (paths.length === 0) runChecks()
  await runTests(bun)
}
// One write, and nothing after it: this is the line that machines read.
process.stdout.write(`${closingLine(counts)}\n`)
process.exitCode = counts.failed === 0 ? 0 : 1

function runChecks() {
  for (const { name, command, mend } of checks) {
    section(name)
    const [program = '', ...args] = command
    const result = spawnSync(join('node_modules', '.bin', program), args, {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (result.error) console.log(`${program} cannot be run: ${result.error.message}`)
    const passed = result.status === 0
    counts[passed ? 'passed' : 'failed']++
    console.log(passed ? `${name}: fine` : `${name}: FAILED. ${mend ?? ''}`)
  }
}

/** @param {string} program Bun */
async function runTests(program) {
  section('tests')
  const { output, ended } = await tee(program, [
    'test',
    '--no-orphans',
    `--timeout=${testTimeoutMs}`,
    ...(paths.length > 0 ? paths : ['./src', './test']),
  ])
  const result = readCounts(output)
  counts.passed += result.passed
  counts.failed += result.failed
  counts.skipped += result.skipped
  if (!result.complete) console.log(`\nbun test broke off (${ended}): counted as a failure`)
  else if (ended !== 'exit code 0' && result.failed === 0) {
    console.log(`\nbun test ended with ${ended} though no test failed: counted as a failure`)
    counts.failed++
  }
  if (result.skipped > 0) {
    section('skipped')
    for (const name of result.skippedNames) console.log(`- ${name}`)
  }
}

/**
 * Runs a program, showing what it prints while keeping it.
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<{ output: string, ended: string }>} `ended` such as `exit code 1` or `SIGSEGV`
 */
function tee(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: testEnvironment() })
    const timer = setTimeout(() => {
      console.log(`\nthe tests did not end within ${runTimeoutMs / 60_000} minutes`)
      child.kill('SIGKILL')
    }, runTimeoutMs)
    let output = ''
    for (const [stream, out] of /** @type {const} */ ([
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])) {
      stream.setEncoding('utf8')
      stream.on('data', (text) => {
        output += text
        out.write(text)
      })
    }
    child.on('error', (cause) => (output += `${cause.message}\n`))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ output, ended: signal ?? `exit code ${code}` })
    })
  })
}

/** The environment for tests: without what would make Bun leave out the lines this script counts, or find live keys. */
function testEnvironment() {
  const env = { ...process.env }
  for (const name of ['CLAUDECODE', 'AGENT', 'REPL_ID', 'FORCE_COLOR', 'OPENAI_API_KEY', 'OPENAI_BASE_URL'])
    delete env[name]
  return env
}

/** @param {string} name */
function section(name) {
  console.log(`\n== ${name} ==`)
}
