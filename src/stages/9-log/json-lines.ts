// Lines for programs: one JSON object a line, members without a value left out. Joined from finished members: nearly all
// of a line was in a line before (see member.ts), so what is left to write are numbers. JSON.stringify of a record of the
// same members cost three times as much; a test holds the two against each other.

import { Finding } from '../../base/known-bytes.ts'
import type { Exchange, Principal } from '../../exchange.ts'
import type { HeaderBlock } from '../../net/wire/headers.ts'
import type { Usage } from '../../openai/usage.ts'
import { detailOf, failureOf, isoTime, pathMax, statusOf } from './access-line.ts'
import { Member, solid } from './member.ts'

const requestId = new Member('requestId')
const method = new Member('method')
const path = new Member('path', pathMax)
const failure = new Member('failure')
// `detailOf` cuts it, before it takes keys out.
const detail = new Member('detail', Infinity)
const model = new Member('model')
const answeredModel = new Member('answeredModel')
const endUser = new Member('endUser')
const upstream = new Member('upstream')
const address = new Member('address')
const userAgent = new Member('userAgent')
const agents = new Finding((headers: HeaderBlock) => headers.get('user-agent'))

const principals = new WeakMap<Principal, string>()

function principalMembers(principal: Principal): string {
  const known = principals.get(principal)
  if (known !== undefined) return known
  let members = ''
  for (const name of ['key', 'team', 'app', 'user', 'env'] as const) {
    members += new Member(name).of(principal[name])
  }
  members = solid(members)
  principals.set(principal, members)
  return members
}

function rare(name: string, tokens: number): string {
  return tokens === 0 ? '' : `,"${name}":${tokens}`
}

/** Parts that are 0 are left out; input, output and total are not. */
function usageMember(usage: Usage | null): string {
  if (usage === null) return ''
  const { input, cachedInput, cacheWrite, output, reasoning, audioInput, audioOutput, total } = usage
  const parts =
    cachedInput + cacheWrite + reasoning + audioInput + audioOutput + imagesAndPredictions(usage) === 0
      ? '}'
      : `${rare('cachedInput', cachedInput)}${rare('cacheWrite', cacheWrite)}${rare('reasoning', reasoning)}` +
        `${rare('audioInput', audioInput)}${rare('audioOutput', audioOutput)}${rarest(usage)}}`
  return `,"usage":{"input":${input},"output":${output},"total":${total}${parts}`
}

function imagesAndPredictions(usage: Usage): number {
  const { cachedAudio, imageInput, imageOutput, cachedImage, acceptedPrediction, rejectedPrediction } = usage
  return cachedAudio + imageInput + imageOutput + cachedImage + acceptedPrediction + rejectedPrediction
}

function rarest(usage: Usage): string {
  const { cachedAudio, imageInput, imageOutput, cachedImage, acceptedPrediction, rejectedPrediction } = usage
  return (
    `${rare('cachedAudio', cachedAudio)}${rare('imageInput', imageInput)}${rare('imageOutput', imageOutput)}` +
    `${rare('cachedImage', cachedImage)}${rare('acceptedPrediction', acceptedPrediction)}` +
    rare('rejectedPrediction', rejectedPrediction)
  )
}

/** A duration to a tenth of a millisecond, without the printing of fractions, which is slow. */
function duration(ms: number): string | number {
  const tenths = Math.round(ms * 10)
  // Beyond a day, before the start, or no number at all: a clock that is broken still gives a line.
  if (!(tenths > 0 && tenths < 864_000_000)) return Number.isFinite(tenths) ? tenths / 10 : 'null'
  const whole = (tenths / 10) | 0
  const rest = tenths - whole * 10
  return rest === 0 ? whole : `${whole}.${rest}`
}

function firstByteMember(x: Exchange): string {
  return x.firstByteAtMs === 0 ? '' : `,"firstByteMs":${duration(x.firstByteAtMs - x.startedAtMs)}`
}

/** How it was delivered. */
function courseMembers(x: Exchange): string {
  const { attempts, stream, gone } = x
  if (attempts === 1 && !gone) return stream ? onceStreamed : onceWhole
  return `,"attempts":${attempts},"stream":${stream},"clientGone":${gone}`
}

const onceWhole = ',"attempts":1,"stream":false,"clientGone":false'
const onceStreamed = ',"attempts":1,"stream":true,"clientGone":false'

function failureMembers(x: Exchange): string {
  return x.gone || x.failure !== null ? failure.of(failureOf(x)) + detail.once(detailOf(x)) : ''
}

/** An exchange as a JSON line. */
export function jsonLine(x: Exchange, endedAtMs: number): string {
  const { request } = x
  const query = request.query === '' ? '' : ',"query":true'
  const operation = x.endpoint === null ? 'unknown' : x.endpoint.operation
  const agent = userAgent.of(agents.of(request.headers.known, request.headers))
  const took = duration(endedAtMs - x.startedAtMs)
  // Few long templates: a string made longer step by step is a chain that takes twice as long to put together.
  // The id is ours and needs no escape; an operation is a name of the endpoint table.
  return (
    `{"at":"${isoTime(x.startedWallMs)}","id":"${x.id}"${requestId.once(x.upstreamRequestId)}` +
    `${method.of(request.method)}${path.of(request.path)}${query},"endpoint":"${operation}","status":${statusOf(x)}` +
    `${failureMembers(x)}${principalMembers(x.principal)}${model.of(x.model)}${answeredModel.of(x.answeredModel)}` +
    `${endUser.of(x.endUser)}${upstream.of(x.upstream)}${courseMembers(x)}${usageMember(x.usage)},"bytesIn":${x.bytesIn},"bytesOut":${x.bytesOut}` +
    `${firstByteMember(x)},"durationMs":${took}${address.of(x.clientAddress?.text ?? request.peerAddress)}${agent}}\n`
  )
}
