// Two members of one name in an object mean one thing to one reader and another to the next: JSON.parse keeps the last. Where
// something is granted by what a text says, such a text says nothing.

const depthMax = 16

/** Whether every object of a valid JSON text names each member once; false also where it is nested too deeply. */
export function namesDiffer(text: string): boolean {
  const open: (Set<string> | null)[] = []
  let atName = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : null)
      if (open.length > depthMax) return false
      atName = char === '{'
    } else if (char === '}' || char === ']') {
      open.pop()
      atName = false
    } else if (char === ',') atName = open.at(-1) !== null
    else if (char === '"') {
      const end = stringEnd(text, at)
      if (atName) {
        const names = open.at(-1)!
        const name = JSON.parse(text.slice(at, end + 1)) as string
        if (names.has(name)) return false
        names.add(name)
        atName = false
      }
      at = end
    }
  }
  return true
}

/** Offset of the quote that ends the string begun at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
}
