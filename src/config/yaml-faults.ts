// What the YAML parser's errors mean, in words for people. It reports where it gave up, which for something left open is
// the file's end: here that becomes the place where it was opened. None of the words repeats the file's text.

import { isCollection, isNode, isPair, isScalar } from 'yaml'
import type { Node, parseDocument, YAMLError } from 'yaml'

/** A document as the parser gives it, whole or in parts. */
export type YamlDocument = ReturnType<typeof parseDocument>

interface Words {
  readonly message: string
  readonly suggestion: string | null
}

const quote = 'put the text in quotes'
const indentation: Words = {
  message: 'the indentation does not fit the lines around it',
  suggestion: 'begin all keys of one mapping, and all items of one list, in the same column',
}
const colon: Words = {
  message: 'a colon is missing after a key',
  suggestion: 'write `key: value`, with a space after the colon',
}

/** The words for an alias whose anchor does not exist. */
export const danglingAlias: Words = {
  message: 'no anchor has this name',
  suggestion: `${quote} if it begins with *`,
}

const wordings: Readonly<Record<string, Words>> = {
  TAB_AS_INDENT: { message: 'a tab is used for indentation', suggestion: 'indent with spaces' },
  DUPLICATE_KEY: { message: 'this key stands here twice', suggestion: 'keep one of them' },
  MULTIPLE_DOCS: { message: 'a second YAML document begins here', suggestion: 'remove the line with ---' },
  BAD_INDENT: indentation,
  MISSING_CHAR: { message: 'a quote, bracket, comma or colon is missing', suggestion: null },
  BLOCK_AS_IMPLICIT_KEY: { message: 'a second colon on one line', suggestion: `${quote} if it is one value` },
  MULTILINE_IMPLICIT_KEY: colon,
  BAD_SCALAR_START: { message: 'text cannot begin with this character', suggestion: quote },
  BAD_DQ_ESCAPE: {
    message: 'an unknown escape in double quotes',
    suggestion: 'use single quotes, or \\\\ for a backslash',
  },
  TAG_RESOLVE_FAILED: { message: 'YAML tags are not supported', suggestion: `${quote} if it begins with !` },
  NON_STRING_KEY: { message: 'a key must be text', suggestion: null },
  RESOURCE_EXHAUSTION: { message: 'nested too deeply', suggestion: null },
}

/** What an error says to a person, and the offset of the place to point at. */
export function explainFault(
  error: YAMLError,
  source: { document: YamlDocument; text: string },
): Words & { offset: number } {
  const [offset, end] = error.pos
  const opened = isLeftOpen(error) ? openingBefore(offset, source.document) : null
  if (opened !== null) {
    const what = `${source.text[opened]!} is opened here and never closed`
    const within = 'close it; all of it needs more indentation than its key'
    return { offset: opened, message: what, suggestion: error.code === 'BAD_INDENT' ? within : null }
  }
  const { code, message } = error
  if (message.startsWith('Sequence item without')) return { offset, ...indentation }
  if (message.startsWith('Implicit map keys need')) return { offset, ...colon }
  // A value that goes on as a mapping on the next line: that line stands too far to the right.
  const spread = source.document.errors.find(
    (other) => other.code === 'MULTILINE_IMPLICIT_KEY' && other.pos[0] === offset,
  )
  if (spread !== undefined && isBehindKey(source.text, offset))
    return { offset: Math.max(spread.pos[1] - 1, end - 1), ...indentation }
  return { offset, ...(wordings[code] ?? { message: 'this is not valid YAML', suggestion: null }) }
}

/** Whether the parser missed the end of a bracket or a quote. What it says after that follows from it. */
export function isLeftOpen({ message }: YAMLError): boolean {
  return /^(?:Flow (?:map|sequence) .* end with|Missing closing)/.test(message)
}

/** The innermost bracket or quote that stands open at `offset`, or null. Goes down one way only: files can be deep. */
function openingBefore(offset: number, document: YamlDocument): number | null {
  let found: number | null = null
  let next: unknown = document.contents
  while (isNode(next)) {
    const node: Node = next
    const start = node.range?.[0] ?? offset
    const quoted = isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE')
    if (start < offset && (quoted || (isCollection(node) && node.flow === true))) found = start
    next = childrenOf(node).findLast(({ range }) => range != null && range[0] < offset && range[2] >= offset)
  }
  return found
}

function childrenOf(node: Node): Node[] {
  if (!isCollection(node)) return []
  return node.items
    .flatMap((item) => (isPair(item) ? [item.key, item.value] : [item]))
    .filter((item) => isNode(item))
}

function isBehindKey(text: string, offset: number): boolean {
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset).includes(':')
}
