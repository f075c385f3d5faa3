// Error bodies of upstreams, made fit to be passed on. OpenAI's refusals name the key they refuse, partly masked
// (`sk-proj-****…abcd`), and the organisation; other providers echo keys whole. What is taken out is found by its
// prefix, by the word in front of it, or by being a part of a key we hold: masked forms defeat a search for the key
// alone, and unprefixed keys defeat a search for shapes alone. Patterns are single runs of one character class, so
// that matching is linear in the text whatever an upstream sends.

const removed = '[removed]'

// Characters of keys, and those that stand for the hidden part of one.
const masked = '[A-Za-z0-9_\\-*•….]'
const boundary = '(?<![A-Za-z0-9])'
// Tells a key from a hyphenated word: a digit, or a character that hides some.
const unlikeWords = '(?=[A-Za-z_-]{0,64}[0-9*•…])'
const patterns: readonly RegExp[] = [
  new RegExp(`${boundary}sk[-_]${masked}{3,}`, 'gi'),
  // Account and object ids that name an owner, our own keys, and the prefixes of other providers.
  new RegExp(
    `${boundary}(?:org-|proj_|user-|acct_|(?:pk|rk|ek|key|hg|hga|sess|gsk|pplx|xai|fw|r8|hf|nvapi|csk)[-_])${unlikeWords}${masked}{3,}`,
    'gi',
  ),
  new RegExp(`${boundary}(?:org-|proj_|user-)[A-Za-z0-9]{16,}`, 'gi'),
  // Google, AWS, JSON web tokens.
  new RegExp(`${boundary}(?:AIza|AKIA|ASIA|eyJ)${masked}{12,}`, 'g'),
  // Whatever follows the name of a scheme, up to the next character that cannot belong to a credential.
  new RegExp(`(?<=${boundary}Bearer[ \\t]{1,8})[^\\s"'<>,;\\\\]{3,}`, 'gi'),
  // A run that hides its middle: `abcd****wxyz`.
  /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]+[*•]{3,}[A-Za-z0-9_-]*|(?<![*•])[*•]{3,}[A-Za-z0-9_-]+/g,
]

/** Length of the parts of a held secret that may not show: a shorter one tells nothing and is in every text. */
const partLength = 8

/**
 * `text` with everything that looks like a credential or an account's id replaced by `[removed]`. Linear in the text.
 * `secrets`: credentials we hold, of which no part of 8 characters may stay. The same object where nothing was found.
 */
export function redactKeys(text: string, secrets: readonly string[] = []): string {
  let clean = removeParts(text, secrets)
  for (const pattern of patterns) clean = clean.replace(pattern, removed)
  return clean
}

function removeParts(text: string, secrets: readonly string[]): string {
  const parts = new Set<string>()
  for (const secret of secrets) {
    for (let at = 0; at + partLength <= secret.length; at++) parts.add(secret.slice(at, at + partLength))
  }
  if (parts.size === 0) return text
  let clean = ''
  let kept = 0
  let at = 0
  while (at + partLength <= text.length) {
    if (!parts.has(text.slice(at, at + partLength))) {
      at += 1
      continue
    }
    clean += text.slice(kept, at) + removed
    // A longer piece shows as parts that overlap: the run ends where no part begins inside it.
    let end = at + partLength
    for (let next = at + 1; next < end && next + partLength <= text.length; next++) {
      if (parts.has(text.slice(next, next + partLength))) end = next + partLength
    }
    at = end
    kept = end
  }
  return kept === 0 ? text : clean + text.slice(kept)
}

/**
 * An upstream's error body with keys taken out: in JSON from every string and name as it reads, so that an escaped
 * key (`sk\u002d…`) does not pass; as text where it is no JSON. The same string where there was nothing to take out.
 */
export function redactErrorBody(body: string, secrets: readonly string[] = []): string {
  try {
    const value: unknown = JSON.parse(body)
    let changed = false
    const redact = (text: string): string => {
      const clean = redactKeys(text, secrets)
      if (clean !== text) changed = true
      return clean
    }
    const clean = redactStrings(value, redact)
    return changed ? JSON.stringify(clean) : body
  } catch {
    // No JSON, or nested deeper than the stack: as text then.
    return redactKeys(body, secrets)
  }
}

function redactStrings(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => redactStrings(item, redact))
  // fromEntries defines members, so that a member named `__proto__` stays one.
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [redact(name), redactStrings(item, redact)]),
  )
}
