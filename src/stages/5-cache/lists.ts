// Lists of texts to embed, between the cache and the arithmetic of embeddings.ts.

import { Failure } from '../../failure.ts'
import { collect } from '../../net/wire/body.ts'
import { WireError, type Body } from '../../net/wire/message.ts'
import type { Json } from '../../openai/canonical-json.ts'
import { inputsOf, itemEntries, splitEmbeddings, type KnownItems } from './embeddings.ts'
import { Entry, type EntryFacts } from './entry.ts'
import type { Flight } from './flight.ts'

const joinedBytesMax = 128 * 1024 * 1024

/** A JSON body that was read before, read again. */
export function parsedJson(bytes: Uint8Array): { [name: string]: Json } {
  return JSON.parse(Buffer.prototype.toString.call(bytes, 'utf8')) as { [name: string]: Json }
}

/** The whole answer to a list all of whose items are known. */
export function entryOfItems(key: string, known: readonly Entry[], whole: Uint8Array): Entry {
  const oldest = known.reduce((least, one) => (one.facts.createdAtMs < least.facts.createdAtMs ? one : least))
  const sum = (value: (facts: EntryFacts) => number | null): number | null =>
    known.reduce<number | null>((total, { facts }) => {
      const own = value(facts)
      return total === null || own === null ? null : total + own
    }, 0)
  const tokens = sum(({ usage }) => usage?.total ?? null) ?? 0
  const facts: EntryFacts = {
    ...oldest.facts,
    usage: { ...oldest.facts.usage!, input: tokens, total: tokens },
    costNanoUsd: sum(({ costNanoUsd }) => costNanoUsd),
    headerLines: `Content-Type: ${oldest.facts.contentType}\r\n`,
  }
  return new Entry(key, facts, whole)
}

/** An entry's part of what an answer cost, by its part of the tokens. */
export function shareOf(costNanoUsd: number, { facts }: Entry, tokens: number): number {
  if (facts.envelope === undefined || tokens === 0) return costNanoUsd
  return Math.round((costNanoUsd * (facts.usage?.total ?? 0)) / tokens)
}

/** What the texts that are known had been worth. */
export function knownPartOf({ known }: KnownItems): EntryFacts {
  const entries = known.filter((entry) => entry !== null)
  return entryOfItems('', entries, new Uint8Array(0)).facts
}

/** Reads the answer to what was missing, and puts the whole together. @throws Failure where they do not fit */
export async function joinAnswer(
  list: KnownItems,
  body: Body,
): Promise<{ readonly part: Uint8Array; readonly whole: Uint8Array }> {
  let part: Uint8Array | null
  try {
    part = await collect(body, joinedBytesMax)
  } catch (cause) {
    throw cause instanceof WireError ? misfit() : cause
  }
  const split = part === null ? null : splitEmbeddings(part, list.missing.length)
  const whole = split === null ? null : list.join(split)
  if (part === null || whole === null) throw misfit()
  return { part, whole }
}

/** The items that an answer brought; null where it does not fit its request. */
export function itemsOfAnswer(flight: Flight, entry: Entry): Entry[] | null {
  const keys = flight.asked.items!
  const body = flight.leader.requestBody?.whole ?? null
  const inputs = flight.items?.inputs ?? (body === null ? null : inputsOf(parsedJson(body)))
  const split = inputs === null ? null : splitEmbeddings(entry.body, keys.length)
  if (split === null || inputs!.length !== keys.length) return null
  const missing = flight.items?.missing ?? null
  return itemEntries(split, { keys, inputs: inputs! }, entry.facts).filter(
    (_, index) => missing === null || missing.includes(index),
  )
}

function misfit(): Failure {
  const message = 'The upstream answered with other vectors than were asked for. Try again.'
  return new Failure('upstream_unavailable', message, { retryable: true })
}
