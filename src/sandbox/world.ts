// What an endpoint sees: the world (all that outlives a request) and the call (one request, read). Endpoints are functions from a call
// to a reply; whatever they keep, they keep in the world, whose every store is bounded.

import type { Clock } from '../base/clock.ts'
import type { TakenBody } from './body.ts'
import { Books } from './books.ts'
import type { OpenEntry } from './books.ts'
import { FaultRegistry } from './fault-registry.ts'
import type { Fault } from './faults.ts'
import { Sequence } from './ids.ts'
import { asObject, asText } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { ObjectStore } from './object-store.ts'
import { invalid, missing } from './reply.ts'
import type { Reply } from './reply.ts'
import { headerOf } from './parse.ts'

/** Settings with their defaults filled in. */
export interface WorldSettings {
  readonly seed: number
  readonly keys: readonly string[] | null
  readonly batchPolls: number
  readonly recordsMax: number
  readonly clock: Clock
}

/** A request as it came off the wire. */
export interface RecordedRequest {
  /** Its row in the books. */
  readonly id: number
  readonly method: string
  /** As on the request line, not normalised. */
  readonly target: string
  /** Path without the query. */
  readonly path: string
  /** In order and case as received. */
  readonly headers: readonly (readonly [string, string])[]
  /** The first 1 MB, transfer coding taken off. */
  readonly body: Uint8Array
  readonly bodyLength: number
  readonly bodySha256: string
}

/** How fast the sandbox answers. */
export interface Pace {
  /** Before every answer. */
  latencyMs: number
  /** Before every frame of a stream. */
  chunkDelayMs: number
}

/** An uploaded or written file. */
export interface StoredFile {
  readonly object: JsonObject
  /** At most 8 MB of it. */
  readonly content: Uint8Array
  readonly contentType: string
  readonly size: number
  readonly sha256: string
}

const filesKeptBytesMax = 256 * 1024 * 1024
const recordedBytesMax = 64 * 1024 * 1024

/** All that outlives a request. */
export class World {
  readonly clock: Clock
  readonly ids: Sequence
  readonly registry: FaultRegistry
  readonly books: Books
  readonly objects = new ObjectStore()
  readonly files = new Map<string, StoredFile>()
  readonly deletedModels = new Set<string>()
  /** Hashes of the first 1024 tokens of prompts seen: a repeat is a prompt-cache hit. */
  readonly prefixes = new Set<number>()
  /** Whole requests, oldest first. */
  readonly requests: RecordedRequest[] = []
  #filesBytes = 0
  #recordedBytes = 0

  constructor(
    readonly settings: WorldSettings,
    readonly pace: Pace,
    /** Puts a fresh world in this one's place. */
    readonly reset: () => void,
  ) {
    this.clock = settings.clock
    this.ids = new Sequence(settings.seed)
    const chance = new Sequence(settings.seed ^ 0x5bd1e995)
    this.registry = new FaultRegistry(() => chance.next())
    this.books = new Books(settings.recordsMax, settings.clock)
  }

  /** Seconds since the epoch, as OpenAI's `created_at`. */
  nowS(): number {
    return Math.floor(this.clock.wallMs() / 1000)
  }

  setLatency(latency: Partial<Pace>): void {
    this.pace.latencyMs = latency.latencyMs ?? this.pace.latencyMs
    this.pace.chunkDelayMs = latency.chunkDelayMs ?? this.pace.chunkDelayMs
  }

  /** Keeps a request, dropping the oldest where there are too many. */
  record(request: RecordedRequest): void {
    this.requests.push(request)
    this.#recordedBytes += request.body.length
    while (this.requests.length > this.settings.recordsMax || this.#recordedBytes > recordedBytesMax) {
      this.#recordedBytes -= this.requests.shift()?.body.length ?? 0
    }
  }

  /** Keeps a file; the oldest are dropped when all together grow too big. */
  keepFile(id: string, file: StoredFile): void {
    this.files.set(id, file)
    this.#filesBytes += file.content.length
    for (const [oldest, { content }] of this.files) {
      if ((this.#filesBytes <= filesKeptBytesMax && this.files.size <= 10_000) || oldest === id) break
      this.files.delete(oldest)
      this.#filesBytes -= content.length
    }
  }

  dropFile(id: string): boolean {
    this.#filesBytes -= this.files.get(id)?.content.length ?? 0
    return this.files.delete(id)
  }
}

/** One request, its body here. */
export class Call {
  #json: JsonObject | null = null

  constructor(
    readonly world: World,
    readonly request: {
      readonly method: string
      readonly target: string
      readonly path: string
      readonly headers: readonly (readonly [string, string])[]
      readonly body: TakenBody
    },
    readonly facts: {
      /** Named parts of the path, still percent-encoded. */
      readonly params: Record<string, string>
      /** Its row in the books, to be filled in. */
      readonly row: OpenEntry
      readonly faults: readonly Fault[]
    },
  ) {}

  get params(): Record<string, string> {
    return this.facts.params
  }

  get row(): OpenEntry {
    return this.facts.row
  }

  get faults(): readonly Fault[] {
    return this.facts.faults
  }

  get query(): URLSearchParams {
    const at = this.request.target.indexOf('?')
    return new URLSearchParams(at < 0 ? '' : this.request.target.slice(at + 1))
  }

  header(name: string): string | null {
    return headerOf(this.request.headers, name)
  }

  /** A part of the path, percent-decoded. */
  param(name: string): string {
    try {
      return decodeURIComponent(this.params[name] ?? '')
    } catch {
      throw missing('The path holds a malformed percent-encoding.')
    }
  }

  /** The same call with other path parameters beside its own. */
  at(params: Record<string, string>): Call {
    return new Call(this.world, this.request, {
      params: { ...this.params, ...params },
      row: this.row,
      faults: this.faults,
    })
  }

  /** The same call with another request, such as a line of a batch. */
  with(request: Call['request']): Call {
    return new Call(this.world, request, this.facts)
  }

  /** The body as a JSON object. @throws Refusal 400 */
  json(): JsonObject {
    this.#json ??= parseBody(this.request.body)
    return this.#json
  }

  /** The body as an object: JSON, a form's plain fields, or `{}` where there is none. @throws Refusal 400 */
  jsonOrNone(): JsonObject {
    if (this.request.body.parts !== null) return this.form().plain()
    return this.request.body.length === 0 ? {} : this.json()
  }

  /** The fields and files of a form. @throws Refusal 400 */
  form(): Form {
    const { parts, formProblem } = this.request.body
    if (parts === null) throw invalid('Expected a request with content type multipart/form-data.')
    if (formProblem !== null) throw invalid(`Could not parse multipart form: ${formProblem}`)
    return new Form(parts)
  }
}

/** A form's fields and files by name. */
export class Form {
  constructor(readonly parts: NonNullable<TakenBody['parts']>) {}

  /** Every plain field by its name. */
  plain(): JsonObject {
    const fields = this.parts.filter(({ filename }) => filename === null)
    return Object.fromEntries(fields.map(({ name, content }) => [name, new TextDecoder().decode(content)]))
  }

  field(name: string): string | null {
    const part = this.parts.find((part) => part.name === name && part.filename === null)
    return part === undefined ? null : new TextDecoder().decode(part.content)
  }

  fields(name: string): string[] {
    const wanted = this.parts.filter((part) => part.name === name || part.name === `${name}[]`)
    return wanted
      .filter((part) => part.filename === null)
      .map((part) => new TextDecoder().decode(part.content))
  }

  files(name: string): NonNullable<TakenBody['parts']>[number][] {
    return this.parts.filter(
      (part) => part.filename !== null && (part.name === name || part.name === `${name}[]`),
    )
  }

  /** The one file of a name. @throws Refusal 400 */
  file(name: string): NonNullable<TakenBody['parts']>[number] {
    const [file] = this.files(name)
    if (file === undefined) throw invalid(`'${name}' is a required property`, name)
    return file
  }
}

function parseBody(body: TakenBody): JsonObject {
  if (body.bytes.length < body.length) throw invalid('The request body is too large for the sandbox.')
  let value: Json
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body.bytes)) as Json
  } catch {
    throw invalid(
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. " +
        'The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
    )
  }
  const object = asObject(value)
  if (object === null) throw invalid('The request body must be a JSON object.')
  return object
}

/** A required text of a body. @throws Refusal 400 */
export function requiredText(body: JsonObject, name: string): string {
  const value = asText(body[name])
  if (value === null)
    throw invalid(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter')
  return value
}

/** An endpoint. */
export type Handler = (call: Call) => Reply | Promise<Reply>

/** An endpoint's place: method (`*` = any) and path with `:name` for a segment and `:name*` for all the rest. */
export type Route = readonly [method: string, path: string, handler: Handler]
