// What a response of a realtime session has cost that was cut off before its end, when nobody will tell any more. The whole
// conversation is the input of every response, so at least what the response before had in and out is in it again; audio
// is a token for each 50 ms of the assistant and for each 100 ms of the user, and text some four bytes a token
// (developers.openai.com/api/docs/guides/realtime-costs, read November 2026).

import { tokensMax, zeroUsage, type Usage } from '../../openai/usage.ts'

type Members = Readonly<Record<string, unknown>>

const bytesPerToken = 4
const assistantMsPerToken = 50
const userMsPerToken = 100
/** Of audio in an hour-long turn; more is not believed. */
const spokenMsMax = 3_600_000

/** Name and version of the way. */
export const socketEstimator = 'socket-1'

/** Follows the events of a session. */
export class SocketEstimate {
  #instructionBytes = 0
  #audioBytesPerMs = 48
  /** Input and output of the response before. */
  #before = 0
  #spokenFromMs = -1
  #spokenMs = 0
  #textBytes = 0
  #audioBytes = 0

  /** The session says what it is. */
  session(session: Members): void {
    const { instructions, tools } = session
    this.#instructionBytes =
      lengthOf(instructions) + (Array.isArray(tools) ? lengthOf(JSON.stringify(tools)) : 0)
    const output = membersOf(membersOf(session['audio'])['output'])
    const format = membersOf(output['format'])['type'] ?? session['output_audio_format']
    this.#audioBytesPerMs = typeof format === 'string' && /pcm[ua]$|g711/.test(format) ? 8 : 48
  }

  /** Something is said, by either side. */
  event(type: string, event: Members): void {
    const { delta } = event
    if (type.endsWith('audio.delta')) this.#audioBytes += (lengthOf(delta) * 3) / 4
    else if (type.endsWith('.delta')) this.#textBytes += lengthOf(delta)
    else if (type === 'input_audio_buffer.speech_started') this.#spokenFromMs = msOf(event['audio_start_ms'])
    else if (type === 'input_audio_buffer.speech_stopped' && this.#spokenFromMs >= 0) {
      const ms = msOf(event['audio_end_ms']) - this.#spokenFromMs
      this.#spokenMs += Math.min(Math.max(ms, 0), spokenMsMax)
      this.#spokenFromMs = -1
    }
  }

  /** A response is over, and this is what it had. Null = it did not say. */
  done(usage: Usage | null): void {
    if (usage !== null) this.#before = usage.input + usage.output
    this.#spokenMs = 0
    this.#textBytes = 0
    this.#audioBytes = 0
  }

  /** What the response under way has cost, as far as can be told. */
  usage(): Usage {
    const heard = Math.ceil(this.#spokenMs / userMsPerToken)
    const first = this.#before === 0 ? Math.ceil(this.#instructionBytes / bytesPerToken) : this.#before
    const input = Math.min(Math.max(first + heard, 1), tokensMax)
    const audioOutput = Math.ceil(this.#audioBytes / this.#audioBytesPerMs / assistantMsPerToken)
    const output = Math.min(audioOutput + Math.ceil(this.#textBytes / bytesPerToken), tokensMax)
    const audioInput = Math.min(heard, input)
    const all = { input, output, audioInput, audioOutput: Math.min(audioOutput, output) }
    return { ...zeroUsage, ...all, total: input + output }
  }
}

function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {}
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' ? value.length : 0
}

function msOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : -1
}
