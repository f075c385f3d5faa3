// Counts a key of a JSON object's top level in its raw text. JSON.parse silently keeps the last of two equal keys, other
// parsers the first: a gate that checks one value while the upstream acts on the other checks nothing.

const decoder = new TextDecoder()

/** How often `key` names a member of the outermost object; the text must be valid JSON. Linear, no recursion. */
export function topLevelKeyCount(json: Uint8Array, key: string): number {
  const text = decoder.decode(json)
  let count = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x7b || code === 0x5b) depth++
    else if (code === 0x7d || code === 0x5d) depth--
    else if (code === 0x22) {
      const end = stringEnd(text, at)
      if (depth === 1 && isKey(text, end + 1) && JSON.parse(text.slice(at, end + 1)) === key) count++
      at = end
    }
  }
  return count
}

/** Offset of the quote that ends the string begun at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x5c) at++
    else if (code === 0x22) return at
  }
  return text.length
}

function isKey(text: string, from: number): boolean {
  let at = from
  while (at < text.length && ' \t\r\n'.includes(text[at]!)) at++
  return text[at] === ':'
}
