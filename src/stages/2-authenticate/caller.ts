// Where a request comes from, around the question whose it is: address and user agent for all are judged before the
// credential is looked at (a machine that may not call learns nothing about keys), those of one key after it, as nobody
// knows whose they are before. Here too: the names an application gives, and the bound on failed credentials.

import type { Clock } from '../../base/clock.ts'
import type { Exchange, Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { createAddressRules, type AddressLists, type AdmitsAddress } from './address-rules.ts'
import { createGuessing, type GuessingOptions } from './guessing.ts'
import { createIdentity, type IdentityOptions } from './identity.ts'
import { isGuess } from './invalid-key.ts'
import { createUserAgentRules, type AdmitsUserAgent, type UserAgentLists } from './user-agents.ts'

/** What is configured about callers, whoever they are. */
export interface CallerOptions {
  readonly addresses: AddressLists
  readonly userAgents: UserAgentLists
  readonly identity: IdentityOptions
  readonly guessing: GuessingOptions
}

export interface Caller {
  /** Judges where a request comes from. @throws Failure('access_denied') */
  admit(x: Exchange): void
  /** Sets the principal, with the names it may take. @throws Failure('access_denied' | 'bad_request') */
  enter(x: Exchange, principal: Principal): void
  /** What to throw for a credential that failed with `cause`: that, or 429 where too many have. */
  failed(x: Exchange, cause: unknown): unknown
}

interface Rules {
  readonly address: AdmitsAddress | null
  readonly userAgent: AdmitsUserAgent | null
}

export function createCaller(options: CallerOptions, clock: Clock): Caller {
  const everyone: Rules = {
    address: createAddressRules(options.addresses),
    userAgent: createUserAgentRules(options.userAgents),
  }
  const identity = createIdentity(options.identity)
  const guessing = createGuessing(options.guessing, clock)
  const ofPrincipals = new WeakMap<Principal, Rules>()
  return {
    admit(x) {
      x.ownFields = identity.fields
      const wrong = whatIsDenied(x, everyone)
      if (wrong !== null) throw new Failure('access_denied', `This ${wrong} may not come in here.`)
    },
    enter(x, principal) {
      x.principal = principal
      if (isBound(principal)) {
        let rules = ofPrincipals.get(principal)
        if (rules === undefined) ofPrincipals.set(principal, (rules = rulesOf(principal)))
        const wrong = whatIsDenied(x, rules)
        if (wrong !== null) {
          throw new Failure(
            'access_denied',
            `The key "${principal.key}" may not be used from this ${wrong}. Ask its owner for access.`,
          )
        }
      }
      x.principal = identity.named(x, principal)
    },
    failed(x, cause) {
      if (!isGuess(cause)) return cause
      const waitMs = guessing.failed(x.clientAddress)
      if (waitMs === 0) return cause
      return new Failure(
        'rate_limit_exceeded',
        'Rate limit exceeded. Please try again later. Too many requests with a wrong key came from this address.',
        { retryable: false, retryAfterMs: waitMs, detail: cause.detail ?? 'wrong key' },
      )
    },
  }
}

function isBound(principal: Principal): boolean {
  return (
    principal.addresses !== null ||
    principal.userAgents !== null ||
    (principal.deniedAddresses?.length ?? 0) > 0 ||
    (principal.deniedUserAgents?.length ?? 0) > 0
  )
}

function rulesOf(principal: Principal): Rules {
  const { addresses, deniedAddresses = [], userAgents, deniedUserAgents = [] } = principal
  return {
    // A list that is there and empty is a fence around nothing.
    address:
      addresses?.length === 0
        ? () => false
        : createAddressRules({ allow: addresses ?? [], deny: deniedAddresses }),
    userAgent:
      userAgents?.length === 0
        ? () => false
        : createUserAgentRules({ allow: userAgents ?? [], deny: deniedUserAgents }),
  }
}

function whatIsDenied(x: Exchange, rules: Rules): 'address' | 'user agent' | null {
  if (rules.address !== null && !rules.address(x.clientAddress)) return 'address'
  if (rules.userAgent !== null && !rules.userAgent(x.request.headers)) return 'user agent'
  return null
}
