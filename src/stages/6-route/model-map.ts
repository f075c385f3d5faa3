// What a model is called at an upstream. An exact name comes before a glob, a glob that says more before one that says less; `*` on the
// right takes what the first `*` on the left stood for. A model that no entry fits is not served there.

import { matchesGlob } from '../../base/glob.ts'

/** The client's names, some of them globs, and the upstream's; null = all models by their own names. */
export type ModelNames = Readonly<Record<string, string>> | null

/** The name of `model` there: null = the same, undefined = it is not served. */
export function nameThere(names: ModelNames, model: string): string | null | undefined {
  if (names === null) return null
  const exact = Object.hasOwn(names, model) ? names[model] : undefined
  if (exact !== undefined && !exact.includes('*')) return exact === model ? null : exact
  for (const [glob, name] of byPrecision(names)) {
    if (!matchesGlob(glob, model)) continue
    const there = filled(name, glob, model)
    return there === model ? null : there
  }
  return undefined
}

/** Whether a request may go there whose model cannot be seen, such as a form: it arrives under the client's name. */
export function servesUnseen(names: ModelNames): boolean {
  if (names === null) return true
  const entries = Object.entries(names)
  return names['*'] === '*' || entries.every(([name, there]) => name === there)
}

/** The names a client may use for what an upstream lists: its own where a glob lets it through, and aliases. */
export function namesFor(names: ModelNames, listed: readonly string[]): { name: string; of: string }[] {
  if (names === null) return listed.map((id) => ({ name: id, of: id }))
  const there = new Set(listed)
  const own = listed.filter((id) => nameThere(names, id) === null)
  const aliases = Object.entries(names).filter(
    ([name, of]) => !name.includes('*') && name !== of && there.has(of),
  )
  return [...own.map((id) => ({ name: id, of: id })), ...aliases.map(([name, of]) => ({ name, of }))]
}

/** Those that say more come first: `gpt-4*` before `*`. */
function byPrecision(names: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(names).toSorted(
    ([a], [b]) => b.replaceAll('*', '').length - a.replaceAll('*', '').length,
  )
}

function filled(name: string, glob: string, model: string): string {
  if (!name.includes('*')) return name
  const at = glob.indexOf('*')
  const behind = glob.slice(at + 1)
  // A second `*` on the left makes the first stand for as little as fits; that is found by trying.
  if (!behind.includes('*')) return name.replace('*', () => model.slice(at, model.length - behind.length))
  for (let end = at; end <= model.length; end++) {
    if (matchesGlob(behind, model.slice(end))) return name.replace('*', () => model.slice(at, end))
  }
  return name
}
