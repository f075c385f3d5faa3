// Callers without any credential, where the configuration lets them in.

import { nobody, type Principal } from '../../exchange.ts'
import type { Authenticator } from './authenticator.ts'

const anonymous: Principal = { ...nobody, kind: 'anonymous', models: null, endpoints: null }

export function createAnonymous(allowed: boolean): Authenticator {
  return { identify: (credential) => (allowed && credential === null ? anonymous : null) }
}
