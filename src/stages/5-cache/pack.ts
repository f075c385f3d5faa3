// Stored answers as bytes, for stores outside of this process. What nearly all answers have in common (status, header lines,
// models, whom they were made for) is one JSON text, read once for thousands of them; what is an answer's own is another, and
// short: reading a look-up's facts as one text cost more than finding them on the disk.
// Layout: `HGE2`, length of what is its own, length of what is in common, both texts, the body.

import { KnownBytes, KnownTable } from '../../base/known-bytes.ts'
import type { Usage } from '../../openai/usage.ts'
import { Entry, type EntryFacts } from './entry.ts'

const magic = 0x32454748
const headBytes = 12

/** In the order of the list that is kept: four moments, cost, then what few have; usage without its zeros. */
type Own = [number, number, number, number, number | null, Partial<Usage> | null, EntryFacts['pace'], string?]
type Common = Omit<
  EntryFacts,
  | 'createdAtMs'
  | 'freshUntilMs'
  | 'keptUntilMs'
  | 'askedAtMs'
  | 'costNanoUsd'
  | 'usage'
  | 'pace'
  | 'envelope'
  | 'pending'
>

/** An entry as bytes. */
export function packEntry({ facts, body }: Entry): Uint8Array {
  const { createdAtMs, freshUntilMs, keptUntilMs, askedAtMs, costNanoUsd, usage, pace, envelope, ...common } =
    facts
  const some =
    usage === null ? null : Object.fromEntries(Object.entries(usage).filter(([, count]) => count !== 0))
  const list: Own = [createdAtMs, freshUntilMs, keptUntilMs, askedAtMs, costNanoUsd, some, pace]
  if (envelope !== undefined) list.push(envelope)
  const own = Buffer.from(JSON.stringify(list), 'utf8')
  const shared = Buffer.from(JSON.stringify({ ...common, pending: undefined }), 'utf8')
  const packed = Buffer.allocUnsafe(headBytes + own.length + shared.length + body.length)
  packed.writeUInt32LE(magic, 0)
  packed.writeUInt32LE(own.length, 4)
  packed.writeUInt32LE(shared.length, 8)
  packed.set(own, headBytes)
  packed.set(shared, headBytes + own.length)
  packed.set(body, headBytes + own.length + shared.length)
  return packed
}

/** The entry that `packEntry` wrote. @throws where it is none */
export function unpackEntry(key: string, packed: Uint8Array): Entry {
  const ownEnd = headBytes + numberAt(packed, 4)
  const commonEnd = ownEnd + numberAt(packed, 8)
  if (numberAt(packed, 0) !== magic || ownEnd > commonEnd || commonEnd > packed.length)
    throw new RangeError('this is no stored answer')
  const own = parse(packed, headBytes, ownEnd) as Own
  return new Entry(key, factsOf(own, commonAt(packed, ownEnd, commonEnd)), packed.subarray(commonEnd))
}

/** Written out: spreading objects takes longer than reading the texts. */
function factsOf(own: Own, common: Common): EntryFacts {
  const [createdAtMs, freshUntilMs, keptUntilMs, askedAtMs, costNanoUsd, some, pace, envelope] = own
  const facts = {
    usage: some === null ? null : usageOf(some),
    provider: common.provider,
    upstream: common.upstream,
    upstreamModel: common.upstreamModel,
    answeredModel: common.answeredModel,
    serviceTier: common.serviceTier,
    costNanoUsd,
    status: common.status,
    contentType: common.contentType,
    headerLines: common.headerLines,
    form: common.form,
    endpoint: common.endpoint,
    model: common.model,
    team: common.team,
    tags: common.tags,
    createdAtMs,
    freshUntilMs,
    keptUntilMs,
    askedAtMs,
    pace,
  }
  return envelope === undefined ? facts : { ...facts, envelope }
}

function usageOf(some: Partial<Usage>): Usage {
  return {
    input: some.input ?? 0,
    cachedInput: some.cachedInput ?? 0,
    cacheWrite: some.cacheWrite ?? 0,
    output: some.output ?? 0,
    reasoning: some.reasoning ?? 0,
    audioInput: some.audioInput ?? 0,
    audioOutput: some.audioOutput ?? 0,
    cachedAudio: some.cachedAudio ?? 0,
    imageInput: some.imageInput ?? 0,
    imageOutput: some.imageOutput ?? 0,
    cachedImage: some.cachedImage ?? 0,
    acceptedPrediction: some.acceptedPrediction ?? 0,
    rejectedPrediction: some.rejectedPrediction ?? 0,
    total: some.total ?? 0,
  }
}

class KnownCommon extends KnownBytes {
  constructor(
    bytes: Uint8Array,
    readonly facts: Common,
  ) {
    super(bytes)
  }

  static read(bytes: Uint8Array): KnownCommon {
    return new KnownCommon(bytes, parse(bytes, 0, bytes.length) as Common)
  }
}

const commons = new KnownTable<KnownCommon>({ bytesMax: 1024 * 1024, lengthMax: 4096, secondTime: false })

function commonAt(packed: Uint8Array, start: number, end: number): Common {
  const known = commons.of(packed.subarray(start, end), KnownCommon.read)
  return known === null ? (parse(packed, start, end) as Common) : known.facts
}

function parse(bytes: Uint8Array, start: number, end: number): unknown {
  return JSON.parse(Buffer.prototype.utf8Slice.call(bytes, start, end))
}

/** Without a Buffer around the bytes: that costs as much as a look-up on disk. */
function numberAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
