// Names that an application gives for the person or the part of it behind a request. Believed only for keys that may
// name: else any caller could spend on another's account. Where a name is believed it counts for limits and reports, so
// one that cannot be read is refused and not passed over. The fields are for us alone and go no further.

import type { Exchange, Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { fieldId } from '../../net/wire/field-names.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'

/** Section `access.identity`: names of header fields, lower-case. */
export interface IdentityOptions {
  readonly userHeader: string
  readonly appHeader: string
}

export interface Identity {
  /** Numbers of the fields: not to be passed on. */
  readonly fields: readonly number[]
  /** The principal, with the names that this request gives it where it may. @throws Failure('bad_request') */
  named(x: Exchange, principal: Principal): Principal
}

/** Principals made by names, kept for each key: an application has its users come again. */
const keptMax = 1000
const lengthMax = 128

export function createIdentity({ userHeader, appHeader }: IdentityOptions): Identity {
  const fields = [fieldId(userHeader), fieldId(appHeader)]
  const kept = new WeakMap<Principal, Map<string, Principal>>()
  return {
    fields,
    named(x, principal) {
      if (!principal.mayName) return principal
      const { headers } = x.request
      const user = readName(headers, userHeader)
      const app = readName(headers, appHeader)
      if (user === null && app === null) return principal
      let known = kept.get(principal)
      if (known === undefined) kept.set(principal, (known = new Map()))
      const key = JSON.stringify([user, app])
      let named = known.get(key)
      if (named === undefined) {
        named = { ...principal, user: user ?? principal.user, app: app ?? principal.app }
        if (known.size >= keptMax) known.clear()
        known.set(key, named)
      }
      return named
    },
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true })
/** Control characters, and marks that a terminal or a report would act on. */
const unreadable = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/

function readName(headers: HeaderBlock, field: string): string | null {
  const index = headers.find(field)
  if (index < 0) return null
  const value = headers.value(index)
  if (headers.count(field) > 1) throw badName(field, 'is there more than once')
  if (value === '') return null
  let name: string
  try {
    name = decoder.decode(Buffer.from(value, 'latin1'))
  } catch {
    throw badName(field, 'is not UTF-8')
  }
  if (name.length > lengthMax) throw badName(field, `is longer than ${lengthMax} characters`)
  if (unreadable.test(name)) throw badName(field, 'holds control characters')
  return name
}

function badName(field: string, what: string): Failure {
  return new Failure('bad_request', `The header ${field} ${what}. Mend it, or leave it away.`)
}
