// Ids that a whole body names. It is taken for JSON whatever its label says, as the most lenient upstream would.

import type { Exchange } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import type { Endpoint } from '../../openai/endpoints.ts'
import { visitMembers, type MemberSearch } from '../../openai/json-keys.ts'
import { idsNamed, mayNameIds, type NamedIds } from '../../openai/object-ids.ts'

const decoder = new TextDecoder()

/** Adds them. `strict`: what cannot be read as JSON is refused. @throws Failure('invalid_json') */
export function idsOfBody(x: Exchange, strict: boolean, ids: NamedIds): void {
  const bytes = x.bodyBytes!
  if (!bodyMayNameIds(bytes)) return
  try {
    x.json()
  } catch (cause) {
    if (strict) throw cause
    return
  }
  idsNamed(decoder.decode(bytes), ids)
}

/** Whether a body has to be looked into. */
export function bodyMayNameIds(bytes: Uint8Array): boolean {
  return bytes.length > 0 && (!startsAsJson(bytes) || mayNameIds(bytes))
}

/** Anything else may be a form, or text in another coding, to an upstream that goes by the label. */
function startsAsJson(bytes: Uint8Array): boolean {
  let at = 0
  while (bytes[at]! <= 32) at++
  return bytes[at] === 0x7b || bytes[at] === 0x5b
}

const sources: MemberSearch = { names: new Set(['type', 'purpose']), skipped: new Set(['metadata']) }
const accountWide = /^(?:stored_completions|logs|responses)$/i

/**
 * Refuses what reads the objects of a whole account without naming one: evals of stored answers; and batch input in parts, of
 * which no part can be looked into. @throws Failure('access_denied')
 */
export function checkSources(x: Exchange, { operation }: Endpoint): void {
  const bytes = x.bodyBytes!
  const evals = operation === 'evals' || operation === 'evals.runs'
  if (bytes.length === 0 || (!evals && operation !== 'uploads')) return
  x.json()
  visitMembers(bytes, sources, ({ name, texts }) => {
    const isType = name.toLowerCase() === 'type'
    if (evals && isType && texts?.some((text) => accountWide.test(text)))
      throw new Failure(
        'access_denied',
        'Evals of stored answers are not served here, since they read those of everybody. Give a file or its content.',
      )
    if (operation === 'uploads' && !isType && texts?.some((text) => text.trim().toLowerCase() === 'batch'))
      throw new Failure(
        'access_denied',
        'Input of batches is not taken in parts. Send it with POST /v1/files.',
      )
  })
}
