// Globs of names (models, operations), shared by whoever authorises and whoever routes: two matchers that differ by a
// character would be a hole between them.

/** Whether `text` matches `glob`, in which `*` stands for any characters; case counts. Linear but for globs of many stars. */
export function matchesGlob(glob: string, text: string): boolean {
  const parts = glob.split('*')
  if (parts.length === 1) return glob === text
  const last = parts.at(-1)!
  if (!text.startsWith(parts[0]!) || text.length < parts[0]!.length + last.length || !text.endsWith(last))
    return false
  let at = parts[0]!.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/** Whether a list of globs names `text`; null = no list, which names everything. */
export function isNamed(globs: readonly string[] | null, text: string): boolean {
  return globs === null || globs.some((glob) => matchesGlob(glob, text))
}

/**
 * Whether who is bound to `models` (null = to none) may have what it asked for run as `target`, the model that an alias or a
 * route made of it. The target must be on the list too, unless the list names the alias itself, letter by letter: then
 * whoever wrote the list meant what stands behind it.
 */
export function mayUseTarget(models: readonly string[] | null, asked: string, target: string): boolean {
  if (models === null) return true
  if (!isNamed(models, asked)) return false
  return asked === target || models.includes(asked) || isNamed(models, target)
}
