// From a request to the ways it can go. The first route that matches decides; which of its upstreams serve the model, and
// under which name, is worked out once for each model and environment and then kept, within a bound, since models come from
// requests.

import type { Clock } from '../../base/clock.ts'
import { matchesGlob } from '../../base/glob.ts'
import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { askedModel, isUnseen } from './asked.ts'
import { RetryBudget } from './budget.ts'
import { Choice, ChoiceSet, type Target } from './choice.ts'
import type { AccountMemory } from './health.ts'
import { nameThere, servesUnseen, type ModelNames } from './model-map.ts'
import type { RouteConfig } from './options.ts'
import type { RetryCause } from './retry-rules.ts'

/** An upstream with what the configuration says of it for routing. */
export interface Member<T extends Target> {
  readonly target: T
  readonly weight: number
  readonly models: ModelNames
  /** Milliseconds; a day or more = no bound. */
  readonly firstTokenMs: number
}

/** One upstream of one route. */
interface Stop<T extends Target> extends Member<T> {
  readonly fallback: boolean
  /** Model that the route asks for there; null = what the request names. */
  readonly fixedModel: string | null
}

/** Ways a request can go, by rank: fallbacks are only looked at where no other is open. */
export interface Ways<T extends Target> {
  readonly ranks: readonly ChoiceSet<T>[]
  readonly all: readonly Choice<T>[]
  /** Some go by another name than the client's. */
  readonly renamed: boolean
}

/** A route as it runs. */
export interface Route<T extends Target> {
  readonly config: RouteConfig
  readonly stops: readonly Stop<T>[]
  readonly on: ReadonlySet<RetryCause>
  readonly budget: RetryBudget
  readonly ways: Map<string, Ways<T>>
}

/** Combinations of model and environment that are kept for each route. */
const waysMax = 512
/** Stands for a model that cannot be seen; no name has a NUL. */
const unseen = '\0'

export interface PlanParts {
  readonly clock: Clock
  readonly memory: AccountMemory
}

/** Routes as they run: those configured, and behind them all upstreams by weight. */
export function routesOf<T extends Target>(
  configs: readonly RouteConfig[],
  usual: RouteConfig,
  members: readonly Member<T>[],
): Route<T>[] {
  return [...configs, usual].map((config) => ({
    config,
    stops:
      config.upstreams === undefined
        ? members.map(whole)
        : config.upstreams.flatMap((each) => {
            const member = members.find(({ target }) => target.name === each.name)
            if (member === undefined) return []
            return [
              {
                ...member,
                weight: each.weight ?? member.weight,
                fallback: each.fallback,
                fixedModel: each.model,
              },
            ]
          }),
    on: new Set(config.retry.on),
    budget: new RetryBudget(),
    ways: new Map(),
  }))
}

function whole<T extends Target>(member: Member<T>): Stop<T> {
  return { ...member, fallback: false, fixedModel: null }
}

/** The first route that the request matches. The last one matches everything. */
export function routeOf<T extends Target>(routes: readonly Route<T>[], x: Exchange): Route<T> {
  if (routes.length === 1) return routes[0]!
  return routes.find(({ config }) => matches(config.match, x)) ?? routes.at(-1)!
}

function matches(match: RouteConfig['match'], x: Exchange): boolean {
  const { principal } = x
  return (
    (match.models === undefined || fitsModel(match.models, askedModel(x))) &&
    fits(match.endpoints, x.endpoint!.operation) &&
    fits(match.teams, principal.team) &&
    fits(match.apps, principal.app) &&
    fits(match.users, principal.user) &&
    (fits(match.keys, principal.key) || fits(match.keys, principal.keyId)) &&
    fits(match.envs, principal.env)
  )
}

function fits(globs: readonly string[] | undefined, text: string | null): boolean {
  if (globs === undefined) return true
  return text !== null && globs.some((glob) => matchesGlob(glob, text))
}

function fitsModel(globs: readonly string[], model: string | null): boolean {
  return model === null ? globs.includes('*') : globs.some((glob) => matchesGlob(glob, model))
}

/** The ways of a request on its route. @throws Failure where there is none */
export function waysOf<T extends Target>(route: Route<T>, x: Exchange, parts: PlanParts): Ways<T> {
  const model = askedModel(x)
  const key = `${x.principal.env ?? ''}\0${model ?? (isUnseen(x) ? unseen : '')}`
  let ways = route.ways.get(key)
  if (ways === undefined) {
    ways = worked(route, x, parts)
    if (route.ways.size >= waysMax) route.ways.clear()
    route.ways.set(key, ways)
  }
  if (ways.renamed && x.principal.models !== null) ways = allowed(ways, x, model!)
  if (ways.all.length === 0) throw noWay(route, x)
  return ways
}

function worked<T extends Target>(route: Route<T>, x: Exchange, parts: PlanParts): Ways<T> {
  const model = askedModel(x)
  const first: Choice<T>[] = []
  const second: Choice<T>[] = []
  for (const stop of route.stops) {
    if (!isFor(stop.target, x)) continue
    const there = modelThere(stop, model, isUnseen(x))
    if (there === undefined) continue
    const { target, weight, fallback } = stop
    const health = parts.memory.of(target.name).model(there ?? model ?? '')
    const choice = new Choice({
      target,
      health,
      model: there,
      weight,
      rules: route.config.breaker,
      clock: parts.clock,
    })
    if (fallback) second.push(choice)
    else first.push(choice)
  }
  return ranked(first, second)
}

/** The ways of the same request, were another model asked for. Empty where no upstream serves it. */
export function waysOfModel<T extends Target>(
  { route, model }: { route: Route<T>; model: string },
  x: Exchange,
  parts: PlanParts,
): Ways<T> {
  const choices = route.stops.flatMap((stop) => {
    const there = isFor(stop.target, x) ? nameThere(stop.models, model) : undefined
    if (there === undefined) return []
    const { target, weight } = stop
    const health = parts.memory.of(target.name).model(there ?? model)
    const rules = route.config.breaker
    return [new Choice({ target, health, model: there ?? model, weight, rules, clock: parts.clock })]
  })
  const globs = x.principal.models
  const may =
    globs === null || globs.includes(askedModel(x) ?? '') || globs.some((glob) => matchesGlob(glob, model))
  return ranked(may ? choices : [], [])
}

/** The one way among them that leads to an account; null where none does. */
export function onlyTo<T extends Target>({ all }: Ways<T>, name: string): Ways<T> | null {
  const choice = all.find(({ target }) => target.name === name)
  return choice === undefined ? null : ranked([choice], [])
}

function ranked<T extends Target>(first: readonly Choice<T>[], second: readonly Choice<T>[]): Ways<T> {
  const all = [...first, ...second]
  const ranks = [first, second].filter((each) => each.length > 0).map((each) => new ChoiceSet(each))
  return { ranks, all, renamed: all.some(({ model }) => model !== null) }
}

function isFor({ env }: Target, x: Exchange): boolean {
  return env === null || env === x.principal.env
}

/** The model's name at a stop: null = the request's, undefined = not served there. */
function modelThere<T extends Target>(
  stop: Stop<T>,
  model: string | null,
  hidden: boolean,
): string | null | undefined {
  if (hidden) return stop.fixedModel === null && servesUnseen(stop.models) ? null : undefined
  if (model === null) return null
  if (stop.fixedModel !== null) return stop.fixedModel === model ? null : stop.fixedModel
  return nameThere(stop.models, model)
}

/** Only what the caller may use by its name there as well; who may use the alias by its own name may use what it means. */
function allowed<T extends Target>(ways: Ways<T>, x: Exchange, asked: string): Ways<T> {
  const globs = x.principal.models!
  if (globs.includes(asked)) return ways
  const may = ({ model }: Choice<T>): boolean =>
    model === null || globs.some((glob) => matchesGlob(glob, model))
  if (ways.all.every(may)) return ways
  const left = ways.ranks.map(({ choices }) => choices.filter(may))
  const kept = ranked(left[0] ?? [], left[1] ?? [])
  if (kept.all.length > 0) return kept
  throw new Failure('model_not_allowed', `You may not use the model that this name stands for.`, {
    param: 'model',
  })
}

function noWay<T extends Target>(route: Route<T>, x: Exchange): Failure {
  if (!route.stops.some(({ target }) => isFor(target, x)))
    return new Failure(
      'access_denied',
      'No upstream serves the environment of your key. Ask its owner for access.',
    )
  if (isUnseen(x))
    return new Failure(
      'not_found',
      'No upstream takes this form: models have other names there, and a form is not rewritten.',
    )
  return new Failure('not_found', 'No upstream serves this model. GET /v1/models lists what there is.', {
    param: 'model',
  })
}
