// Which addresses may come in, for all and for one key. Deny wins; an allow list that is not empty is a fence. A request
// whose address is unknown is outside of every fence.

import { CidrSet, parseCidr, type Address, type Cidr } from '../../base/address.ts'

/** Lists of CIDR blocks. */
export interface AddressLists {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** Whether a sender may come in; null address = unknown. Under a microsecond with 10,000 blocks. */
export type AdmitsAddress = (address: Address | null) => boolean

/** Null where the lists say nothing. @throws RangeError where `deny` holds what is no block */
export function createAddressRules({ allow, deny }: AddressLists): AdmitsAddress | null {
  if (allow.length === 0 && deny.length === 0) return null
  const allowed = allow.length === 0 ? null : new CidrSet(allow.flatMap(blockOf))
  const denied = CidrSet.of(deny)
  return (address) => address !== null && !denied.has(address) && (allowed === null || allowed.has(address))
}

/** What is no block admits nobody: a key of the store must not end a request as a bug. */
function blockOf(text: string): Cidr[] {
  const block = parseCidr(text)
  return 'wrong' in block ? [] : [block]
}
