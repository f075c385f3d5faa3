// Lines for programs: one JSON object a line, members without a value left out. JSON.stringify on one object of one
// shape is several times faster here than joining pieces by hand. Escaped beyond what JSON asks for is what a terminal
// acts on or hides (C1 controls, line separators, marks that turn text around), for the day someone cats the file.

import type { Exchange } from '../../exchange.ts'
import type { Usage } from '../../openai/usage.ts'
import { cut, detailOf, failureOf, firstByteMs, isoTime, pathOf, statusOf, tenths } from './access-line.ts'

const plain = /^[ -~]*$/
const actedOn = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** JSON text with what a terminal acts on written as `\uXXXX`. Lone surrogates and C0 controls JSON.stringify escapes itself. */
export function inert(json: string): string {
  if (plain.test(json)) return json
  return json.replace(actedOn, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Undefined for null, so that the member is left out; long texts are cut. */
function text(value: string | null): string | undefined {
  return value === null ? undefined : cut(value)
}

function usageOf(usage: Usage | null): object | undefined {
  if (usage === null) return undefined
  const { input, cachedInput, cacheWrite, output, reasoning, audioInput, audioOutput, total } = usage
  const rare = cachedInput + cacheWrite + reasoning + audioInput + audioOutput
  if (rare === 0) return { input, output, total }
  return {
    input,
    output,
    total,
    cachedInput: cachedInput || undefined,
    cacheWrite: cacheWrite || undefined,
    reasoning: reasoning || undefined,
    audioInput: audioInput || undefined,
    audioOutput: audioOutput || undefined,
  }
}

/** An exchange as a JSON line. Parts of usage that are 0 are left out; input, output and total are not. */
export function jsonLine(x: Exchange, endedAtMs: number): string {
  const { request, principal } = x
  const record = {
    at: isoTime(x.startedWallMs),
    id: x.id,
    requestId: text(x.upstreamRequestId),
    method: cut(request.method),
    path: pathOf(x),
    query: request.query === '' ? undefined : true,
    endpoint: x.endpoint === null ? 'unknown' : x.endpoint.operation,
    status: statusOf(x),
    failure: failureOf(x) ?? undefined,
    detail: detailOf(x) ?? undefined,
    key: text(principal.key),
    team: text(principal.team),
    app: text(principal.app),
    user: text(principal.user),
    env: text(principal.env),
    model: text(x.model),
    answeredModel: text(x.answeredModel),
    upstream: text(x.upstream),
    attempts: x.attempts,
    stream: x.stream,
    clientGone: x.gone,
    usage: usageOf(x.usage),
    bytesIn: x.bytesIn,
    bytesOut: x.bytesOut,
    firstByteMs: firstByteMs(x) ?? undefined,
    durationMs: tenths(endedAtMs - x.startedAtMs),
    address: text(request.peerAddress),
    userAgent: text(request.headers.get('user-agent')),
  }
  return `${inert(JSON.stringify(record))}\n`
}
