// What can only be told by looking at the machine: files, certificates, directories, dates. `check` shows it all, and
// `serve` looks before it opens a port, so that nothing starts by half.

import { constants } from 'node:fs'
import { access, mkdtemp, rmdir, stat } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { dirname, join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import type { LoadedConfig } from './load.ts'
import type { Finding, Problem } from './problem.ts'
import { fileTrouble, readText } from './read-text.ts'
import { readKeySet } from '../stages/2-authenticate/authenticate.ts'

/** Problems of a loaded configuration on this machine, beside its own warnings. Leaves nothing behind, opens no port. */
export async function verifyConfig(loaded: LoadedConfig, clock: Clock = systemClock): Promise<Problem[]> {
  const { config } = loaded
  const findings = [
    ...(await directory(config.storage.path, ['storage', 'path'], 'the data directory')),
    ...(config.log.file === null ? [] : await logFile(config.log.file, config.storage.path)),
    ...(await Promise.all(config.upstreams.map((upstream, index) => certificates(upstream, index)))).flat(),
    ...(await Promise.all(config.access.jwt.map((issuer, index) => tokenFiles(issuer, index)))).flat(),
    ...expired(loaded, clock.wallMs()),
    ...shortKeys(loaded),
  ]
  return findings.map((finding) => loaded.place(finding))
}

/** A log in the data directory has its folder looked at already: one cause, one line. */
async function logFile(file: string, dataPath: string): Promise<Finding[]> {
  const path = ['log', 'file']
  const found = await stat(file).catch(() => null)
  if (found?.isDirectory() === true) {
    const suggestion = 'name a file in it, such as access.log'
    return [{ path, message: `cannot write the log ${file}: it is a directory`, suggestion }]
  }
  if (found !== null) {
    const refused = await access(file, constants.W_OK).catch((cause: unknown) => cause)
    if (refused !== undefined && refused !== null) {
      const suggestion = 'name another file, or mend its rights'
      return [{ path, message: `cannot write the log ${file}: ${fileTrouble(refused)}`, suggestion }]
    }
  }
  return dirname(file) === dataPath ? [] : directory(dirname(file), path, "the log's folder")
}

/** The directory, or the nearest one above it that exists, must be one we can write into. */
async function directory(path: string, setting: string[], what: string): Promise<Finding[]> {
  const wrong = (message: string): Finding[] => [
    { path: setting, message, suggestion: 'name another place, or mend its rights' },
  ]
  for (let place = path; ; place = dirname(place)) {
    const found = await stat(place).catch((cause: unknown) => cause as Error)
    if (found instanceof Error) {
      if ((found as NodeJS.ErrnoException).code === 'ENOENT' && place !== dirname(place)) continue
      return wrong(`cannot use ${what} ${path}: ${fileTrouble(found)}`)
    }
    if (!found.isDirectory()) return wrong(`cannot use ${what} ${path}: ${place} is not a directory`)
    const refused = await refusal(place)
    if (refused === null) return []
    const verb = place === path ? 'write to' : 'create'
    return wrong(`cannot ${verb} ${what} ${path}: ${refused}`)
  }
}

/** Found out by doing it: for root, and of file systems like /proc, the rights alone promise more than holds. */
async function refusal(folder: string): Promise<string | null> {
  try {
    await rmdir(await mkdtemp(join(folder, '.headgate-check-')))
    return null
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    return code === 'ENOENT' ? `nothing can be created in ${folder}` : fileTrouble(cause)
  }
}

async function certificates(
  upstream: LoadedConfig['config']['upstreams'][number],
  index: number,
): Promise<Finding[]> {
  if (upstream.provider === 'sandbox' || upstream.tls.caFile === null) return []
  return authority(upstream.tls.caFile, ['upstreams', index, 'tls', 'caFile'])
}

/** What an issuer of tokens has in files: its keys, or the CA to fetch them by. */
async function tokenFiles(
  { jwksFile, tls }: LoadedConfig['config']['access']['jwt'][number],
  index: number,
): Promise<Finding[]> {
  const path = ['access', 'jwt', index]
  if (tls.caFile !== null) return authority(tls.caFile, [...path, 'tls', 'caFile'])
  if (jwksFile === undefined) return []
  const suggestion = 'name a file that holds a JSON Web Key Set: {"keys":[…]} with public keys'
  const wrong = (message: string, more?: Partial<Finding>): Finding => ({
    path: [...path, 'jwksFile'],
    message,
    suggestion,
    ...more,
  })
  const read = await readText(jwksFile, 256 * 1024)
  if ('wrong' in read) return [wrong(`cannot read ${jwksFile}: ${read.wrong}`)]
  try {
    const { leftAside } = readKeySet(Buffer.from(read.text))
    return leftAside.map((why) => wrong(`is left aside: ${why}`, { severity: 'warning', suggestion: null }))
  } catch (cause) {
    return [wrong(`${jwksFile} cannot be used: ${(cause as Error).message}`)]
  }
}

async function authority(caFile: string, path: (string | number)[]): Promise<Finding[]> {
  const suggestion = 'name a PEM file that holds the certificates of the CA'
  const wrong = (message: string): Finding[] => [{ path, message, suggestion }]
  const read = await readText(caFile, 4 * 1024 * 1024)
  if ('wrong' in read) return wrong(`cannot read ${caFile}: ${read.wrong}`)
  const blocks = read.text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) return wrong(`${caFile} holds no certificate`)
  for (const [place, block] of blocks.entries()) {
    if (!isCertificate(block)) return wrong(`certificate ${place + 1} in ${caFile} cannot be read`)
  }
  return []
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

function expired(loaded: LoadedConfig, nowMs: number): Finding[] {
  return loaded.config.upstreams.flatMap((upstream, index): Finding[] => {
    if (upstream.provider === 'sandbox' || upstream.keys.length === 0) return []
    const path = ['upstreams', index, 'keys']
    const old = upstream.keys.filter(({ notAfter }) => notAfter !== null && notAfter < nowMs)
    if (old.length === 0) return []
    if (old.length === upstream.keys.length) {
      return [{ path, message: 'every key is past its notAfter', suggestion: 'add a key' }]
    }
    return [
      {
        path,
        message: `${old.length} of ${upstream.keys.length} keys are past notAfter`,
        suggestion: 'remove them',
        severity: 'warning',
      },
    ]
  })
}

function shortKeys(loaded: LoadedConfig): Finding[] {
  return loaded.config.access.keys.flatMap((key, index): Finding[] => {
    if (key.value === undefined || key.value.reveal().length >= 16) return []
    const message = 'is shorter than 16 characters and can be guessed'
    return [
      {
        path: ['access', 'keys', index, 'value'],
        message,
        suggestion: '`headgate init` makes a key',
        severity: 'warning',
      },
    ]
  })
}
