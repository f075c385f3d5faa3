// Objects live at the account that made them: a file that was uploaded to one is unknown to the others. So a request that
// names an object goes to its account, wherever the name stands: in the path, or in the body. Which account that is has been
// looked up already where the object is in somebody's name (`x.objectAccount`). What is in nobody's name, such as an item of
// a list, is known from answers: that is kept here, within a bound.

import type { Exchange } from '../../exchange.ts'
import { firstText } from '../../openai/outermost.ts'
import { visitMembers, type MemberSearch } from '../../openai/json-keys.ts'

/** Which account made an object. */
export interface AccountLookup {
  /** Name of the upstream that made the object; null = not known. */
  accountOf(id: string): string | null
  /** An answer of an upstream named this object as its own. */
  made(id: string, upstream: string): void
}

const keptMax = 50_000
const idLengthMax = 256

/** What this process has seen; the oldest is forgotten first. */
export class SeenObjects implements AccountLookup {
  readonly #accounts = new Map<string, string>()

  accountOf(id: string): string | null {
    return this.#accounts.get(id) ?? null
  }

  made(id: string, upstream: string): void {
    if (id.length > idLengthMax || this.#accounts.get(id) === upstream) return
    this.#accounts.delete(id)
    if (this.#accounts.size >= keptMax) this.#accounts.delete(this.#accounts.keys().next().value!)
    this.#accounts.set(id, upstream)
  }
}

/** An object's id has a separator and something behind it; the words of paths, such as `vector_stores`, are left out by name. */
const idShape = /^[A-Za-z0-9]{1,32}[-_][A-Za-z0-9_.:-]{3,220}$/
const words = new Set([
  'vector_stores',
  'file_batches',
  'fine_tuning',
  'input_items',
  'input_tokens',
  'submit_tool_outputs',
  'voice_consents',
  'output_items',
  'client_secrets',
  'transcription_sessions',
  'content_provenance_checks',
])

const separator = /[-_]/
const none: readonly string[] = []

/** Ids in the path, outermost first. */
export function idsInPath({ request, endpoint }: Exchange): readonly string[] {
  if (!endpoint!.ownsIds || endpoint!.modelInPath || !separator.test(request.path)) return none
  return request.path.split('/').filter((part) => idShape.test(part) && !words.has(part))
}

const search: MemberSearch = {
  names: new Set([
    'previous_response_id',
    'conversation',
    'file_id',
    'input_file_id',
    'file_ids',
    'training_file',
    'validation_file',
    'vector_store_id',
    'vector_store_ids',
    'assistant_id',
    'thread_id',
    'container',
    'container_id',
    'eval_id',
    'id',
  ]),
  skipped: new Set(['metadata', 'variables', 'parameters', 'properties', 'schema', 'input_schema']),
}
const allNeedles = ['_id', '_file"', '"conversation"', '"container"', '"item_reference"'].map((text) =>
  Buffer.from(text),
)
const idsMax = 64

/** What is asked most often can name files only. */
const fileNeedles = [Buffer.from('"file_id"')]
const filesOnly = new Set(['chat.completions', 'completions', 'embeddings', 'moderations'])

/** Ids in a JSON body, in its order. Costs a few native searches where there is none. */
export function idsInBody({ bodyBytes, endpoint }: Exchange): readonly string[] {
  if (bodyBytes === null) return none
  const needles = filesOnly.has(endpoint!.operation) ? fileNeedles : allNeedles
  if (!needles.some((each) => Buffer.prototype.indexOf.call(bodyBytes, each) >= 0)) return none
  const ids: string[] = []
  visitMembers(bodyBytes, search, ({ texts }) => {
    for (const text of texts ?? []) if (ids.length < idsMax && idShape.test(text)) ids.push(text)
  })
  return ids
}

/** The account that made what the request names: `known` = it is on record, and where; `path` = an id in the path is not. */
export function accountFor(
  x: Exchange,
  lookup: AccountLookup,
): { readonly known: string | null; readonly unknownInPath: boolean } {
  if (x.objectAccount !== null) return { known: x.objectAccount, unknownInPath: false }
  const inPath = idsInPath(x)
  for (const ids of [inPath, idsInBody(x)])
    for (const id of ids) {
      const known = lookup.accountOf(id)
      if (known !== null) return { known, unknownInPath: false }
    }
  return { known: null, unknownInPath: inPath.length > 0 }
}

/** Whether the request names an object at all. Cheap. */
export function namesObjects(x: Exchange): boolean {
  return x.objectAccount !== null || idsInPath(x).length > 0 || idsInBody(x).length > 0
}

const idName = Buffer.from('"id"')

/** The id of the object that an answer is, read from its bytes; null = none. */
export function idOfAnswer(bytes: Uint8Array): string | null {
  const id = firstText(bytes, idName)
  return id !== null && idShape.test(id) ? id : null
}
