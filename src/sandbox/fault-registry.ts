// The rules that are in force and the recordings that can be played. A rule's chance comes from the seeded generator, so that the same
// seed strikes the same calls.

import { faultFromName, faultNames } from './fault-names.ts'
import type { Fault, FaultControl, FaultRule, ReplayOptions } from './faults.ts'

type Rule = FaultRule & { readonly id: string; readonly value: Fault; struck: number; seen: number }

/** A recorded stream, ready to be played. */
export interface Recording {
  readonly pieces: readonly Uint8Array[]
  readonly options: ReplayOptions
}

const rulesMax = 1000
const recordingsMax = 1000

function fits(wanted: string | undefined, got: string | null): boolean {
  if (wanted === undefined) return true
  if (got === null) return false
  return wanted.endsWith('*') ? got.startsWith(wanted.slice(0, -1)) : got === wanted
}

/** Cuts bytes at ascending offsets; offsets outside are left out. */
export function splitBytes(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const cuts = [...new Set(at)].filter((offset) => offset > 0 && offset < bytes.length).sort((a, b) => a - b)
  return [0, ...cuts].map((start, i) => bytes.subarray(start, cuts[i] ?? bytes.length))
}

/** The rules and recordings of one sandbox. */
export class FaultRegistry implements FaultControl {
  #rules: Rule[] = []
  readonly #recordings = new Map<string, Recording>()
  #count = 0

  constructor(readonly chance: () => number) {}

  add(rule: FaultRule): string {
    const value = typeof rule.fault === 'string' ? faultFromName(rule.fault) : rule.fault
    if (value === null) {
      throw new Error(
        `unknown fault ${String(rule.fault)}; known: ${faultNames.map(({ name }) => name).join(', ')}`,
      )
    }
    if (this.#rules.length >= rulesMax) throw new Error(`more than ${rulesMax} fault rules; clear some first`)
    const id = `fault_${++this.#count}`
    this.#rules.push({ ...rule, id, value, struck: 0, seen: 0 })
    return id
  }

  list(): readonly (FaultRule & { readonly id: string; readonly struck: number })[] {
    return this.#rules.map(({ id, match, fault, times, probability, after, struck }) => ({
      id,
      match,
      fault,
      times,
      probability,
      after,
      struck,
    }))
  }

  remove(id: string): boolean {
    const before = this.#rules.length
    this.#rules = this.#rules.filter((rule) => rule.id !== id)
    return this.#rules.length < before
  }

  clear(): void {
    this.#rules = []
    this.#recordings.clear()
  }

  replay(name: string, bytes: Uint8Array | readonly Uint8Array[], options: ReplayOptions = {}): string {
    if (this.#recordings.size >= recordingsMax) this.#recordings.delete(this.#recordings.keys().next().value!)
    const given = bytes instanceof Uint8Array ? [bytes] : bytes
    const pieces = options.splitAt === undefined ? given : splitBytes(Buffer.concat(given), options.splitAt)
    this.#recordings.set(name, { pieces, options })
    return `replay:${name}`
  }

  /** The recording that a model's name calls for, or null. */
  recording(model: string): Recording | null {
    return model.startsWith('replay:') ? (this.#recordings.get(model.slice('replay:'.length)) ?? null) : null
  }

  /** The faults that strike this request now; counts and chances are used up by asking. `early` = the body is not read yet. */
  strike(request: { method: string; path: string; model: string | null }, early: boolean): Fault[] {
    const faults: Fault[] = []
    for (const rule of [...this.#rules]) {
      if (early !== (rule.value.kind === 'early' || rule.value.kind === 'deaf')) continue
      const { match } = rule
      if (
        !fits(match.method, request.method) ||
        !fits(match.path, request.path) ||
        !fits(match.model, request.model)
      )
        continue
      if (rule.seen++ < (rule.after ?? 0)) continue
      if (rule.probability !== undefined && this.chance() >= rule.probability) continue
      faults.push(rule.value)
      rule.struck++
      if (rule.struck === rule.times) this.remove(rule.id)
    }
    return faults
  }
}
