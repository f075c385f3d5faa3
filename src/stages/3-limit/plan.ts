// From a request to what it must fit into: which rules count it, under whose account, and with which amount. All amounts
// are worst cases. Here too: what a budget refuses because nobody can say what it costs.

import { Finding } from '../../base/known-bytes.ts'
import type { Exchange, Principal } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { visitMembers, type MemberSearch } from '../../openai/json-keys.ts'
import { firstText } from '../../openai/outermost.ts'
import { plainNames } from '../../openai/plain-names.ts'
import { amountOf, type Costs, type Estimate } from './costs.ts'
import type { Group, Tracked } from './memory.ts'
import type { Seating } from './places.ts'
import { matches, ownerOf, type Moment, type Rule, type Subject } from './rule.ts'
import type { AnyLimiter } from './subjects.ts'

/** What a limiter knows nothing by: what was counted is forgotten. */
const goneHandle = -1

/** One amount under one rule, for one subject. */
export class Charge {
  /** What the limiter knows it by. */
  handle = 0
  readonly #subject: Subject
  #record: number
  #life: number

  constructor(
    readonly tracked: Tracked,
    readonly amount: number,
    { subject, record }: { readonly subject: Subject; readonly record: number },
  ) {
    this.#subject = subject
    this.#record = record
    this.#life = tracked.subjects.lifeOf(record)
  }

  /** Its subject's name, as the rule tells subjects apart. */
  get owner(): string {
    const { subjects, rule } = this.tracked
    const known = subjects.lifeOf(this.#record) === this.#life ? subjects.ownerOf(this.#record) : null
    return known ?? ownerOf(rule, this.#subject)
  }

  get principal(): Principal {
    return this.#subject.x.principal
  }

  /** Its limiter, moved to its subject; good until another charge of the same rule is looked at. */
  look(at: Moment): AnyLimiter {
    return this.tracked.look(this.record(at))
  }

  /** Where its subject is: somewhere else, where nothing of it counted any more and it was forgotten. */
  record(at: Moment): number {
    const { subjects, rule } = this.tracked
    if (subjects.lifeOf(this.#record) === this.#life) return this.#record
    // Numbers of a sliding window's entries begin anew with a new record; starts of periods do not.
    if (rule.span.kind === 'sliding') this.handle = goneHandle
    this.#record = subjects.of(ownerOf(rule, this.#subject), at)
    this.#life = subjects.lifeOf(this.#record)
    return this.#record
  }
}

/** What plans are made with. */
export interface Planning {
  readonly groups: readonly Group[]
  readonly seating: Seating
  /** The budget that the principal itself carries; null = none. */
  readonly own: (x: Exchange) => Tracked | null
  readonly costs: Costs
  /** Whether some rule is on money. */
  readonly priced: boolean
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
  const { groups, seating, costs } = planning
  const own = planning.own(x)
  // Once for all rules: it reads the whole body.
  let estimate: Estimate | null = null
  const priced = planning.priced || own !== null
  const found = { places: seating.placesOf(subject), subject }
  for (let index = 0; index < groups.length; index++) {
    const { countsAll, tracked } = groups[index]!
    if (!countsAll && !matches(tracked[0]!.rule.match, subject)) continue
    const record = seating.recordOf(index, found, at)
    for (const { rule } of tracked)
      if (estimate === null && isEstimated(rule)) estimate = costs.estimate(x, priced)
    for (const each of tracked)
      charges.push(new Charge(each, worstOf(x, each.rule, estimate), { subject, record }))
  }
  if (own !== null) {
    const record = own.subjects.of(ownerOf(own.rule, subject), at)
    estimate ??= costs.estimate(x, priced)
    charges.push(new Charge(own, worstOf(x, own.rule, estimate), { subject, record }))
  }
  return charges
}

/** Whether what a rule counts of a request has to be estimated. */
function isEstimated({ quantity }: Rule): boolean {
  return quantity !== 'requests' && quantity !== 'concurrent'
}

/** What of a rule's quantity a request may use. @throws Failure where nobody can say it and the rule would refuse */
function worstOf(x: Exchange, rule: Rule, estimate: Estimate | null): number {
  if (estimate === null || !isEstimated(rule)) return 1
  return rule.quantity === 'cost' ? costOf(x, rule, estimate) : amountOf(estimate, rule.quantity)!
}

/** The charges of one call of one upstream. */
export function upstreamPlan(
  x: Exchange,
  { groups, costs, upstream }: { groups: readonly Group[]; costs: Costs; upstream: string },
  at: Moment,
): Charge[] {
  const subject: Subject = { x, model: x.model, upstream }
  const charges: Charge[] = []
  for (const { subjects, countsAll, tracked } of groups) {
    const { rule } = tracked[0]!
    if (!countsAll && !matches(rule.match, subject)) continue
    const record = subjects.of(ownerOf(rule, subject), at)
    for (const each of tracked) {
      const { quantity } = each.rule
      const counts = quantity === 'requests' || quantity === 'concurrent'
      charges.push(
        new Charge(each, counts ? 1 : (amountOf(costs.estimate(x, quantity === 'cost'), quantity) ?? 0), {
          subject,
          record,
        }),
      )
    }
  }
  return charges
}

const modelName = Buffer.from('"model"')
const quickBytes = 60 * 1024
const naming: MemberSearch = { names: new Set(['model']), skipped: new Set(['messages', 'input']) }

/** The model a request asks for, to decide by; null = it does not show. @throws Failure('invalid_json' | 'bad_request') */
function modelOf(x: Exchange): string | null {
  if (x.bodyBytes === null || x.endpoint!.model !== 'body') return null
  return modelNote.of(x.knownBody, x)
}

const modelNote = new Finding((x: Exchange) => {
  x.json()
  const { model } = x
  // Two members of that name: we would count the one, and the upstream might run the other.
  if (namesOther(x.bodyBytes!, model))
    throw new Failure('bad_request', 'The body names its model twice. Name it once.', { param: 'model' })
  return model
})

/** Whether the outermost object names another model too. The quick look reaches as far as nearly every body. */
function namesOther(bytes: Uint8Array, model: string | null): boolean {
  if (bytes.length <= quickBytes) return firstText(plainNames(bytes), modelName) !== model
  let count = 0
  visitMembers(bytes, naming, ({ depth }) => {
    if (depth === 1) count += 1
  })
  return count > 1
}

/** The worst case in money. @throws Failure where nobody can say it and the rule would refuse */
function costOf(x: Exchange, rule: Rule, estimate: Estimate): number {
  // The model of a form is known only when it has passed.
  const cannotBeBounded = x.endpoint!.metered === 'unmetered' || x.request.upgrade !== null || x.form !== null
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

/** Whose account is charged, for people: `team "core", model "gpt-4o"`; '' for a limit on all. Keys go by their names. */
export function ownerText({ tracked: { rule }, owner, principal }: Charge): string {
  if (rule.per.length === 0) return ''
  const values = owner.split('\u0000')
  return rule.per
    .map((dimension, index) => {
      let value = values[index] ?? ''
      if (dimension === 'key' && value === principal.keyId) value = principal.key ?? value
      return value === '' ? `no ${dimension}` : `${dimension} "${value}"`
    })
    .join(', ')
}
