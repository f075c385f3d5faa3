// The endpoints of the OpenAI API as data: what each path means to the stages, so that no stage tests paths itself.
// Rows are written by hand and compact; a test holds them against OpenAI's published API description. A path that is
// not here still passes (`unknownEndpoint`): the table adds knowledge, it does not decide what exists.
// The trap: this table also decides permission (`endpoints:` of a key), so a lookup matches the path exactly as sent.
// Nothing is decoded, folded or trimmed; what differs by a byte is unknown, and unknown is what a list never allows.

/** How a stage may treat an endpoint. Immutable, one object per row of the table. */
export interface Endpoint {
  /** Resource name as in OpenAI's SDKs, such as `chat.completions`: the unit of `endpoints:` lists and metric labels. */
  readonly operation: string
  /** `json`: read whole, may be parsed. The others stream through: `any` = several media types, `none` = no body expected. */
  readonly body: 'json' | 'multipart' | 'any' | 'none'
  /** May answer with server-sent events. */
  readonly streams: boolean
  /**
   * May be sent again while no answer has come: it changes nothing, or at worst costs twice. A response that names a
   * `conversation` or `background` is the exception that only its body shows.
   */
  readonly repeatable: boolean
  /**
   * `usage`: what it costs can be counted, in tokens or units. `free`: costs nothing. `unmetered`: costs, and nothing says
   * beforehand how much; few of them say it in their answer.
   */
  readonly metered: 'usage' | 'free' | 'unmetered'
  /** Makes, lists or names objects that belong to whoever made them (chat completions: where `store` is true). */
  readonly ownsIds: boolean
  /** Which segments behind `/v1` are ids of such objects, outermost first: [1] for `/files/{}`. */
  readonly idSegments: readonly number[]
  /** The protocol this path may be upgraded to. */
  readonly upgrade: 'websocket' | null
  /** A path segment names the model; only there may a segment hold `%2f`. */
  readonly modelInPath: boolean
  /**
   * What says which model the cost is for. `body`: `model` of the JSON body's outermost object. `none`: no model is run.
   * `elsewhere`: a nested member, a file, a form, a socket, an object made before; who is bound to models may not use it.
   */
  readonly model: 'body' | 'none' | 'elsewhere'
  /** Its streams say their usage where `stream_options.include_usage` asks for it. */
  readonly includeUsage: boolean
  /**
   * Shows objects whose cost is not that of the call that shows them: `response` (those in the background), `run`, `job`
   * and `video` (when they are done), `file` (a batch's output, line by line).
   */
  readonly later: 'response' | 'run' | 'job' | 'video' | 'file' | null
}

type Traits = Partial<Omit<Endpoint, 'operation' | 'idSegments'>>

/** What a path under `/v1` is that the table does not know: passed on as it is, counted if it shows usage, never repeated. */
export const unknownEndpoint: Endpoint = {
  operation: 'unknown',
  body: 'any',
  streams: true,
  repeatable: false,
  metered: 'unmetered',
  ownsIds: false,
  idSegments: [],
  upgrade: null,
  modelInPath: false,
  model: 'elsewhere',
  includeUsage: false,
  later: null,
}

const read: Traits = { body: 'none', repeatable: true }
const byMethod: Record<string, Traits> = { GET: read, DELETE: read, POST: {} }
const usual: Endpoint = {
  ...unknownEndpoint,
  operation: '',
  body: 'json',
  streams: false,
  metered: 'free',
  ownsIds: true,
  model: 'none',
}

const inference: Traits = { streams: true, repeatable: true, metered: 'usage', model: 'body' }
const stateless: Traits = { repeatable: true, ownsIds: false }
const asked: Traits = { includeUsage: true }
const run: Traits = { streams: true, metered: 'usage', model: 'body', later: 'run' }
const costs: Traits = { metered: 'unmetered', model: 'elsewhere' }
const video: Traits = { later: 'video' }
const upload: Traits = { body: 'multipart', model: 'elsewhere' }
const named: Traits = { model: 'body' }
const action: Traits = { body: 'none' }
const socket: Traits = {
  upgrade: 'websocket',
  streams: true,
  repeatable: false,
  metered: 'usage',
  ownsIds: false,
  model: 'elsewhere',
}

// operation, METHODS path, what differs from the usual. `{}` is one segment, `{model}` one that may hold %2f, `**` the rest.
const rows: readonly (readonly [operation: string, route: string, traits?: Traits])[] = [
  ['chat.completions', 'POST /chat/completions', { ...inference, ...asked }],
  ['chat.completions', 'GET /chat/completions'],
  ['chat.completions', 'GET,POST,DELETE /chat/completions/{}'],
  ['chat.completions', 'GET /chat/completions/{}/messages'],
  ['responses', 'POST /responses', { ...inference, later: 'response' }],
  ['responses', 'GET /responses', socket],
  ['responses', 'GET /responses/{}', { streams: true, later: 'response' }],
  ['responses', 'DELETE /responses/{}'],
  ['responses', 'GET /responses/{}/input_items'],
  ['responses', 'POST /responses/{}/cancel', { ...action, later: 'response' }],
  ['responses', 'POST /responses/compact', { repeatable: true, metered: 'usage', ...named }],
  ['responses', 'POST /responses/input_tokens', stateless],
  ['completions', 'POST /completions', { ...inference, ...asked, ownsIds: false }],
  ['embeddings', 'POST /embeddings', { ...stateless, metered: 'usage', ...named }],
  ['moderations', 'POST /moderations', stateless],
  ['models', 'GET /models', { ownsIds: false }],
  ['models', 'GET,DELETE /models/{model}', { ownsIds: false, modelInPath: true }],

  ['images.generations', 'POST /images/generations', { ...inference, ownsIds: false }],
  ['images.edits', 'POST /images/edits', { ...inference, body: 'any', ownsIds: false }],
  ['images.variations', 'POST /images/variations', { ...stateless, ...upload, metered: 'usage' }],
  ['audio.speech', 'POST /audio/speech', { ...stateless, metered: 'usage', ...named, streams: true }],
  ['audio.transcriptions', 'POST /audio/transcriptions', { ...inference, ...upload, ownsIds: false }],
  ['audio.translations', 'POST /audio/translations', { ...stateless, ...upload, ...costs }],
  ['audio.voices', 'POST /audio/voices', { ...upload, ...costs }],
  ['audio.voice_consents', 'POST /audio/voice_consents', upload],
  ['audio.voice_consents', 'GET /audio/voice_consents'],
  ['audio.voice_consents', 'GET,POST,DELETE /audio/voice_consents/{}'],
  ['videos', 'POST /videos', { body: 'any', ...costs, ...named, ...video }],
  ['videos', 'GET /videos'],
  ['videos', 'GET /videos/{}', video],
  ['videos', 'DELETE /videos/{}'],
  ['videos', 'GET /videos/{}/content'],
  ['videos', 'POST /videos/{}/remix', { body: 'any', ...costs, ...video }],
  ['videos', 'POST /videos/edits', { body: 'any', ...costs, ...video }],
  ['videos', 'POST /videos/extensions', { body: 'any', ...costs, ...video }],
  ['videos', 'POST /videos/characters', { ...upload, ...costs }],
  ['videos', 'GET /videos/characters/{}'],

  ['files', 'POST /files', upload],
  ['files', 'GET /files'],
  ['files', 'GET,DELETE /files/{}'],
  ['files', 'GET /files/{}/content', { later: 'file' }],
  ['uploads', 'POST /uploads'],
  ['uploads', 'POST /uploads/{}/parts', upload],
  ['uploads', 'POST /uploads/{}/complete'],
  ['uploads', 'POST /uploads/{}/cancel', action],
  ['batches', 'POST /batches', costs],
  ['batches', 'GET /batches'],
  ['batches', 'GET /batches/{}'],
  ['batches', 'POST /batches/{}/cancel', action],
  ['vector_stores', 'POST /vector_stores', costs],
  ['vector_stores', 'GET /vector_stores'],
  ['vector_stores', 'GET,POST,DELETE /vector_stores/{}'],
  ['vector_stores', 'POST /vector_stores/{}/search', { repeatable: true, ...costs }],
  ['vector_stores.files', 'POST /vector_stores/{}/files', costs],
  ['vector_stores.files', 'GET /vector_stores/{}/files'],
  ['vector_stores.files', 'GET,POST,DELETE /vector_stores/{}/files/{}'],
  ['vector_stores.files', 'GET /vector_stores/{}/files/{}/content'],
  ['vector_stores.file_batches', 'POST /vector_stores/{}/file_batches', costs],
  ['vector_stores.file_batches', 'GET /vector_stores/{}/file_batches/{}'],
  ['vector_stores.file_batches', 'GET /vector_stores/{}/file_batches/{}/files'],
  ['vector_stores.file_batches', 'POST /vector_stores/{}/file_batches/{}/cancel', action],
  ['containers', 'POST /containers', costs],
  ['containers', 'GET /containers'],
  ['containers', 'GET,DELETE /containers/{}'],
  ['containers.files', 'POST /containers/{}/files', { body: 'any' }],
  ['containers.files', 'GET /containers/{}/files'],
  ['containers.files', 'GET,DELETE /containers/{}/files/{}'],
  ['containers.files', 'GET /containers/{}/files/{}/content'],
  ['skills', 'POST /skills', { body: 'any' }],
  ['skills', 'GET /skills'],
  ['skills', 'GET,POST,DELETE /skills/{}'],
  ['skills', 'GET /skills/{}/content'],
  ['skills', 'POST /skills/{}/versions', { body: 'any' }],
  ['skills', 'GET /skills/{}/versions'],
  ['skills', 'GET,DELETE /skills/{}/versions/{}'],
  ['skills', 'GET /skills/{}/versions/{}/content'],

  ['conversations', 'POST /conversations'],
  ['conversations', 'GET,POST,DELETE /conversations/{}'],
  ['conversations.items', 'GET,POST /conversations/{}/items'],
  ['conversations.items', 'GET,DELETE /conversations/{}/items/{}'],
  ['assistants', 'GET,POST /assistants'],
  ['assistants', 'GET,POST,DELETE /assistants/{}'],
  ['threads', 'POST /threads'],
  ['threads', 'GET,POST,DELETE /threads/{}'],
  ['threads.messages', 'GET,POST /threads/{}/messages'],
  ['threads.messages', 'GET,POST,DELETE /threads/{}/messages/{}'],
  ['threads.runs', 'POST /threads/runs', run],
  ['threads.runs', 'POST /threads/{}/runs', run],
  ['threads.runs', 'GET /threads/{}/runs'],
  ['threads.runs', 'GET,POST /threads/{}/runs/{}', { later: 'run' }],
  ['threads.runs', 'POST /threads/{}/runs/{}/cancel', { ...action, later: 'run' }],
  ['threads.runs', 'POST /threads/{}/runs/{}/submit_tool_outputs', { ...run, model: 'elsewhere' }],
  ['threads.runs', 'GET /threads/{}/runs/{}/steps'],
  ['threads.runs', 'GET /threads/{}/runs/{}/steps/{}'],
  ['chatkit', 'POST /chatkit/sessions', costs],
  ['chatkit', 'POST /chatkit/sessions/{}/cancel', action],
  ['chatkit', 'GET /chatkit/threads'],
  ['chatkit', 'GET,DELETE /chatkit/threads/{}'],
  ['chatkit', 'GET /chatkit/threads/{}/items'],

  ['realtime', 'GET /realtime', socket],
  ['realtime.calls', 'POST /realtime/calls', { body: 'any', ...costs }],
  ['realtime.calls', 'POST /realtime/calls/{}/accept', costs],
  ['realtime.calls', 'POST /realtime/calls/{}/refer'],
  ['realtime.calls', 'POST /realtime/calls/{}/reject'],
  ['realtime.calls', 'POST /realtime/calls/{}/hangup', action],
  ['realtime.client_secrets', 'POST /realtime/client_secrets', costs],
  ['realtime.client_secrets', 'POST /realtime/translations/client_secrets', costs],
  ['realtime.sessions', 'POST /realtime/sessions', costs],
  ['realtime.transcription_sessions', 'POST /realtime/transcription_sessions', costs],

  ['fine_tuning.jobs', 'POST /fine_tuning/jobs', { ...costs, ...named }],
  ['fine_tuning.jobs', 'GET /fine_tuning/jobs'],
  ['fine_tuning.jobs', 'GET /fine_tuning/jobs/{}', { later: 'job' }],
  ['fine_tuning.jobs', 'GET /fine_tuning/jobs/{}/checkpoints'],
  ['fine_tuning.jobs', 'GET /fine_tuning/jobs/{}/events'],
  ['fine_tuning.jobs', 'POST /fine_tuning/jobs/{}/cancel', action],
  ['fine_tuning.jobs', 'POST /fine_tuning/jobs/{}/pause', action],
  ['fine_tuning.jobs', 'POST /fine_tuning/jobs/{}/resume', { ...action, ...costs }],
  ['fine_tuning.checkpoints', 'GET,POST /fine_tuning/checkpoints/{}/permissions'],
  ['fine_tuning.checkpoints', 'DELETE /fine_tuning/checkpoints/{}/permissions/{}'],
  ['fine_tuning.graders', 'POST /fine_tuning/alpha/graders/run', { ...stateless, ...costs }],
  ['fine_tuning.graders', 'POST /fine_tuning/alpha/graders/validate', stateless],
  ['evals', 'GET,POST /evals'],
  ['evals', 'GET,POST,DELETE /evals/{}'],
  ['evals.runs', 'POST /evals/{}/runs', costs],
  ['evals.runs', 'GET /evals/{}/runs'],
  ['evals.runs', 'GET,DELETE /evals/{}/runs/{}'],
  ['evals.runs', 'POST /evals/{}/runs/{}', action],
  ['evals.runs', 'GET /evals/{}/runs/{}/output_items'],
  ['evals.runs', 'GET /evals/{}/runs/{}/output_items/{}'],
  ['content_provenance_checks', 'POST /content_provenance_checks', { ...stateless, ...upload, ...costs }],

  // Administration of the account needs an admin key and costs nothing: one operation each, allowed or not as a whole.
  ['organization', 'GET,POST,DELETE /organization/**'],
  ['projects', 'GET,POST,DELETE /projects/**'],
]

class Branch {
  readonly literal = new Map<string, Branch>()
  parameter: Branch | null = null
  readonly endpoints = new Map<string, Endpoint>()
  readonly below = new Map<string, Endpoint>()
}

const root = new Branch()
// By method, then by path: one lookup of the path as it stands, without building a joined key per request.
const exact = new Map<string, Map<string, Endpoint>>()

function add(operation: string, route: string, traits: Traits): void {
  const [methods = '', path = ''] = route.split(' ')
  const idSegments = path.slice(1).split('/').flatMap((segment, index) => (segment === '{}' ? [index] : [])) // prettier-ignore
  for (const method of methods.split(',')) {
    const endpoint: Endpoint = { ...usual, ...byMethod[method], ...traits, operation, idSegments }
    if (!/[{*]/.test(path)) {
      let paths = exact.get(method)
      if (paths === undefined) exact.set(method, (paths = new Map()))
      paths.set(`/v1${path}`, endpoint)
      continue
    }
    addSegments(path.slice(1).split('/'), method, endpoint)
  }
}

function addSegments(segments: string[], method: string, endpoint: Endpoint): void {
  let branch = root
  for (const segment of segments) {
    if (segment === '**') {
      branch.below.set(method, endpoint)
      return
    }
    if (segment.startsWith('{')) {
      branch = branch.parameter ??= new Branch()
    } else {
      let next = branch.literal.get(segment)
      if (next === undefined) branch.literal.set(segment, (next = new Branch()))
      branch = next
    }
  }
  branch.endpoints.set(method, endpoint)
}

for (const [operation, route, traits] of rows) add(operation, route, traits ?? {})

/** Every operation that can stand in an `endpoints:` list, sorted, with `unknown` last. */
export const operations: readonly string[] = [...new Set(rows.map(([operation]) => operation))]
  .sort()
  .concat('unknown')

/**
 * What `method` on `path` means: `path` as sent, from `/v1`, without its query. Null where the table has no such row,
 * also for known paths with another method; then `unknownEndpoint` holds. A path without ids costs two map lookups.
 * Null too for `threads/Runs`: an id here, but the literal `runs` to a server that does not mind case. HEAD is GET without
 * the body, and upgrades nothing.
 */
export function findEndpoint(method: string, path: string): Endpoint | null {
  if (method !== 'HEAD') return findRow(method, path)
  const row = findRow('GET', path)
  return row === null || row.upgrade !== null ? null : row
}

function findRow(method: string, path: string): Endpoint | null {
  const endpoint = exact.get(method)?.get(path)
  if (endpoint !== undefined) return endpoint
  if (!path.startsWith('/v1/')) return null
  if (/[A-Z]/.test(path) && exact.get(method)?.has(path.toLowerCase())) return null
  // No row is longer than 7 segments; the limit keeps a path of slashes from becoming a long list.
  const found = match(root, path.slice(4).split('/', 9), { at: 0, method })
  if (found !== null && !found.modelInPath && /%2f/i.test(path)) return null
  return found
}

// A literal wins over a parameter, with a way back: GET /responses/compact is a response of that id.
function match(
  branch: Branch,
  segments: readonly string[],
  step: { at: number; method: string },
): Endpoint | null {
  const segment = segments[step.at]
  if (segment === undefined) return branch.endpoints.get(step.method) ?? null
  if (segment === '') return null
  const next = { at: step.at + 1, method: step.method }
  const literal = branch.literal.get(segment)
  const found = literal === undefined ? null : match(literal, segments, next)
  if (found !== null) return found
  const below = branch.below.get(step.method)
  if (below !== undefined) return below
  return branch.parameter === null ? null : match(branch.parameter, segments, next)
}
