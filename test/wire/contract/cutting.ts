// The same bytes, cut anyhow: by the network (the result must not change) and by the upstream's end (the result must
// never look complete).

import { describe, expect, test } from 'bun:test'
import { wireTo, type Kind } from '../kinds.ts'
import { exchange } from '../outcome.ts'
import { RawUpstream, type Script } from '../raw-upstream.ts'
import { answers, isRefused, type Answer } from './answers.ts'

/** Connections open at a time: enough to be fast, few enough for any machine. */
const parallel = 32

/** Answers the n-th connection with the n-th list of pieces; `fate` is what happens then. */
function pieceScript(plans: readonly (readonly Uint8Array[])[], fate: 'stay' | 'end' | 'reset'): Script {
  return async (connection) => {
    const asked = await connection.nextRequest()
    if (asked === null) return
    const plan = plans[Number(/^GET \/(\d+) /.exec(asked)![1])]!
    await connection.writePieces(plan)
    if (fate === 'end') connection.end()
    else if (fate === 'reset') connection.reset()
  }
}

function split(bytes: Uint8Array, offsets: readonly number[]): Uint8Array[] {
  const cuts = [0, ...offsets.toSorted((a, b) => a - b), bytes.length]
  return cuts
    .slice(1)
    .map((end, index) => bytes.subarray(cuts[index], end))
    .filter((piece) => piece.length > 0)
}

/** Runs every plan on its own connection and hands each outcome over with its number. */
async function runPlans(
  kind: Kind,
  run: { plans: readonly (readonly Uint8Array[])[]; fate: 'stay' | 'end' | 'reset' },
  check: (outcome: Awaited<ReturnType<typeof exchange>>, index: number) => void,
): Promise<void> {
  const upstream = await RawUpstream.start(pieceScript(run.plans, run.fate))
  const wire = wireTo(kind, upstream.origin, { keepAlive: { idleMs: 0, maxIdle: 0 } })
  try {
    let next = 0
    const worker = async () => {
      for (let index = next++; index < run.plans.length; index = next++) {
        check(await exchange(wire, { target: `/${index}` }), index)
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    expect(wire.counts()).toEqual({ idle: 0, busy: 0 })
  } finally {
    wire.close()
    upstream.stop()
  }
}

function everySplit(kind: Kind, answer: Answer): void {
  test(`${answer.name}: cut in two at every byte`, async () => {
    const bytes = Buffer.from(answer.raw, 'latin1')
    const plans = Array.from({ length: bytes.length - 1 }, (_, index) => split(bytes, [index + 1]))
    plans.push(Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)))
    await runPlans(kind, { plans, fate: answer.close ? 'end' : 'stay' }, (outcome, index) => {
      expect([index, outcome.status, outcome.body, outcome.ending]).toEqual([
        index,
        answer.status,
        answer.body,
        'end',
      ])
    })
  })
}

/** Behind these many bytes the message is complete for every reader. */
function completeAt(kind: Kind, answer: Answer): number {
  if (answer.body === '' || kind.strict) return answer.raw.length
  // `fetch` takes the last chunk's size line for the end and does not ask for the empty line behind it.
  const last = answer.raw.lastIndexOf('\r\n0')
  return /chunked/i.test(answer.raw) && last > 0 ? answer.raw.indexOf('\r\n', last + 2) : answer.raw.length
}

function everyTruncation(kind: Kind, answer: Answer): void {
  for (const fate of ['end', 'reset'] as const) {
    test(`${answer.name}: broken off at every byte, by ${fate === 'end' ? 'FIN' : 'RST'}`, async () => {
      const bytes = Buffer.from(answer.raw, 'latin1')
      const plans = Array.from({ length: bytes.length }, (_, length) =>
        length === 0 ? [] : [bytes.subarray(0, length)],
      )
      const bodyAt = answer.raw.lastIndexOf('\r\n\r\n') + 4
      await runPlans(kind, { plans, fate }, (outcome, index) => {
        const untilClose = answer.close === true && fate === 'end' && index >= bodyAt
        if (untilClose || index >= completeAt(kind, answer)) return
        // A reset may overtake the bytes before it, and then even the head is lost.
        expect([index, outcome.ending]).not.toEqual([index, 'end'])
        expect(answer.body.startsWith(outcome.body)).toBe(true)
        if (kind.strict && fate === 'end') {
          expect([index, outcome.ending]).toEqual([index, index === 0 ? 'reset' : 'truncated'])
          expect(outcome.answered).toBe(index > 0)
        }
      })
    })
  }
}

export function cuttingTests(kind: Kind): void {
  const cut = answers.filter((answer) => answer.method === undefined && !isRefused(kind, answer))
  for (const answer of cut) everySplit(kind, answer)
  describe('truncated', () => {
    for (const answer of cut) everyTruncation(kind, answer)
  })

  test('cut at random in 200 ways', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = randomFrom(seed)
    for (const answer of cut.filter((each) => each.raw.includes('chunked') || each.raw.includes('103'))) {
      const bytes = Buffer.from(answer.raw, 'latin1')
      const plans = Array.from({ length: 200 }, () =>
        split(
          bytes,
          Array.from({ length: 1 + random(8) }, () => random(bytes.length)),
        ),
      )
      await runPlans(kind, { plans, fate: 'stay' }, (outcome, index) => {
        expect([seed, index, outcome.status, outcome.body]).toEqual([seed, index, answer.status, answer.body])
      })
    }
  })
}

/** A small generator (mulberry32), so that a failure can be run again from its seed. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (((mixed ^ (mixed >>> 14)) >>> 0) % 0x7fffffff) % below
  }
}
