// Certificates for tests, made by openssl in a folder that is removed again.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Without openssl there are no certificates. */
export const opensslMissing = Bun.which('openssl') === null

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** PEM of the private CA that signed `good`, `expired` and `otherName`. */
  readonly ca: string
  readonly good: Certificate
  readonly expired: Certificate
  /** For another host name. */
  readonly otherName: Certificate
  readonly selfSigned: Certificate
  /** Good, but signed by a CA nobody trusts. */
  readonly otherCa: Certificate
}

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-certificates-'))
  const at = (name: string) => join(folder, name)
  const run = (...parameters: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(['openssl', ...parameters], {
      stdout: 'ignore',
      stderr: 'pipe',
    })
    if (exitCode !== 0) throw new Error(stderr.toString())
  }
  const here = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const authority = (name: string) =>
    run(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.pem`),
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    )
  const signed = (name: string, by: { ca: string; names: string; dates: readonly string[] }): Certificate => {
    run(
      'req',
      ...newKey,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.csr`),
      '-subj',
      '/CN=headgate test',
    )
    writeFileSync(at(`${name}.ext`), by.names)
    const ca = [
      '-CA',
      at(`${by.ca}.pem`),
      '-CAkey',
      at(`${by.ca}.key`),
      '-CAcreateserial',
      '-extfile',
      at(`${name}.ext`),
    ]
    run('x509', '-req', '-in', at(`${name}.csr`), '-out', at(`${name}.pem`), ...ca, ...by.dates)
    return read(name)
  }
  const read = (name: string): Certificate => ({
    cert: readFileSync(at(`${name}.pem`), 'utf8'),
    key: readFileSync(at(`${name}.key`), 'utf8'),
  })
  try {
    authority('ca')
    authority('other-ca')
    run(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      at('self.key'),
      '-out',
      at('self.pem'),
      '-days',
      '30',
      '-subj',
      '/CN=localhost',
      '-addext',
      here,
    )
    const month = ['-days', '30']
    return {
      ca: readFileSync(at('ca.pem'), 'utf8'),
      good: signed('good', { ca: 'ca', names: here, dates: month }),
      expired: signed('expired', { ca: 'ca', names: here, dates: ['-days', '-1'] }),
      otherName: signed('other-name', { ca: 'ca', names: 'subjectAltName=DNS:other.test', dates: month }),
      selfSigned: read('self'),
      otherCa: signed('other', { ca: 'other-ca', names: here, dates: month }),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
