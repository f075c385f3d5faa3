// The Realtime API over WebSocket: a session, a conversation of items, answers in words. Sound that is sent in comes back as the
// sound of the answer (an echo), so a test can follow bytes through. Faults in the model's name apply where they make sense: `cut`,
// `reset`, `silence`, `error-frame`, `no-usage`.

import type { BookUsage } from './books.ts'
import { asList, asObject, asText, objectsIn } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { chooseModel } from './models.ts'
import type { ModelChoice } from './models.ts'
import { answerText } from './prose.ts'
import { invalid, jsonReply, Refusal } from './reply.ts'
import type { Reply } from './reply.ts'
import { faultOf } from './script.ts'
import { countTokens, tokenPieces } from './tokens.ts'
import { addUsage, toldUsage } from './usage.ts'
import { socketReply } from './websocket.ts'
import type { SocketPeer, SocketSession } from './websocket.ts'
import type { Call, Route } from './world.ts'

const audioKeptMax = 4 * 1024 * 1024

class RealtimeSession implements SocketSession {
  readonly #session: JsonObject
  readonly #items: JsonObject[] = []
  #audio = ''
  #sent = 0

  constructor(
    readonly call: Call,
    readonly peer: SocketPeer,
    readonly model: ModelChoice,
  ) {
    const { ids } = call.world
    this.#session = {
      type: 'realtime',
      object: 'realtime.session',
      id: ids.id('sess_'),
      model: model.served,
      output_modalities: ['text'],
      instructions: '',
      tools: [],
      tool_choice: 'auto',
      audio: {
        input: { format: { type: 'audio/pcm', rate: 24_000 }, turn_detection: null },
        output: { voice: 'alloy', speed: 1 },
      },
      expires_at: call.world.nowS() + 1800,
    }
    this.#send('session.created', { session: this.#session })
    this.#send('conversation.created', {
      conversation: { id: ids.id('conv_'), object: 'realtime.conversation' },
    })
  }

  #send(type: string, fields: JsonObject, tokens = 0): void {
    const cut = faultOf(this.call.faults, 'cut')
    if (cut !== null && this.#sent >= cut.frames) return this.peer.reset()
    this.peer.send(JSON.stringify({ type, event_id: this.call.world.ids.id('event_'), ...fields }))
    this.#sent++
    this.call.row.framesSent++
    this.call.row.outputSent += tokens
  }

  #error(message: string, code: string, eventId: Json): void {
    this.#send('error', {
      error: { type: 'invalid_request_error', code, message, param: null, event_id: eventId },
    })
  }

  message(data: string | Uint8Array): void {
    if (typeof data !== 'string') return this.#error('Expected a text message.', 'invalid_event', null)
    let event: JsonObject | null
    try {
      event = asObject(JSON.parse(data) as Json)
    } catch {
      event = null
    }
    if (event === null) return this.#error('The message is not a JSON object.', 'invalid_json', null)
    this.#handle(asText(event['type']) ?? '', event)
  }

  #handle(type: string, event: JsonObject): void {
    if (type === 'session.update') this.#update(event)
    else if (type === 'conversation.item.create') this.#addItem(asObject(event['item']) ?? {})
    else if (type === 'conversation.item.delete') this.#deleteItem(event)
    else if (type === 'input_audio_buffer.append') this.#append(asText(event['audio']) ?? '')
    else if (type === 'input_audio_buffer.commit') this.#commit(event)
    else if (type === 'input_audio_buffer.clear') {
      this.#audio = ''
      this.#send('input_audio_buffer.cleared', {})
    } else if (type === 'response.create') this.#respond(asObject(event['response']) ?? {})
    else if (type !== 'response.cancel')
      this.#error(`Invalid value: '${type}'.`, 'invalid_value', event['event_id'] ?? null)
  }

  #update(event: JsonObject): void {
    Object.assign(this.#session, asObject(event['session']) ?? {})
    this.#send('session.updated', { session: this.#session })
  }

  #addItem(item: JsonObject): void {
    const kept = {
      id: this.call.world.ids.id('item_'),
      object: 'realtime.item',
      status: 'completed',
      ...item,
    }
    const previous = this.#items.at(-1)?.['id'] ?? null
    if (this.#items.length < 1000) this.#items.push(kept)
    this.#send('conversation.item.created', { previous_item_id: previous, item: kept })
  }

  #deleteItem(event: JsonObject): void {
    const at = this.#items.findIndex((item) => item['id'] === event['item_id'])
    if (at >= 0) this.#items.splice(at, 1)
    this.#send('conversation.item.deleted', { item_id: event['item_id'] ?? null })
  }

  #append(audio: string): void {
    if (this.#audio.length < audioKeptMax) this.#audio += audio
  }

  #commit(event: JsonObject): void {
    if (this.#audio === '') {
      return this.#error(
        'Error committing input audio buffer: the buffer is empty.',
        'input_audio_buffer_commit_empty',
        event['event_id'] ?? null,
      )
    }
    const id = this.call.world.ids.id('item_')
    this.#send('input_audio_buffer.committed', {
      previous_item_id: this.#items.at(-1)?.['id'] ?? null,
      item_id: id,
    })
    this.#addItem({ id, type: 'message', role: 'user', content: [{ type: 'input_audio', transcript: null }] })
  }

  #prompt(): string {
    const user = this.#items.findLast((item) => item['role'] === 'user')
    return objectsIn(user?.['content'])
      .map((part) => asText(part['text']) ?? asText(part['transcript']) ?? '')
      .join(' ')
  }

  #respond(options: JsonObject): void {
    const { faults, world, row } = this.call
    if (faultOf(faults, 'silence') !== null) return
    if (faultOf(faults, 'error-frame') !== null)
      return this.#error('The server had an error while processing your request.', 'server_error', null)
    const prompt = this.#prompt()
    const text = answerText(prompt)
    const spoken = this.#audio !== '' || asList(options['output_modalities'])?.includes('audio') === true
    const response: JsonObject = {
      object: 'realtime.response',
      id: world.ids.id('resp_'),
      status: 'in_progress',
      output: [],
      usage: null,
      metadata: options['metadata'] ?? null,
    }
    const item: JsonObject = {
      id: world.ids.id('item_'),
      object: 'realtime.item',
      type: 'message',
      status: 'in_progress',
      role: 'assistant',
      content: [],
    }
    const where = { response_id: response['id'], item_id: item['id'], output_index: 0, content_index: 0 }
    this.#send('response.created', { response })
    this.#send('response.output_item.added', { response_id: response['id'], output_index: 0, item })
    const part = spoken ? { type: 'output_audio', transcript: text } : { type: 'output_text', text }
    const name = spoken ? 'response.output_audio_transcript' : 'response.output_text'
    this.#send('response.content_part.added', {
      ...where,
      part: spoken ? { ...part, transcript: '' } : { ...part, text: '' },
    })
    if (spoken) this.#send('response.output_audio.delta', { ...where, delta: this.#audio })
    for (const delta of tokenPieces(text)) this.#send(`${name}.delta`, { ...where, delta }, 1)
    this.#send(`${name}.done`, { ...where, ...(spoken ? { transcript: text } : { text }) })
    if (spoken) this.#send('response.output_audio.done', where)
    this.#send('response.content_part.done', { ...where, part })
    const whole = { ...item, status: 'completed', content: [part] }
    this.#send('response.output_item.done', { response_id: response['id'], output_index: 0, item: whole })
    this.#items.push(whole)
    this.#audio = ''
    const usage = { input: countTokens(prompt) + 3, cachedInput: 0, output: countTokens(text), reasoning: 0 }
    const told = toldUsage(usage, faults)
    row.usage = addUsage(row.usage, told ?? usage)
    row.servedModel = this.model.served
    row.usageSent ||= told !== null
    this.#send('response.done', {
      response: {
        ...response,
        status: 'completed',
        output: [whole],
        usage: told === null ? null : usageOf(told),
      },
    })
  }

  closed(): void {
    this.#audio = ''
  }
}

function usageOf(usage: BookUsage): JsonObject {
  return {
    total_tokens: usage.input + usage.output,
    input_tokens: usage.input,
    output_tokens: usage.output,
    input_token_details: {
      text_tokens: usage.input,
      audio_tokens: 0,
      image_tokens: 0,
      cached_tokens: usage.cachedInput,
    },
    output_token_details: { text_tokens: usage.output, audio_tokens: 0 },
  }
}

function openSession(call: Call): Reply {
  const asked = call.query.get('model')
  if (asked === null) throw invalid('You must provide a model parameter.', 'model', 'missing_model')
  const model = chooseModel(call.world, asked, { kind: 'realtime', fallback: 'gpt-realtime' })
  if (call.header('upgrade') === null) {
    throw new Refusal(426, {
      message: 'This endpoint speaks WebSocket only.',
      type: 'invalid_request_error',
      param: null,
      code: 'upgrade_required',
    })
  }
  return socketReply(call, ['realtime'], (peer) => new RealtimeSession(call, peer, model))
}

function clientSecret(call: Call): Reply {
  const session = asObject(call.jsonOrNone()['session']) ?? call.jsonOrNone()
  const { ids } = call.world
  const value = `ek_${ids.hex(32)}`
  const expires = call.world.nowS() + 600
  const made = { id: ids.id('sess_'), object: 'realtime.session', model: 'gpt-realtime', ...session }
  return jsonReply({
    value,
    expires_at: expires,
    session: made,
    client_secret: { value, expires_at: expires },
    ...made,
  })
}

/** Realtime. */
export const realtimeRoutes: readonly Route[] = [
  ['GET', '/v1/realtime', openSession],
  ['POST', '/v1/realtime/client_secrets', clientSecret],
  ['POST', '/v1/realtime/sessions', clientSecret],
  ['POST', '/v1/realtime/transcription_sessions', clientSecret],
]
