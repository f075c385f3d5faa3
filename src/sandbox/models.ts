// The models of the sandbox: names as OpenAI lists them, the dated snapshot each one answers as, and what it can do. A model's name may
// also carry faults (`fault-names.ts`), name a recording (`replay:…`), or be `sandbox-tokens-N`: an answer of exactly N tokens.

import { splitModel } from './fault-names.ts'
import type { Fault } from './faults.ts'
import { invalid, jsonReply, Refusal } from './reply.ts'
import type { Reply } from './reply.ts'
import { noModel } from './refusals.ts'
import type { Call, World } from './world.ts'

type Kind =
  | 'chat'
  | 'completion'
  | 'embedding'
  | 'transcription'
  | 'speech'
  | 'image'
  | 'moderation'
  | 'realtime'
  | 'video'

const catalog: Record<Kind, Record<string, string>> = {
  chat: {
    'gpt-4o': 'gpt-4o-2024-08-06',
    'gpt-4o-mini': 'gpt-4o-mini-2024-07-18',
    'gpt-4o-audio-preview': 'gpt-4o-audio-preview-2025-06-03',
    'gpt-4o-search-preview': 'gpt-4o-search-preview-2025-03-11',
    'gpt-4-turbo': 'gpt-4-turbo-2024-04-09',
    'gpt-4': 'gpt-4-0613',
    'gpt-4.1': 'gpt-4.1-2025-04-14',
    'gpt-4.1-mini': 'gpt-4.1-mini-2025-04-14',
    'gpt-4.1-nano': 'gpt-4.1-nano-2025-04-14',
    'gpt-3.5-turbo': 'gpt-3.5-turbo-0125',
    'gpt-5': 'gpt-5-2025-08-07',
    'gpt-5-mini': 'gpt-5-mini-2025-08-07',
    'gpt-5-nano': 'gpt-5-nano-2025-08-07',
    'gpt-5.4': 'gpt-5.4-2026-03-05',
    o1: 'o1-2024-12-17',
    o3: 'o3-2025-04-16',
    'o3-mini': 'o3-mini-2025-01-31',
    'o4-mini': 'o4-mini-2025-04-16',
  },
  completion: {
    'gpt-3.5-turbo-instruct': 'gpt-3.5-turbo-instruct:20230824-v2',
    'davinci-002': 'davinci-002',
    'babbage-002': 'babbage-002',
  },
  embedding: {
    'text-embedding-3-small': '',
    'text-embedding-3-large': '',
    'text-embedding-ada-002': 'text-embedding-ada-002-v2',
  },
  transcription: {
    'whisper-1': '',
    'gpt-4o-transcribe': '',
    'gpt-4o-mini-transcribe': '',
    'gpt-4o-transcribe-diarize': '',
  },
  speech: { 'tts-1': '', 'tts-1-hd': '', 'gpt-4o-mini-tts': '' },
  image: { 'dall-e-2': '', 'dall-e-3': '', 'gpt-image-1': '', 'gpt-image-1-mini': '' },
  moderation: {
    'omni-moderation-latest': 'omni-moderation-2024-09-26',
    'text-moderation-latest': 'text-moderation-007',
  },
  realtime: {
    'gpt-realtime': 'gpt-realtime-2025-08-28',
    'gpt-realtime-mini': 'gpt-realtime-mini-2025-10-06',
    'gpt-4o-realtime-preview': 'gpt-4o-realtime-preview-2025-06-03',
  },
  video: { 'sora-2': '', 'sora-2-pro': '' },
}
const kindOf = new Map<string, Kind>()
const snapshotOf = new Map<string, string>()
for (const [kind, models] of Object.entries(catalog)) {
  for (const [name, snapshot] of Object.entries(models)) {
    kindOf.set(name, kind as Kind)
    kindOf.set(snapshot === '' ? name : snapshot, kind as Kind)
    snapshotOf.set(name, snapshot === '' ? name : snapshot)
  }
}
const createdAt = 1715367049

/** A model as a request named it. */
export interface ModelChoice {
  readonly asked: string
  /** What the answer's `model` says. */
  readonly served: string
  readonly reasoning: boolean
  /** The answer's exact length, asked for by `sandbox-tokens-N`; else null. */
  readonly tokens: number | null
  readonly faults: readonly Fault[]
}

/** Whether a text names a model of the sandbox (or of a fine-tuning that was not deleted). */
function known(world: World, name: string): boolean {
  return kindOf.has(name) || (/^ft:[^:]+/.test(name) && !world.deletedModels.has(name))
}

/** Resolves a request's model. `fallback` stands where only faults were named. @throws Refusal 404 model_not_found, 400 for an unknown fault */
export function chooseModel(
  world: World,
  asked: string,
  want: { kind: Kind; fallback: string },
): ModelChoice {
  const { base, faults, unknown } = splitModel(asked)
  if (unknown.length > 0)
    throw invalid(`Unknown sandbox fault: ${unknown.join(', ')}`, 'model', 'unknown_fault')
  const name = base === '' ? want.fallback : base
  const length = /^sandbox-tokens-(\d{1,6})$/.exec(name)
  const isReplay = name.startsWith('replay:')
  if (length === null && !isReplay && !known(world, name)) throw noModel(asked)
  const kind = kindOf.get(name)
  if (want.kind === 'chat' && kind !== undefined && kind !== 'chat') {
    const message =
      'This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?'
    throw new Refusal(404, { message, type: 'invalid_request_error', param: 'model', code: null })
  }
  const reasoning = /^(?:o\d|gpt-5)/.test(name)
  return {
    asked,
    served: snapshotOf.get(name) ?? name,
    reasoning,
    tokens: length === null ? null : Number(length[1]),
    faults,
  }
}

function modelObject(id: string): object {
  const owner = id.startsWith('ft:') ? 'org-sandbox0123456789' : 'system'
  return { id, object: 'model', created: createdAt, owned_by: owner }
}

/** GET /v1/models */
export function listModels(_call: Call): Reply {
  return jsonReply({ object: 'list', data: [...snapshotOf.keys()].map(modelObject) })
}

/** GET /v1/models/{model} */
export function getModel(call: Call): Reply {
  const id = call.param('model')
  const { base, unknown } = splitModel(id)
  if (unknown.length > 0 || (base !== '' && !known(call.world, base))) throw noModel(id)
  return jsonReply(modelObject(id))
}

/** DELETE /v1/models/{model}: fine-tuned ones only. */
export function deleteModel(call: Call): Reply {
  const id = call.param('model')
  if (!known(call.world, id)) throw noModel(id)
  if (!id.startsWith('ft:')) {
    throw new Refusal(403, {
      message: `You have insufficient permissions to delete the model '${id}'.`,
      type: 'invalid_request_error',
      param: null,
      code: null,
    })
  }
  if (call.world.deletedModels.size < 10_000) call.world.deletedModels.add(id)
  return jsonReply({ id, object: 'model', deleted: true })
}
