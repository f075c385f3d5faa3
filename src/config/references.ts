// Finding `${…}` in text. Braces are counted, so that a command may hold its own: `${command:awk '{print $1}' key}`.
// `$${…}` is the same text taken literally.

/** One `${…}` in a text; `start` and `end` (exclusive) include the `$$` of an escaped one. */
export interface Reference {
  readonly start: number
  readonly end: number
  /** What stands between the braces. */
  readonly body: string
  /** Written `$${…}`: stands for itself. */
  readonly escaped: boolean
}

/**
 * The next reference at or after `from`; null where there is none, `'open'` where one begins and its brace never
 * closes. With `oneLine`, a line's end also leaves it open.
 */
export function nextReference(text: string, from: number, oneLine = false): Reference | 'open' | null {
  const dollar = text.indexOf('${', from)
  if (dollar < 0) return null
  const escaped = dollar > from && text[dollar - 1] === '$'
  const start = escaped ? dollar - 1 : dollar
  let depth = 0
  for (let at = dollar + 1; at < text.length; at += 1) {
    const char = text[at]
    if (char === '{') depth += 1
    else if (oneLine && char === '\n') break
    else if (char === '}' && --depth === 0) {
      return { start, end: at + 1, body: text.slice(dollar + 2, at), escaped }
    }
  }
  return escaped ? { start, end: dollar + 2, body: '', escaped } : 'open'
}
