// `npm run lock`: completes package-lock.json after packages were added or raised. npm leaves an optional package out
// of the lock file, without a word, when the registry in use cannot serve it, as mirrors do with executables of other
// platforms; `npm ci` then refuses the lock file everywhere. The entries added carry no checksum: npm adds it on the
// platform that installs them.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './launch.mjs'

/** @typedef {{ version?: string, dev?: boolean, optional?: boolean, os?: string[], cpu?: string[], libc?: string[], optionalDependencies?: Record<string, string>, engines?: object, license?: string }} Entry */

/**
 * Entries for the platform packages that a lock file names but does not hold.
 * @param {Record<string, Entry>} packages `packages` of package-lock.json
 * @returns {Record<string, Entry>} by folder, such as `node_modules/@oxlint/binding-darwin-x64`
 */
export function missingPlatforms(packages) {
  /** @type {Record<string, Entry>} */
  const missing = {}
  for (const parent of Object.values(packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const folder = `node_modules/${name}`
      const platform = platformOf(name)
      if (folder in packages || platform === null || !/^\d+\.\d+\.\d+$/.test(version)) continue
      const { cpu, libc, os } = platform
      // In npm's own order, so that npm changes nothing when it writes the file again.
      missing[folder] = {
        version,
        cpu,
        ...(parent.dev ? { dev: true } : {}),
        ...(libc === undefined ? {} : { libc }),
        license: parent.license,
        optional: true,
        os,
        engines: parent.engines,
      }
    }
  }
  return missing
}

const systems = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]
const processors = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

/**
 * Where a package runs, by the custom of naming: `binding-linux-arm64-musl`.
 * @param {string} name
 */
function platformOf(name) {
  const words = (name.split('/')[1] ?? '').split('-')
  const os = systems.find((one) => words.includes(one))
  const cpu = processors.find((one) => words.includes(one))
  if (os === undefined || cpu === undefined) return null
  const libc = words.find((word) => /^(gnu|musl)/.test(word))
  if (os !== 'linux' || libc === undefined) return { cpu: [cpu], libc: undefined, os: [os] }
  return { cpu: [cpu], libc: [libc.startsWith('musl') ? 'musl' : 'glibc'], os: [os] }
}

if (process.argv[1]?.endsWith('lock.mjs')) {
  const path = join(root, 'package-lock.json')
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  const missing = missingPlatforms(lock.packages)
  const all = Object.entries({ ...lock.packages, ...missing })
  lock.packages = Object.fromEntries(all.sort(([a], [b]) => a.localeCompare(b, 'en')))
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
  console.log(`package-lock.json: ${Object.keys(missing).length} platform packages added`)
}
