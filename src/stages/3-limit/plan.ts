// From a request to what it must fit into: which rules count it, under whose account, and with which amount. All amounts
// are worst cases. Here too: what a budget refuses because nobody can say what it costs.

import { senderOf } from '../../base/address.ts'
import type { Exchange, Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { visitMembers, type MemberSearch } from '../../openai/json-keys.ts'
import { firstText } from '../../openai/outermost.ts'
import { amountOf, type Costs, type Estimate } from './costs.ts'
import type { Account } from './counters.ts'
import type { Tracked } from './memory.ts'
import { matches, type Dimension, type Moment, type Rule, type Subject } from './rule.ts'

/** One amount under one rule. */
export class Charge {
  /** What the account knows it by. */
  handle = 0

  constructor(
    readonly tracked: Tracked,
    readonly account: Account,
    readonly amount: number,
  ) {}
}

/** What plans are made with. */
export interface Planning {
  readonly rules: readonly Tracked[]
  /** The budget that the principal itself carries; null = none. */
  readonly own: (x: Exchange) => Tracked | null
  readonly costs: Costs
  /** Whether some rule looks at the model. */
  readonly seesModel: boolean
}

/**
 * The charges of a request; empty where no rule counts it.
 * @throws Failure where a budget counts it and its cost cannot be known
 */
export function planOf(x: Exchange, planning: Planning, at: Moment): Charge[] {
  const subject: Subject = { x, model: planning.seesModel ? modelOf(x) : null, upstream: null }
  const charges: Charge[] = []
  let estimate: Estimate | null = null
  const charge = (tracked: Tracked): void => {
    const { rule } = tracked
    let amount: number | null = 1
    if (rule.quantity !== 'requests' && rule.quantity !== 'concurrent') {
      estimate ??= planning.costs.estimate(x)
      amount = rule.quantity === 'cost' ? costOf(x, rule, estimate) : amountOf(estimate, rule.quantity)!
    }
    charges.push(new Charge(tracked, tracked.counters.of(ownerOf(rule, subject), rule, at), amount))
  }
  for (const tracked of planning.rules)
    if (tracked.countsAll || matches(tracked.rule.match, subject)) charge(tracked)
  const own = planning.own(x)
  if (own !== null) charge(own)
  return charges
}

/** The charges of one call of one upstream. */
export function upstreamPlan(
  x: Exchange,
  { rules, costs, upstream }: { rules: readonly Tracked[]; costs: Costs; upstream: string },
  at: Moment,
): Charge[] {
  const subject: Subject = { x, model: x.model, upstream }
  const charges: Charge[] = []
  for (const tracked of rules) {
    const { rule } = tracked
    if (!matches(rule.match, subject)) continue
    const amount =
      rule.quantity === 'requests' || rule.quantity === 'concurrent'
        ? 1
        : (amountOf(costs.estimate(x), rule.quantity) ?? 0)
    charges.push(new Charge(tracked, tracked.counters.of(ownerOf(rule, subject), rule, at), amount))
  }
  return charges
}

const modelName = Buffer.from('"model"')
const quickBytes = 60 * 1024
const naming: MemberSearch = { names: new Set(['model']), skipped: new Set(['messages', 'input']) }

/** The model a request asks for, to decide by; null = it does not show. @throws Failure('invalid_json' | 'bad_request') */
function modelOf(x: Exchange): string | null {
  if (x.bodyBytes === null || x.endpoint!.model !== 'body') return null
  x.json()
  const { model } = x
  // Two members of that name: we would count the one, and the upstream might run the other.
  if (model !== null && namesOther(x.bodyBytes, model))
    throw new Failure('bad_request', 'The body names its model twice. Name it once.', { param: 'model' })
  return model
}

/** Whether the outermost object names another model too. The quick look reaches as far as nearly every body. */
function namesOther(bytes: Uint8Array, model: string): boolean {
  if (bytes.length <= quickBytes) return firstText(bytes, modelName) !== model
  let count = 0
  visitMembers(bytes, naming, ({ depth }) => {
    if (depth === 1) count += 1
  })
  return count > 1
}

/** The worst case in money. @throws Failure where nobody can say it and the rule would refuse */
function costOf(x: Exchange, rule: Rule, estimate: Estimate): number {
  const cannotBeBounded = x.endpoint!.metered === 'unmetered' || x.request.upgrade !== null
  if (cannotBeBounded && !isNamed(x, rule)) {
    if (!rule.enforce) return 0
    throw new Failure(
      'access_denied',
      `Nobody can say beforehand what this endpoint costs, and "${rule.name}" is a budget, so it is closed to you. Ask its owner to name the endpoint.`,
    )
  }
  if (estimate.costNanoUsd !== null) return estimate.costNanoUsd
  if (cannotBeBounded || !rule.enforce) return 0
  throw new Failure(
    'model_not_allowed',
    `No price is known for this model, and "${rule.name}" is a budget, so you may not use it. Ask the operator to add its price.`,
    { param: 'model', detail: 'unpriced' },
  )
}

/** Whether the budget itself, or the principal's own list, names the endpoint: not by a glob. */
function isNamed(x: Exchange, rule: Rule): boolean {
  const { operation } = x.endpoint!
  if (rule.match.endpoints?.includes(operation) === true) return true
  return rule.name === ownBudget && (x.principal.endpoints?.includes(operation) ?? false)
}

/** Name of the budget that a key carries. */
export const ownBudget = 'key-budget'

/** A model's name this long, or with control characters, is no model's name; it must not become an account of its own. */
const oddModel = /^.{129,}$|[\u0000-\u001f]/

/** Whose account: the values of the rule's dimensions, with NUL between them; '' stands for none. */
function ownerOf({ per }: Rule, subject: Subject): string {
  if (per.length === 1) return valueOf(per[0]!, subject)
  if (per.length === 0) return ''
  let owner = valueOf(per[0]!, subject)
  for (let index = 1; index < per.length; index++) owner += `\u0000${valueOf(per[index]!, subject)}`
  return owner
}

/** What the account of a key is named by. */
export function keyOf({ keyId, key }: Principal): string {
  return keyId ?? key ?? ''
}

function valueOf(dimension: Dimension, { x, model, upstream }: Subject): string {
  const { principal } = x
  switch (dimension) {
    case 'key':
      return keyOf(principal)
    case 'user':
      return principal.user ?? ''
    case 'team':
      return principal.team ?? ''
    case 'app':
      return principal.app ?? ''
    case 'env':
      return principal.env ?? ''
    case 'endpoint':
      return x.endpoint!.operation
    case 'upstream':
      return upstream ?? ''
    case 'model':
      return model === null || oddModel.test(model) ? '' : model
    case 'address':
      return x.clientAddress === null ? '' : senderOf(x.clientAddress)
  }
}

/** An owner for people: `team "core", model "gpt-4o"`; '' for a limit on all. */
export function ownerText(rule: Rule, owner: string): string {
  if (rule.per.length === 0) return ''
  const values = owner.split('\u0000')
  return rule.per
    .map((dimension, index) => {
      const value = values[index] ?? ''
      return value === '' ? `no ${dimension}` : `${dimension} "${value}"`
    })
    .join(', ')
}
