// Callers without any credential, where the configuration lets them in.

import { nobody, type Principal } from '../../exchange.ts'
import type { Authenticator } from './authenticator.ts'

const unbound = { models: null, endpoints: null, addresses: null, userAgents: null }
const anonymous: Principal = { ...nobody, ...unbound, kind: 'anonymous' }

export function createAnonymous(allowed: boolean): Authenticator {
  return { identify: (credential) => (allowed && credential === null ? anonymous : null) }
}
