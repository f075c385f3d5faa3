// What a path may look like. The path is never rewritten: the authoriser, the router and the upstream must read the same
// string, so everything that some server would normalise is refused instead (dot segments, empty segments, matrix
// parameters, encoded separators and controls, and escapes of what needs none: `%72uns` is `runs` to a server that decodes).

const plain = /^(?:\/[A-Za-z0-9._~!$&'()*+,=:@%-]+)+$/
const dotted = /\/\.{1,2}(?:\/|$)/
/**
 * Each hides something from a reader who does not decode: the unreserved characters of RFC 3986 (letters, digits, - . _ ~),
 * which nothing but a disguise escapes; ; ? # \ %, controls and DEL.
 */
const hidden = /%(?:2d|2e|3[0-9]|4[1-9a-f]|5[0-9a]|5f|6[1-9a-f]|7[0-9a]|7e|3b|3f|23|5c|25|[01][0-9a-f]|7f)/i
/** Allowed in a model's name only: a slash, and a space, which some servers trim. */
const nameOnly = /%(?:2f|20)/i
const brokenEscape = /%(?![0-9a-fA-F]{2})/
const nonAscii = /%[89a-fA-F]/

/** An encoded slash beside an end, a slash, another one, or a dot segment: decoded, it would lead out of the model's name. */
const escaping = /(?:^|\/|%2f)(?:\.{0,2})(?:%2f|\/|$)/i

/** What is wrong with a path, as a sentence for the client; null where nothing is. */
export function pathProblem(path: string, modelInPath: boolean): string | null {
  if (path === '/') return null
  if (!plain.test(path)) return 'The path has empty segments or characters that are not allowed.'
  if (dotted.test(path)) return 'The path has dot segments. Send it without them.'
  if (!path.includes('%')) return null
  if (brokenEscape.test(path) || nonAscii.test(path)) return 'The path has a malformed escape.'
  if (hidden.test(path) || (!modelInPath && nameOnly.test(path)))
    return 'The path has an escape that is not allowed here.'
  if (modelInPath && escaping.test(path.slice(1))) return 'The model in the path is malformed.'
  return null
}
