// Sends a request to a provider that does not speak like OpenAI: OpenAI's body into a call of the provider's package, and
// what that gives back into a reply that every later stage reads as OpenAI's. Chat completions and responses, whole and
// streamed, and embeddings where the provider has them; for anything else the answer names what there is.

import type { LanguageModelV4, LanguageModelV4StreamPart, SharedV4Warning } from '@ai-sdk/provider'
import { newId, randomText } from '../../base/id.ts'
import type { Exchange, Reply } from '../../exchange.ts'
import { Failure } from '../../failure.ts'
import { isOpening, type Face } from '../../openai/translate/answer.ts'
import { membersOf, type Abilities, type Call, type Members } from '../../openai/translate/call.ts'
import { ChatEvents, chatAnswer } from '../../openai/translate/chat-answer.ts'
import { chatCall } from '../../openai/translate/chat-request.ts'
import { ResponsesEvents, responsesAnswer } from '../../openai/translate/responses-answer.ts'
import { responsesCall } from '../../openai/translate/responses-request.ts'
import type { Account, Identity } from './account.ts'
import { askedOf, type Asked } from './asked.ts'
import { modelInBody, refusing } from './asking.ts'
import { unsentFetch, warningsOf } from './draft.ts'
import { PartsBody, type Events } from './parts-body.ts'
import { sendEmbeddings } from './translated-embeddings.ts'
import { BrokenAnswer, errorOfPart, outcomeOf } from './translated-errors.ts'
import { eventsReply, jsonReply, type Sending } from './sending.ts'
import type { Translation } from './translation.ts'

/** Asks an account of such a provider once. @throws Failure */
export async function sendTranslated(x: Exchange, account: Account, identity: Identity): Promise<Reply> {
  const translation = account.translation!
  const ask = endpointOf(x, account, translation)
  const asked = askedOf(x, account)
  const body = readBody(x, asked)
  const model = modelInBody(x, asked)
  if (model === null) throw new Failure('bad_request', "The request names no 'model'.", { param: 'model' })
  // It becomes a part of the provider's path.
  if (!/^[\w.:@/+~-]{1,512}$/.test(model) || /\.\.|\/\/|^\//.test(model))
    throw new Failure('not_found', 'No provider has a model of this name.', { param: 'model' })
  const call = account.providerCall(asked)
  const controller = new AbortController()
  const abort = (): void => {
    controller.abort()
    call.abort()
  }
  x.onGone = () => account.leaving.left(x, { abort })
  if (x.gone) abort()
  const make = await account.loadModels()
  const models = make(account.access(identity, call.fetch))
  const drafts = account.refusesUnsupported ? make(account.access(identity, unsentFetch)) : null
  const { signal } = controller
  const sending = { x, account, translation, identity, call, models, drafts, body, model, signal }
  try {
    const reply = await ask(sending)
    account.learn(identity.key, false)
    return reply
  } catch (cause) {
    call.abort()
    return outcomeOf(cause, sending)
  }
}

/** The way an endpoint is asked. @throws Failure where the provider has none */
function endpointOf(
  x: Exchange,
  account: Account,
  translation: Translation,
): (sending: Sending) => Promise<Reply> {
  const { method, path, upgrade } = x.request
  if (method === 'POST' && upgrade === null) {
    if (path === '/v1/chat/completions') return sendChat
    if (path === '/v1/responses') return sendResponses
    if (path === '/v1/embeddings' && translation.embeds) return sendEmbeddings
  }
  const has = ['/v1/chat/completions', '/v1/responses', ...(translation.embeds ? ['/v1/embeddings'] : [])]
  throw new Failure(
    'not_found',
    `The provider of the upstream "${account.name}" (${account.providerName}) has no ${method} ${path}. It has POST ${has.join(', ')}.`,
  )
}

function readBody(x: Exchange, { body: sent }: Asked): Members {
  const bytes = sent?.whole ?? null
  const json =
    sent === x.requestBody && x.bodyBytes !== null ? x.json() : bytes === null ? null : parse(bytes)
  const body = membersOf(json)
  if (body === null) throw new Failure('bad_request', 'The request body must be a JSON object.')
  return body
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))
  } catch {
    throw new Failure('invalid_json', 'The request body is not valid JSON. Check the body your client sends.')
  }
}

function abilitiesOf({ translation }: Sending, model: LanguageModelV4, urls: Abilities['urls']): Abilities {
  return {
    lacks: new Set(translation.lacks),
    media: translation.media,
    urls: model.supportedUrls instanceof Promise ? {} : urls,
    extras: translation.extras,
    reasoningNeedsItsPast: translation.reasoningNeedsItsPast,
  }
}

async function prepared(sending: Sending, read: (body: Members, abilities: Abilities) => Call) {
  const model = sending.models.language(sending.model)
  const urls = await model.supportedUrls
  const call = read(sending.body, abilitiesOf(sending, model, urls))
  refusing(sending.account, call.dropped)
  const ready = {
    model,
    dropped: [...call.dropped],
    options: { ...call.options, abortSignal: sending.signal },
  }
  const draft = sending.drafts?.language(sending.model)
  if (draft !== undefined) note(sending, ready.dropped, await warningsOf(draft, ready.options))
  return ready
}

type Prepared = Awaited<ReturnType<typeof prepared>>

async function sendChat(sending: Sending): Promise<Reply> {
  const ready = await prepared(sending, chatCall)
  const face = faceOf(sending, `chatcmpl-${randomText(24)}`)
  if (sending.body['stream'] !== true) {
    const result = await generate(sending, ready, face)
    return jsonReply(sending, chatAnswer(result, face), ready.dropped)
  }
  const asked = membersOf(sending.body['stream_options'])
  return stream(sending, ready, new ChatEvents(face, asked?.['include_usage'] === true))
}

async function sendResponses(sending: Sending): Promise<Reply> {
  const ready = await prepared(sending, responsesCall)
  const face = faceOf(sending, newId('resp'))
  const events = new ResponsesEvents(face, sending.body, newId)
  if (sending.body['stream'] === true) return stream(sending, ready, events)
  const result = await generate(sending, ready, face)
  return jsonReply(sending, responsesAnswer(result, events), ready.dropped)
}

function faceOf({ account, model }: Sending, id: string): Face {
  return { id, created: Math.floor(account.clock.wallMs() / 1000), model }
}

async function generate(sending: Sending, { model, options, dropped }: Prepared, face: Face) {
  const result = await model.doGenerate(options)
  if (result.finishReason.unified === 'error') throw new BrokenAnswer('the model broke off its answer')
  note(sending, dropped, result.warnings)
  const named = result.response?.modelId
  if (named !== undefined && named !== '') face.model = named
  return result
}

/** Adds what the package says it left out, where the client had set it. */
function note({ body, account }: Sending, dropped: string[], warnings: readonly SharedV4Warning[]): void {
  for (const warning of warnings) {
    if (warning.type !== 'unsupported') continue
    const names = namesOf(warning.feature).filter((name) => isSet(body, name))
    if (names[0] !== undefined && !dropped.includes(names[0])) dropped.push(names[0])
  }
  refusing(account, dropped)
}

function isSet(body: Members, name: string): boolean {
  const [outer = '', inner] = name.split('.')
  const value = inner === undefined ? body[outer] : membersOf(body[outer])?.[inner]
  return value !== undefined && value !== null
}

/** OpenAI's names for what the packages call a feature; the first one that the client has set is meant. */
function namesOf(feature: string): readonly string[] {
  const known: Record<string, readonly string[]> = {
    temperature: ['temperature'],
    topP: ['top_p'],
    topK: ['top_k'],
    seed: ['seed'],
    frequencyPenalty: ['frequency_penalty'],
    presencePenalty: ['presence_penalty'],
    stopSequences: ['stop'],
    maxOutputTokens: ['max_completion_tokens', 'max_tokens', 'max_output_tokens'],
    responseFormat: ['response_format', 'text.format'],
    toolChoice: ['tool_choice'],
  }
  if (known[feature] !== undefined) return known[feature]
  return /reasoning|thinking|effort|budget/i.test(feature) ? ['reasoning_effort', 'reasoning.effort'] : []
}

async function stream(
  sending: Sending,
  { model, options, dropped }: Prepared,
  events: Events,
): Promise<Reply> {
  const result = await model.doStream(options)
  const reader = result.stream.getReader()
  const opening: LanguageModelV4StreamPart[] = []
  // Until the answer itself begins, an error is still an error with a status, and may be tried elsewhere.
  for (;;) {
    const { done, value } = await reader.read()
    if (done) throw new BrokenAnswer('the answer is empty')
    if (value.type === 'error') throw errorOfPart(value.error)
    opening.push(value)
    if (value.type === 'stream-start') note(sending, dropped, value.warnings)
    if (!isOpening(value)) break
  }
  const { call } = sending
  const source = { reader, opening, abort: () => call.abort(), fault: () => call.fault }
  return eventsReply(sending, new PartsBody(source, events), dropped)
}
