// Objects that are made by one call and cost later: background responses (queued, then polled), runs of assistants, training
// jobs, videos. The call that makes them answers without usage, which is no reason to estimate one; whichever call shows the
// finished object first gives the item, and its row's id, made from the object's, sees to it that it counts once. A
// response that was not in the background was counted when it was made, so reading it again gives nothing.

import type { Exchange, Tap } from '../../exchange.ts'
import { firstText, lastMember } from '../../openai/outermost.ts'
import { toolUnits } from '../../openai/tool-calls.ts'
import { readUsage, type AnswerFacts, type Units } from '../../openai/usage.ts'
import { eachUsage } from './events.ts'
import { rowIdOf, type MeteredItem, type TakeItem } from './item.ts'
import type { JsonEnds } from './json.ts'

/** What a body of a request has to hold before its answer can be of this kind. */
const backgroundName = Buffer.from('"background"')
const parsedBytesMax = 16 * 1024 * 1024
/** What is read of an object that is too long to be parsed. */
const membersRead = ['object', 'id', 'status', 'model', 'service_tier', 'usage', 'seconds', 'size'].map(
  (name) => [name, Buffer.from(`"${name}"`)] as const,
)
/** No video is longer: a day. */
const secondsMax = 86_400

type Members = Readonly<Record<string, unknown>>

/** Whether the answer to this exchange may be such an object: its facts are then never noted unseen. */
export function mayCostLater(x: Exchange): boolean {
  const later = x.endpoint?.later ?? null
  if (later !== 'response' || x.request.method !== 'POST') return later !== null && later !== 'file'
  // To cancel one has no body.
  return x.bodyBytes === null || Buffer.prototype.indexOf.call(x.bodyBytes, backgroundName) >= 0
}

/** Looks at a JSON answer. False where it is no such object: then it is to be read like any other. */
export function laterAnswer(x: Exchange, ends: JsonEnds, take: TakeItem): boolean {
  return laterObject(x, objectOf(ends), take)
}

function objectOf({ head, tail, whole }: JsonEnds): Members | null {
  if (whole === null || whole.length > parsedBytesMax) {
    // Too long to keep: what its ends say, and where it is not in the background that it was counted.
    const background = /"background"\s*:\s*true/.test(
      Buffer.prototype.latin1Slice.call(head, 0, Math.min(head.length, 4096)),
    )
    const read = membersRead.map(([name, needle]) => [
      name,
      firstText(head, needle) ?? lastMember(tail, needle),
    ])
    return { ...(Object.fromEntries(read) as Members), background }
  }
  try {
    return JSON.parse(Buffer.prototype.utf8Slice.call(whole, 0, whole.length)) as Members
  } catch {
    return null
  }
}

function laterObject(x: Exchange, object: Members | null, take: TakeItem): boolean {
  const attempt = x.tried.at(-1)
  const reads = x.request.method === 'GET'
  const item = object === null ? null : itemOf(object)
  if (item === null) {
    // A response that is read again: counted before.
    return reads
  }
  if (attempt !== undefined) attempt.itemised = true
  if (item.rowId !== '') take(x, item)
  return true
}

const unfinished: MeteredItem = {
  rowId: '',
  facts: { usage: null, model: null, serviceTier: null, units: null, final: false },
  batch: false,
}

type Kind = 'response' | 'run' | 'job' | 'video'

function kindOf({ object, background }: Members): Kind | null {
  if (object === 'response') return background === true ? 'response' : null
  if (object === 'thread.run') return 'run'
  if (object === 'fine_tuning.job') return 'job'
  return object === 'video' ? 'video' : null
}

/** What an object has cost; null where that is not known yet. */
function costOf(kind: Kind, object: Members): Pick<AnswerFacts, 'usage' | 'units'> | null {
  if (kind === 'video')
    return object['status'] === 'completed' ? { usage: null, units: videoSeconds(object) } : null
  const usage = kind === 'job' ? null : readUsage(object['usage'])
  if (kind !== 'job') return usage === null ? null : { usage, units: toolUnits(object) }
  const units = trainedTokens(object)
  return units === null ? null : { usage, units }
}

/** The item of such an object; one without a `rowId` where its cost is not known yet; null where it is none. */
function itemOf(object: Members): MeteredItem | null {
  const kind = kindOf(object)
  if (kind === null) return null
  const rowId = rowIdOf(kind, object['id'])
  const cost = costOf(kind, object)
  if (rowId === null || cost === null) return unfinished
  const facts: AnswerFacts = {
    ...cost,
    model: textOf(object['model']),
    serviceTier: textOf(object['service_tier']),
    final: true,
  }
  return { rowId, facts, batch: false }
}

function trainedTokens(job: Members): Units | null {
  const tokens = job['trained_tokens']
  const done = job['status'] === 'succeeded' || job['status'] === 'cancelled' || job['status'] === 'failed'
  if (!done || typeof tokens !== 'number' || !Number.isSafeInteger(tokens) || tokens < 0) return null
  return { trainedTokens: tokens }
}

// A video whose length cannot be is not free: without units its row is unpriced.
function videoSeconds({ seconds: said, size }: Members): Units | null {
  const seconds = typeof said === 'string' && /^\d{1,6}(\.\d{1,6})?$/.test(said) ? Number(said) : said
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= secondsMax)) return null
  const named = typeof size === 'string' && /^\d{1,5}x\d{1,5}$/.test(size)
  return { [named ? `videoSeconds/${size}` : 'videoSeconds']: seconds }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null
}

/** Watches a stream of events that may show such objects. What it does not take is left to the meter behind it. */
export class LaterEvents implements Tap {
  constructor(
    private readonly x: Exchange,
    private readonly take: TakeItem,
    /** Meters the stream of a response that turns out not to be in the background; null = it was counted before. */
    private readonly otherwise: Tap | null,
  ) {}

  chunk(bytes: Uint8Array): Uint8Array {
    let taken = false
    eachUsage(bytes, (event) => {
      const object = event as Members
      const inner = object['response']
      const shown = typeof inner === 'object' && inner !== null ? (inner as Members) : object
      if (itemOf(shown) !== null) taken = laterObject(this.x, shown, this.take)
    })
    return taken || this.otherwise === null || this.x.tried.at(-1)?.itemised === true
      ? bytes
      : this.otherwise.chunk(bytes)
  }

  end(): Uint8Array | null {
    return this.x.tried.at(-1)?.itemised === true ? null : (this.otherwise?.end() ?? null)
  }
}
