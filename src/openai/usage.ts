// What answers say of their own cost, in one shape. Two families of names exist: prompt/completion (chat, completions,
// embeddings, runs) and input/output (responses, images, audio, realtime). Counts become money, so reading is strict: one
// count that cannot be (negative, a fraction, text, beyond the ceiling) refuses the whole object, which then counts as
// absent and not as zero. Half a usage was refused as an option: it would look exact. A part larger than its whole is
// cut down to it, since what is left of the whole is priced too; and where a provider counts reasoning beside the
// output (xAI: total = input + output + reasoning), it is added to it, so that `output` is all that is paid for.

import { toolUnits } from './tool-calls.ts'

/** Tokens of one answer; every field an integer from 0 to `tokensMax`. */
export interface Usage {
  /** All input, cached, audio and images included. */
  readonly input: number
  /** Part of `input` read from the provider's prompt cache. */
  readonly cachedInput: number
  /** Part of `input` written to it. */
  readonly cacheWrite: number
  /** All output, reasoning and audio included. */
  readonly output: number
  readonly reasoning: number
  readonly audioInput: number
  readonly audioOutput: number
  /** Part of `cachedInput` and of `audioInput`. */
  readonly cachedAudio: number
  readonly imageInput: number
  readonly imageOutput: number
  /** Part of `cachedInput` and of `imageInput`. */
  readonly cachedImage: number
  /** Tokens of the client's `prediction` that came true, and that did not; both are part of `output`. */
  readonly acceptedPrediction: number
  readonly rejectedPrediction: number
  /** As reported, else input + output. */
  readonly total: number
}

/** Nothing of anything. */
export const zeroUsage: Usage = {
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  audioInput: 0,
  audioOutput: 0,
  cachedAudio: 0,
  imageInput: 0,
  imageOutput: 0,
  cachedImage: 0,
  acceptedPrediction: 0,
  rejectedPrediction: 0,
  total: 0,
}

/** What a provider counts in something else than tokens, such as `{ images: 2 }` or `{ audioSeconds: 12.5 }`. */
export type Units = Readonly<Record<string, number>>

/** The largest count believed: a million times today's largest context. */
export const tokensMax = 2 ** 40
/** The longest recording believed: a year. */
const secondsMax = 366 * 86_400

type Members = Readonly<Record<string, unknown>>

const wrong = -1

function members(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
}

// Absent and null are the same on this wire: both mean "not reported".
function count(value: unknown): number {
  if (value === undefined || value === null) return 0
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= tokensMax
    ? value
    : wrong
}

function detail(value: unknown, name: string): number {
  if (value === undefined || value === null) return 0
  const details = members(value)
  return details === null ? wrong : count(details[name])
}

/** The part of a part: only realtime says it. */
function cachedDetail(details: unknown, name: string): number {
  return detail(members(details)?.['cached_tokens_details'], name)
}

/**
 * Reads a `usage` object of any OpenAI endpoint. An explicit 0 is a count. Null where there is no token count in it
 * (such as whisper's `{"type":"duration"}`) or one that cannot be.
 */
export function readUsage(usage: unknown): Usage | null {
  const u = members(usage)
  if (u === null) return null
  const reportedInput = u['prompt_tokens'] ?? u['input_tokens']
  const reportedOutput = u['completion_tokens'] ?? u['output_tokens']
  const reportedTotal = u['total_tokens'] ?? null
  if ((reportedInput ?? reportedOutput ?? reportedTotal) === null) return null
  const ins = u['prompt_tokens_details'] ?? u['input_tokens_details'] ?? u['input_token_details']
  const outs = u['completion_tokens_details'] ?? u['output_tokens_details'] ?? u['output_token_details']
  // DeepSeek and Moonshot say it beside the details, where they have any.
  const cached = members(ins)?.['cached_tokens'] ?? u['prompt_cache_hit_tokens'] ?? u['cached_tokens']
  // Some servers of embeddings say the total alone, and it is all input.
  const totalOnly = (reportedInput ?? reportedOutput ?? null) === null
  const input = count(totalOnly ? reportedTotal : reportedInput)
  const output = count(reportedOutput)
  const read: Usage = {
    input,
    cachedInput: Math.min(detail(ins, 'cached_tokens'), count(cached)) < 0 ? wrong : count(cached),
    cacheWrite: detail(ins, 'cache_write_tokens'),
    output,
    reasoning: detail(outs, 'reasoning_tokens'),
    audioInput: detail(ins, 'audio_tokens'),
    audioOutput: detail(outs, 'audio_tokens'),
    cachedAudio: cachedDetail(ins, 'audio_tokens'),
    imageInput: detail(ins, 'image_tokens'),
    imageOutput: detail(outs, 'image_tokens'),
    cachedImage: cachedDetail(ins, 'image_tokens'),
    acceptedPrediction: detail(outs, 'accepted_prediction_tokens'),
    rejectedPrediction: detail(outs, 'rejected_prediction_tokens'),
    total: reportedTotal === null ? Math.min(Math.max(input, 0) + output, tokensMax) : count(reportedTotal),
  }
  return smallest(read) < 0 ? null : consistent(read)
}

// Every count is `wrong` or at least 0, and a total made from a wrong one shows in the wrong one.
function smallest(read: Usage): number {
  return Math.min(
    Math.min(read.input, read.cachedInput, read.cacheWrite, read.output, read.reasoning),
    Math.min(read.audioInput, read.audioOutput, read.cachedAudio, read.imageInput, read.imageOutput),
    Math.min(read.cachedImage, read.acceptedPrediction, read.rejectedPrediction, read.total),
  )
}

function consistent(read: Usage): Usage {
  const { input, reasoning, total } = read
  const beside = reasoning > 0 && total === input + read.output + reasoning
  const output = beside ? Math.min(read.output + reasoning, tokensMax) : read.output
  const sound =
    !beside &&
    read.cachedInput + read.cacheWrite <= input &&
    read.audioInput + read.imageInput <= input &&
    read.audioOutput + read.imageOutput <= output &&
    read.cachedAudio + read.cachedImage === 0
  if (sound) return read
  const cachedInput = Math.min(read.cachedInput, input)
  const audioInput = Math.min(read.audioInput, input)
  const audioOutput = Math.min(read.audioOutput, output)
  const imageInput = Math.min(read.imageInput, input - audioInput)
  const cachedAudio = Math.min(read.cachedAudio, audioInput, cachedInput)
  return {
    ...read,
    cachedInput,
    cacheWrite: Math.min(read.cacheWrite, input - cachedInput),
    output,
    audioInput,
    audioOutput,
    cachedAudio,
    imageInput,
    imageOutput: Math.min(read.imageOutput, output - audioOutput),
    cachedImage: Math.min(read.cachedImage, imageInput, cachedInput - cachedAudio),
  }
}

/** The sum of two usages, as of the responses of one session. Saturates. */
export function addUsage(a: Usage | null, b: Usage): Usage {
  if (a === null) return b
  const sum: Record<string, number> = {}
  for (const name of Object.keys(b) as (keyof Usage)[]) sum[name] = Math.min(a[name] + b[name], tokensMax)
  return sum as unknown as Usage
}

/** The sum of two counts of units, name by name. */
export function addUnits(a: Units | null, b: Units): Units {
  if (a === null) return b
  const sum: Record<string, number> = { ...a }
  for (const [name, value] of Object.entries(b)) sum[name] = Math.min((sum[name] ?? 0) + value, tokensMax)
  return sum
}

/** Units of a `usage` object that counts no tokens: `{"type":"duration","seconds"}`. Null where it says none, or nonsense. */
export function readUnits(usage: unknown): Units | null {
  const u = members(usage)
  return u?.['type'] === 'duration' ? audioSeconds(u['seconds']) : null
}

/** Seconds of a recording as units; some servers write them as text. */
export function audioSeconds(value: unknown): Units | null {
  const seconds = typeof value === 'string' && /^\d{1,9}(\.\d+)?$/.test(value) ? Number(value) : value
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= secondsMax)) return null
  // To a microsecond: sums of what is no binary fraction stay readable.
  return { audioSeconds: Math.round(seconds * 1e6) / 1e6 }
}

/** What an answer says of its own cost. */
export interface AnswerFacts {
  readonly usage: Usage | null
  /** The model that answered. */
  readonly model: string | null
  readonly serviceTier: string | null
  readonly units: Units | null
  /** No later usage can follow: not a running sum amid a stream. */
  readonly final: boolean
}

/** An answer that says nothing. */
export const noFacts: AnswerFacts = { usage: null, model: null, serviceTier: null, units: null, final: false }

/**
 * Reads what a parsed answer or stream event says of its cost, at the places where it is put: the outermost object, its
 * `response` (responses API and realtime events), `x_groq`, or the first choice. Nowhere else: an echoed tool schema
 * may hold a member of the same name, written by the client.
 */
export function readAnswer(answer: unknown): AnswerFacts {
  const outer = members(answer)
  if (outer === null) return noFacts
  const inner = members(outer['response'])
  const choices: unknown = outer['choices']
  const choice = Array.isArray(choices) ? members(choices[0]) : null
  const usage =
    readUsage(outer['usage']) ??
    readUsage(inner?.['usage']) ??
    readUsage(members(outer['x_groq'])?.['usage']) ??
    readUsage(choice?.['usage'])
  return {
    usage,
    model: text(outer['model'] ?? inner?.['model']),
    serviceTier: text(outer['service_tier'] ?? inner?.['service_tier']),
    units:
      (usage === null ? (readUnits(outer['usage']) ?? readUnits(inner?.['usage'])) : null) ??
      toolUnits(inner ?? outer),
    // A chunk with a choice that goes on is followed by others; some providers send a running sum with each.
    final: choice === null || (choice['finish_reason'] ?? null) !== null,
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null
}
