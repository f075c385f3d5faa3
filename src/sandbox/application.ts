// From a request to a script: take the body in, see who asks, which faults strike, find the endpoint, keep the books. The order of
// refusals is OpenAI's: the key first, then the URL, then the body.

import { BodyTaker } from './body.ts'
import type { TakenBody } from './body.ts'
import type { BookEnding, OpenEntry } from './books.ts'
import { splitModel } from './fault-names.ts'
import type { Fault } from './faults.ts'
import { openaiHeaders } from './headers.ts'
import { headerOf } from './parse.ts'
import type { RequestHead } from './parse.ts'
import { Refusal } from './reply.ts'
import type { Reply } from './reply.ts'
import { noKey, noModel, refusalOf, unknownUrl, wrongKey } from './refusals.ts'
import { Router } from './router.ts'
import { routes } from './routes.ts'
import { script } from './script.ts'
import type { Setting } from './script.ts'
import type { Application, Intake, Performance } from './server.ts'
import { Call } from './world.ts'
import type { World } from './world.ts'

const bodyKeptMax = 64 * 1024 * 1024
const recordedMax = 1024 * 1024
const echoKeptMax = 64 * 1024

const router = new Router(routes)

function pathOf(target: string): string {
  // The absolute form (RFC 9112 section 3.2.2) is for proxies, but servers must read it.
  const local = target.replace(/^https?:\/\/[^/?#]*/i, '')
  const end = local.search(/[?#]/)
  return (end < 0 ? local : local.slice(0, end)) || '/'
}

/** The key a request presents: bearer, or a WebSocket's subprotocol. Null where there is none. */
function presentedKey(head: RequestHead): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headerOf(head.headers, 'authorization') ?? '')
  if (bearer !== null) return bearer[1]!
  const offered = (headerOf(head.headers, 'sec-websocket-protocol') ?? '')
    .split(',')
    .map((name) => name.trim())
  const prefix = 'openai-insecure-api-key.'
  return offered.find((name) => name.startsWith(prefix))?.slice(prefix.length) ?? null
}

function keyRefusal(head: RequestHead, path: string, keys: readonly string[] | null): Refusal | null {
  if (!path.startsWith('/v1/') || path === '/v1/echo' || path.startsWith('/v1/echo/')) return null
  const key = presentedKey(head)
  if (key === null) return noKey()
  return keys === null || keys.includes(key) ? null : wrongKey(key)
}

/** The model a request names, wherever it does: JSON body, form field, query. */
function modelOf(head: RequestHead, body: TakenBody): string | null {
  if (body.parts !== null) {
    const part = body.parts.find(({ name, filename }) => name === 'model' && filename === null)
    return part === undefined ? null : new TextDecoder().decode(part.content)
  }
  if (body.length === 0) return new URLSearchParams(head.target.split('?')[1] ?? '').get('model')
  if (body.bytes[0] !== 0x7b || body.bytes.length < body.length) return null
  try {
    const value = JSON.parse(new TextDecoder().decode(body.bytes)) as { model?: unknown }
    return typeof value.model === 'string' ? value.model : null
  } catch {
    return null
  }
}

function replayReply(world: World, model: string): Reply {
  const recording = world.registry.recording(model)
  if (recording === null) throw noModel(model)
  const { status = 200, contentType = 'text/event-stream; charset=utf-8', pauseMs = 0 } = recording.options
  return {
    status,
    headers: [['content-type', contentType]],
    body: { kind: 'pieces', pieces: recording.pieces, pauseMs },
    served: null,
  }
}

async function answer(call: Call, head: RequestHead): Promise<Reply> {
  try {
    const path = call.request.path
    const refused =
      keyRefusal(head, path, call.world.settings.keys) ??
      refusalOf(call.faults, presentedKey(head) ?? 'sk-none')
    if (refused !== null) throw refused
    const model = splitModel(call.row.model ?? '').base
    if (model.startsWith('replay:')) return replayReply(call.world, model)
    // HEAD is answered as GET; the script leaves the body out. Not a handshake, which would open a tunnel.
    const asGet = head.method === 'HEAD' && headerOf(head.headers, 'upgrade') === null
    const found = router.find(asGet ? 'GET' : head.method, path)
    if (found === null) throw unknownUrl(head.method, head.target)
    Object.assign(call.params, found.params)
    return await found.handler(call)
  } catch (cause) {
    if (cause instanceof Refusal) return cause.toReply()
    const message = `The sandbox failed: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`
    return new Refusal(500, { message, type: 'server_error', param: null, code: 'sandbox_bug' }).toReply()
  }
}

/** One request on its way through. */
class Passage implements Intake {
  readonly early: Performance | null
  readonly deaf: boolean
  readonly #path: string
  readonly #row: OpenEntry
  readonly #taker: BodyTaker
  readonly #world: World

  constructor(
    world: World,
    readonly head: RequestHead,
  ) {
    this.#world = world
    this.#path = pathOf(head.target)
    this.#row = this.#world.books.open(head.method, this.#path)
    const type = headerOf(head.headers, 'content-type')
    const echo = this.#path.startsWith('/v1/echo') && this.#path !== '/v1/echo/raw'
    const form = /^multipart\//i.test(type ?? '')
    this.#taker = new BodyTaker(type, echo ? echoKeptMax : form ? recordedMax : bodyKeptMax)
    const faults = this.#world.registry.strike({ method: head.method, path: this.#path, model: null }, true)
    this.deaf = faults.some(({ kind }) => kind === 'deaf')
    const refusal = refusalOf(faults, presentedKey(head) ?? 'sk-none')
    this.early = refusal === null ? null : this.#perform(refusal.toReply(), [{ kind: 'close-delimited' }])
  }

  chunk(bytes: Uint8Array): void {
    this.#taker.push(bytes)
  }

  gone(): void {
    this.#ended('aborted', this.#world.clock.nowMs())
  }

  async end(): Promise<Performance> {
    const { head } = this
    const body = this.#taker.take()
    this.#record(body)
    const model = modelOf(head, body)
    this.#row.model = model
    const struck = this.#world.registry.strike({ method: head.method, path: this.#path, model }, false)
    const faults = [...struck, ...splitModel(model ?? '').faults]
    const { method, target, headers } = head
    const call = new Call(
      this.#world,
      { method, target, path: this.#path, headers, body },
      { params: {}, row: this.#row, faults },
    )
    return this.#perform(await answer(call, head), faults)
  }

  #record(body: TakenBody): void {
    const { method, target, headers } = this.head
    this.#world.record({
      id: this.#row.id,
      method,
      target,
      path: this.#path,
      headers,
      body: body.bytes.slice(0, recordedMax),
      bodyLength: body.length,
      bodySha256: body.sha256,
    })
  }

  #perform(reply: Reply, faults: readonly Fault[]): Performance {
    const { head } = this
    const { pace } = this.#world
    const row = this.#row
    const startMs = this.#world.clock.nowMs()
    row.status = reply.status
    row.stream = reply.body.kind === 'frames'
    if (reply.served !== null) {
      row.servedModel = reply.served.model
      row.usage = reply.served.usage
      row.units = reply.served.units ?? null
    }
    const close =
      headerOf(head.headers, 'connection')
        ?.toLowerCase()
        .split(/\s*,\s*/)
        .includes('close') === true
    const setting: Setting = {
      ...pace,
      method: head.method,
      minor: head.minor,
      keepAlive: head.minor === 1 && !close,
    }
    const own = openaiHeaders({
      requestId: this.#world.ids.id('req_'),
      wallMs: this.#world.clock.wallMs(),
      processingMs: pace.latencyMs + (row.usage?.output ?? 1),
      usage: row.usage,
    })
    const [contentType, ...more] = reply.headers
    const headers = contentType === undefined ? own : [own[0]!, contentType, ...own.slice(1), ...more]
    if (!setting.keepAlive && reply.status !== 101) headers.push(['connection', 'close'])
    return {
      steps: script({ ...reply, headers: reply.status === 101 ? reply.headers : headers }, faults, setting),
      note: (note) => {
        row.framesSent += note.frames
        row.outputSent += note.tokens
        row.usageSent ||= note.usage
      },
      ended: (how) => this.#ended(how, startMs),
    }
  }

  #ended(how: BookEnding, startMs: number): void {
    const row = this.#row
    if (row.ended !== 'open') return
    row.ended = how
    row.endedAtMs = this.#world.clock.wallMs()
    row.durationMs = this.#world.clock.nowMs() - startMs
  }
}

/** The application; `world` is asked for at every request because a reset makes a new one. */
export function sandboxApplication(world: () => World): Application {
  return { open: (head) => new Passage(world(), head) }
}
