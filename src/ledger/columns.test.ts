// The text of a row's dimensions says what the row says, whatever rows came before it: one that differs in a single
// value never gets the text of another.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { ledgerRow, reservation } from '../../test/ledger/rows.ts'
import { dimensionAt, entryOf, reservationEntry, type Values } from './columns.ts'
import type { LedgerRow, RowOwner, RowState } from './row.ts'

const text = fc.constantFrom('a', 'b', 'cb', '')
const textOrNull = fc.option(text)
const owner = {
  key: textOrNull,
  keyId: textOrNull,
  team: textOrNull,
  app: textOrNull,
  user: textOrNull,
  env: textOrNull,
}
const head = {
  endpoint: text,
  method: text,
  model: textOrNull,
  upstreamModel: textOrNull,
  upstream: textOrNull,
  account: textOrNull,
  ...owner,
  stream: fc.boolean(),
  priceVersion: textOrNull,
  attempt: fc.nat(2),
}
const row = fc.record({
  ...head,
  state: fc.constantFrom<RowState>('settled', 'estimated', 'void'),
  estimator: textOrNull,
  serviceTier: textOrNull,
  cache: text,
  last: fc.boolean(),
  status: fc.nat(2),
  failure: textOrNull,
  clientGone: fc.boolean(),
  retryCount: fc.nat(2),
  unmetered: fc.boolean(),
})

/** A list of rows, each of which differs from the one before in one member at most. */
function steps<T extends object>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.tuple(values, fc.array(fc.tuple(fc.nat(), values), { maxLength: 40 })).map(([first, changes]) => {
    const list = [first]
    for (const [which, other] of changes) {
      const names = Object.keys(first) as (keyof T)[]
      const name = names[which % names.length]!
      list.push({ ...list.at(-1)!, [name]: other[name] })
    }
    return list
  })
}

const flag = (value: boolean): number => (value ? 1 : 0)

function owned<T extends RowOwner>({ key, keyId, team, app, user, env, ...rest }: T) {
  return { ...rest, owner: { key, keyId, team, app, user, env } }
}

function headOf(
  one: Pick<LedgerRow, 'endpoint' | 'method' | 'model' | 'upstreamModel' | 'upstream' | 'account' | 'owner'>,
): Values {
  const { key, keyId, team, app, user, env } = one.owner
  const { endpoint, method, model, upstreamModel, upstream, account } = one
  return [endpoint, method, model, upstreamModel, upstream, account, key, keyId, team, app, user, env]
}

test('of rows', () => {
  fc.assert(
    fc.property(steps(row), (list) => {
      for (const some of list) {
        const one = ledgerRow('r-1', owned(some))
        const values = JSON.parse(entryOf(one).dimensions) as Values
        const { state, estimator, serviceTier, priceVersion, cache, attempt, status, failure, retryCount } =
          one
        expect(values).toEqual([
          ...headOf(one),
          ...[state, estimator, serviceTier, priceVersion, cache, attempt, flag(one.last), status, failure],
          ...[flag(one.stream), flag(one.clientGone), retryCount, flag(one.unmetered)],
        ])
        expect(values).toHaveLength(Object.keys(dimensionAt).length)
      }
    }),
  )
})

test('of reservations', () => {
  fc.assert(
    fc.property(steps(fc.record(head)), (list) => {
      for (const some of list) {
        const one = reservation('r-1', owned(some))
        const values = JSON.parse(reservationEntry(one).head) as Values
        expect(values).toEqual([...headOf(one), flag(one.stream), one.priceVersion, one.attempt])
      }
    }),
  )
})
