// Whether a name from the bundled list really is the model asked about. The list matches many models by how their name
// begins: `claude-sonnet-5` would also price a `claude-sonnet-5-5` that comes later and costs more. So what a pattern
// leaves over must be nothing but a date, a revision or `latest`/`preview`, and in front at most a publisher's name.
// Anything else stays unknown, and unknown is not free.

import type { MatchLogic } from '@pydantic/genai-prices'

const piece = String.raw`(?:\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4}|\d{8}|\d{6}|\d{4}|\d{3}|latest|preview|exp|experimental|v\d{1,2}(?::\d+)?)`
const rest = new RegExp(`^${piece}?(?:[-@:_.]${piece})*$`)
/** Names come from clients: what is longer is no revision, and would take the pattern long. */
const restMax = 40
const front = /^(?:[a-z0-9-]+[./])*$/

/** Whether nothing but a date or a revision follows. */
export function isOnlyRevision(text: string): boolean {
  return text.length <= restMax && rest.test(text)
}

/** Whether `logic` names `model` itself and not a family it might belong to. `model`: lower case. */
export function isExact(logic: MatchLogic, model: string): boolean {
  if ('or' in logic) return logic.or.some((one) => isExact(one, model))
  // Parts beside a name only take models away, such as the speech variants.
  if ('and' in logic)
    return logic.and.every((one) => fits(one, model)) && logic.and.some((one) => isExact(one, model))
  if ('equals' in logic) return logic.equals.toLowerCase() === model
  if ('starts_with' in logic) return leaves(model, logic.starts_with.toLowerCase(), 0)
  if ('ends_with' in logic) {
    const text = logic.ends_with.toLowerCase()
    return leaves(model, text, model.length - text.length)
  }
  if ('contains' in logic) {
    const text = logic.contains.toLowerCase()
    return leaves(model, text, model.indexOf(text))
  }
  return logic.regex.startsWith('^') && logic.regex.endsWith('$') && fits(logic, model)
}

function leaves(model: string, text: string, at: number): boolean {
  if (at < 0 || !model.startsWith(text, at)) return false
  const after = model.slice(at + text.length)
  // A pattern may end amid a date: `gpt-5-nano-`, `ft:gpt-4o-2024-`.
  const amid = /[-@:]\d*-?$/.exec(text)?.[0] ?? ''
  return front.test(model.slice(0, at)) && (isOnlyRevision(after) || isOnlyRevision(amid + after))
}

function fits(logic: MatchLogic, model: string): boolean {
  return 'regex' in logic ? new RegExp(logic.regex).test(model) : isExact(logic, model)
}
