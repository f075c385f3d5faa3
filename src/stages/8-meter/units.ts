// What is paid for by something else than tokens, where the answer itself does not say: the number of images of a list, the
// characters to be spoken, the length of a recording. Read from the answer where it can be, else from the request.
// Names: `images`, or `images/<quality>/<size>` where the request names one of them; `characters`; `audioSeconds`;
// `containers/<memory>`.

import type { Exchange, Reply } from '../../exchange.ts'
import { lastMember, firstText } from '../../openai/outermost.ts'
import { audioSeconds, type Units } from '../../openai/usage.ts'
import type { JsonEnds } from './json.ts'

/** Images of one answer; OpenAI makes 10 at most. */
const imagesMax = 1000
const charactersMax = 10_000_000
/** A request for speech beyond this is not parsed: OpenAI takes 4,096 characters. */
const speechBytesMax = 1024 * 1024

const imageNames = [Buffer.from('"b64_json"'), Buffer.from('"url"')]
const durationName = Buffer.from('"duration"')
const qualityName = Buffer.from('"quality"')
const sizeName = Buffer.from('"size"')
const objectName = Buffer.from('"object"')
const memoryName = Buffer.from('"memory_limit"')
const colon = 58
const letterN = 110

/** The units of a JSON answer without usage; null = none are known for this endpoint. */
export function unitsOfAnswer(x: Exchange, ends: JsonEnds): Units | null {
  const operation = x.endpoint?.operation ?? ''
  if (operation.startsWith('images.')) return imagesOf(x, ends)
  if (operation === 'audio.transcriptions' || operation === 'audio.translations')
    return audioSeconds(lastMember(ends.tail, durationName) ?? headDuration(ends.head))
  return operation === 'containers' && x.request.method === 'POST' ? containerOf(ends) : null
}

function containerOf({ head, tail }: JsonEnds): Units | null {
  if ((firstText(head, objectName) ?? lastMember(tail, objectName)) !== 'container') return null
  const memory = firstText(head, memoryName) ?? lastMember(tail, memoryName)
  return {
    [typeof memory === 'string' && /^\d{1,4}g$/.test(memory) ? `containers/${memory}` : 'containers']: 1,
  }
}

// `verbose_json` has its duration before the text and the segments, which may be long.
function headDuration(head: Uint8Array): unknown {
  return (
    firstText(head, durationName) ??
    Number(/^\s*\{[^{}[\]]{0,200}?"duration"\s*:\s*([\d.]{1,20})/.exec(latin(head, 512))?.[1] ?? Number.NaN)
  )
}

function latin(bytes: Uint8Array, length: number): string {
  return Buffer.prototype.latin1Slice.call(bytes, 0, Math.min(bytes.length, length))
}

function imagesOf(x: Exchange, { whole }: JsonEnds): Units | null {
  const images = whole === null ? requestedImages(x) : countImages(whole)
  if (images === 0) return null
  const body = x.bodyBytes
  const quality = body === null ? null : plain(firstText(body, qualityName))
  const size = body === null ? null : plain(firstText(body, sizeName))
  const name = quality === null && size === null ? 'images' : `images/${quality ?? 'auto'}/${size ?? 'auto'}`
  return { [name]: Math.min(images, imagesMax) }
}

/** A word of a request that may become part of a name; else null. */
function plain(word: string | null): string | null {
  return word !== null && /^[a-z0-9]{1,16}$/.test(word) ? word : null
}

// Where the answer is too long to be kept: as many as were asked for.
function requestedImages(x: Exchange): number {
  const n = x.bodyBytes === null ? null : /"n"\s*:\s*(\d{1,4})/.exec(latin(x.bodyBytes, 64 * 1024))
  return n === null ? 1 : Math.max(1, Number(n[1]))
}

// Each image is one of the two, and the other is absent or null. A prompt as revised is text: its quotes are escaped.
function countImages(answer: Uint8Array): number {
  let images = 0
  for (const name of imageNames) {
    let at = Buffer.prototype.indexOf.call(answer, name)
    while (at >= 0) {
      let behind = at + name.length
      let named = false
      for (; answer[behind]! <= 32 || answer[behind] === colon; behind++) named ||= answer[behind] === colon
      if (named && answer[behind] !== letterN) images += 1
      at = Buffer.prototype.indexOf.call(answer, name, behind)
    }
  }
  return images
}

/** The units of an answer that is no JSON: the characters that were spoken. */
export function unitsOfRequest(x: Exchange, reply: Reply): Units | null {
  if (
    x.endpoint?.operation !== 'audio.speech' ||
    !/^(?:audio\/|application\/octet-stream)/i.test(reply.contentType)
  )
    return null
  if (x.bodyBytes === null || x.bodyBytes.length > speechBytesMax) return null
  const body = x.json() as { input?: unknown } | null
  if (typeof body?.input !== 'string') return null
  // Characters as a reader counts them, not units of UTF-16.
  const pairs = body.input.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0
  return { characters: Math.min(body.input.length - pairs, charactersMax) }
}
