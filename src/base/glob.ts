// Globs of names, such as `gpt-4o*`: `*` stands for any characters, also none; everything else for itself.

/** Whether `text` fits `glob`. Linear in both lengths' product at worst, which whoever keeps globs bounds. */
export function matchesGlob(glob: string, text: string): boolean {
  const parts = glob.split('*')
  if (parts.length === 1) return glob === text
  const first = parts[0]!
  const last = parts.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
