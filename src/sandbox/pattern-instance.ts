// A text that matches a regular expression, the shortest with each choice taken first: enough of the syntax for the `pattern` of a
// JSON schema (literals, classes, groups, alternatives, quantifiers, anchors). What it cannot read gives null, never a wrong text.

class Reader {
  at = 0
  constructor(readonly source: string) {}
  peek(): string {
    return this.source[this.at] ?? ''
  }
  take(): string {
    return this.source[this.at++] ?? ''
  }
}

const escapes: Record<string, string> = {
  d: '0',
  w: 'a',
  s: ' ',
  D: 'a',
  W: '-',
  S: 'a',
  t: '\t',
  n: '\n',
  r: '\r',
  b: '',
  B: '',
}

function readClass(reader: Reader): string {
  const negated = reader.peek() === '^'
  if (negated) reader.take()
  const members: string[] = []
  while (reader.peek() !== ']' && reader.peek() !== '') {
    let char = reader.take()
    if (char === '\\') {
      const escaped = reader.take()
      char = escapes[escaped] ?? escaped
    }
    members.push(char)
  }
  reader.take()
  if (!negated) return members[0] ?? ''
  const candidates = 'a0 -_Z~'
  return [...candidates].find((candidate) => !members.join('').includes(candidate)) ?? 'é'
}

function readAtom(reader: Reader): string {
  const char = reader.take()
  if (char === '\\') {
    const escaped = reader.take()
    return escapes[escaped] ?? escaped
  }
  if (char === '[') return readClass(reader)
  if (char === '(') {
    if (reader.source.startsWith('?:', reader.at)) reader.at += 2
    else if (reader.source.startsWith('?<', reader.at)) reader.at = reader.source.indexOf('>', reader.at) + 1
    const inner = readAlternatives(reader)
    reader.take()
    return inner
  }
  if (char === '.') return 'a'
  return char === '^' || char === '$' ? '' : char
}

function readTimes(reader: Reader): number {
  const quantifier = /^(?:\*|\+|\?|\{(\d+)(?:,\d*)?\})/.exec(reader.source.slice(reader.at))
  if (quantifier === null) return 1
  reader.at += quantifier[0].length
  if (reader.peek() === '?') reader.take()
  if (quantifier[1] !== undefined) return Math.min(Number(quantifier[1]), 1000)
  return quantifier[0] === '+' ? 1 : 0
}

function readAlternatives(reader: Reader): string {
  let first: string | null = null
  let text = ''
  while (reader.peek() !== '' && reader.peek() !== ')') {
    if (reader.peek() === '|') {
      reader.take()
      first ??= text
      text = ''
      continue
    }
    const atom = readAtom(reader)
    text += atom.repeat(readTimes(reader))
  }
  return first ?? text
}

/** A text that matches `pattern`, or null where none was found. */
export function patternInstance(pattern: string): string | null {
  try {
    const text = readAlternatives(new Reader(pattern))
    return new RegExp(pattern, 'u').test(text) ? text : null
  } catch {
    return null
  }
}
