// What can only be told by looking at the machine: files, certificates, directories, dates. `check` shows it all, and
// `serve` looks before it opens a port, so that nothing starts by half.

import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { dirname } from 'node:path'
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import type { LoadedConfig } from './load.ts'
import type { Finding, Problem } from './problem.ts'
import { fileTrouble, readText } from './read-text.ts'
import { readKeySet } from '../stages/2-authenticate/authenticate.ts'

/** Problems of a loaded configuration on this machine, beside its own warnings. Changes nothing, opens no port. */
export async function verifyConfig(loaded: LoadedConfig, clock: Clock = systemClock): Promise<Problem[]> {
  const { config } = loaded
  const findings = [
    ...(await directory(config.storage.path, ['storage', 'path'], 'the data directory')),
    ...(config.log.file === null
      ? []
      : await directory(dirname(config.log.file), ['log', 'file'], "the log's folder")),
    ...(await Promise.all(config.upstreams.map((upstream, index) => certificates(upstream, index)))).flat(),
    ...(await Promise.all(config.access.jwt.map((issuer, index) => tokenFiles(issuer, index)))).flat(),
    ...expired(loaded, clock.wallMs()),
    ...shortKeys(loaded),
  ]
  return findings.map((finding) => loaded.place(finding))
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
    const refused = await access(place, constants.W_OK | constants.X_OK).catch((cause: unknown) => cause)
    return refused === undefined || refused === null
      ? []
      : wrong(`cannot write to ${what} ${path}: ${fileTrouble(refused)}`)
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
