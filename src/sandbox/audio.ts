// Audio: speech out (a valid WAV where WAV is asked for, else bytes that start as their format does, in chunks), speech in (the words
// of the transcript follow from the file's hash).

import { asText } from './json.ts'
import { chooseModel } from './models.ts'
import { frame, invalid, jsonReply, bytesReply, streamReply, utf8 } from './reply.ts'
import type { Frame, Reply } from './reply.ts'
import { countTokens, tokenPieces } from './tokens.ts'
import { requiredText } from './world.ts'
import type { Call, Route } from './world.ts'

const types: Record<string, { type: string; start: readonly number[] }> = {
  mp3: { type: 'audio/mpeg', start: [0xff, 0xfb, 0x90, 0x64] },
  opus: { type: 'audio/opus', start: [0x4f, 0x67, 0x67, 0x53] },
  aac: { type: 'audio/aac', start: [0xff, 0xf1, 0x50, 0x80] },
  flac: { type: 'audio/flac', start: [0x66, 0x4c, 0x61, 0x43] },
  wav: { type: 'audio/wav', start: [] },
  pcm: { type: 'audio/pcm', start: [] },
}
const sampleRate = 24_000
const pieceBytes = 4096

function wavHead(dataBytes: number): Buffer {
  const head = Buffer.alloc(44)
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(36 + dataBytes, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(sampleRate, 24)
  head.writeUInt32LE(sampleRate * 2, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36, 'latin1')
  head.writeUInt32LE(dataBytes, 40)
  return head
}

/** A low hum, 40 ms a character: 16-bit samples. */
function samples(text: string): Buffer {
  const bytes = Buffer.alloc(Math.min(text.length, 4096) * 960 * 2)
  for (let i = 0; i < bytes.length / 2; i++) bytes.writeInt16LE(Math.round(Math.sin(i / 20) * 3000), i * 2)
  return bytes
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

function speech(call: Call): Reply {
  const body = call.json()
  const model = chooseModel(call.world, requiredText(body, 'model'), { kind: 'speech', fallback: 'tts-1' })
  const input = requiredText(body, 'input')
  requiredText(body, 'voice')
  if (input.length > 4096)
    throw invalid(
      `Invalid 'input': string too long. Expected a string with maximum length 4096.`,
      'input',
      'string_above_max_length',
    )
  const name = asText(body['response_format']) ?? 'mp3'
  const format = types[name]
  if (format === undefined)
    throw invalid(
      `Invalid value: '${name}'. Supported values are: ${Object.keys(types).join(', ')}.`,
      'response_format',
      'invalid_value',
    )
  const data = samples(input)
  const usage = {
    input: countTokens(input),
    cachedInput: 0,
    output: Math.ceil(data.length / 2400),
    reasoning: 0,
  }
  const served = { model: model.served, usage, usageTold: body['stream_format'] === 'sse' }
  if (body['stream_format'] === 'sse') return streamReply(speechFrames(data, usage), served)
  const bytes = Buffer.concat([name === 'wav' ? wavHead(data.length) : Buffer.from(format.start), data])
  const headers: [string, string][] = [['content-type', format.type]]
  return { status: 200, headers, body: { kind: 'pieces', pieces: piecesOf(bytes), pauseMs: null }, served }
}

function* speechFrames(data: Uint8Array, usage: { input: number; output: number }): Generator<Frame> {
  for (const piece of piecesOf(data))
    yield frame({ type: 'speech.audio.delta', audio: Buffer.from(piece).toString('base64') }, {})
  const { input, output } = usage
  yield frame(
    {
      type: 'speech.audio.done',
      usage: { input_tokens: input, output_tokens: output, total_tokens: input + output },
    },
    { usage: true },
  )
}

function* transcriptFrames(text: string, usage: object): Generator<Frame> {
  for (const delta of tokenPieces(text)) yield frame({ type: 'transcript.text.delta', delta }, { tokens: 1 })
  yield frame({ type: 'transcript.text.done', text, usage }, { usage: true })
}

/** 32,000 bytes a second, as 16 kHz 16-bit sound has. */
function secondsOf(bytes: number): number {
  return Math.max(Math.ceil(bytes / 32_000), 1)
}

function written(text: string, format: string, seconds: number): Reply | null {
  const stamp = (ms: string): string => `00:00:${String(Math.min(seconds, 59)).padStart(2, '0')}${ms}`
  if (format === 'text') return bytesReply(utf8(`${text}\n`), 'text/plain; charset=utf-8')
  if (format === 'srt')
    return bytesReply(utf8(`1\n00:00:00,000 --> ${stamp(',000')}\n${text}\n\n`), 'text/plain; charset=utf-8')
  if (format === 'vtt')
    return bytesReply(
      utf8(`WEBVTT\n\n00:00:00.000 --> ${stamp('.000')}\n${text}\n\n`),
      'text/vtt; charset=utf-8',
    )
  return null
}

function transcribe(task: 'transcribe' | 'translate') {
  return (call: Call): Reply => {
    const form = call.form()
    const file = form.file('file')
    const asked = form.field('model')
    if (asked === null) throw invalid('you must provide a model parameter')
    const model = chooseModel(call.world, asked, { kind: 'transcription', fallback: 'whisper-1' })
    const seconds = secondsOf(file.size)
    const text = `This is the ${task === 'translate' ? 'translation' : 'transcript'} of ${file.filename ?? 'a file'}, ${file.size} bytes, ${file.sha256.slice(0, 8)}.`
    const usage = { input: seconds * 10, cachedInput: 0, output: countTokens(text), reasoning: 0 }
    const whisper = model.served === 'whisper-1'
    const served = { model: model.served, usage: whisper ? null : usage, usageTold: true }
    const details = { input_token_details: { text_tokens: 0, audio_tokens: usage.input } }
    const tokens = {
      type: 'tokens',
      input_tokens: usage.input,
      ...details,
      output_tokens: usage.output,
      total_tokens: usage.input + usage.output,
    }
    const shown = whisper ? { type: 'duration', seconds } : tokens
    if (form.field('stream') === 'true' && !whisper) return streamReply(transcriptFrames(text, shown), served)
    const format = form.field('response_format') ?? 'json'
    const plain = written(text, format, seconds)
    if (plain !== null) return { ...plain, served: { ...served, usageTold: false } }
    if (format !== 'verbose_json') return jsonReply({ text, usage: shown }, 200, served)
    const segment = {
      id: 0,
      seek: 0,
      start: 0,
      end: seconds,
      text,
      tokens: [1],
      temperature: 0,
      avg_logprob: -0.2,
      compression_ratio: 1.2,
      no_speech_prob: 0.01,
    }
    return jsonReply(
      { task, language: 'english', duration: seconds, text, segments: [segment], usage: shown },
      200,
      served,
    )
  }
}

/** Audio. */
export const audioRoutes: readonly Route[] = [
  ['POST', '/v1/audio/speech', speech],
  ['POST', '/v1/audio/transcriptions', transcribe('transcribe')],
  ['POST', '/v1/audio/translations', transcribe('translate')],
]
