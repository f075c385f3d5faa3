// Where the subjects of a request have their records. A caller comes again and again, and is the same object each time: the
// records found for it are remembered with that object, so that a request of a known caller looks nothing up by name and
// builds no name. What depends on more than the caller is remembered for the endpoint and the model it asked for last.

import type { Principal } from '../../exchange.ts'
import type { Group } from './memory.ts'
import { ownerOf, type Moment, type Subject } from './rule.ts'

const none = -1

/** What one caller's requests found last. */
class Places {
  operation = ''
  model: string | null = null
  /** For each group: a record, and the number of its life. */
  readonly records: number[]

  constructor(unknown: readonly number[]) {
    this.records = unknown.slice()
  }
}

/** Remembers for each caller where the subjects of its requests are. */
export class Seating {
  readonly #known = new WeakMap<Principal, Places>()
  readonly #unknown: readonly number[]
  readonly #loose: readonly boolean[]
  readonly #kept: readonly boolean[]

  constructor(private readonly groups: readonly Group[]) {
    const perOf = ({ tracked }: Group) => tracked[0]!.rule.per
    this.#unknown = groups.flatMap(() => [none, none])
    this.#loose = groups.map((group) => perOf(group).some((one) => one === 'endpoint' || one === 'model'))
    this.#kept = groups.map((group) => !perOf(group).some((one) => one === 'address' || one === 'upstream'))
  }

  /** What is remembered of who asks. */
  placesOf({ x, model }: Subject): Places {
    const { operation } = x.endpoint!
    let places = this.#known.get(x.principal)
    if (places === undefined) this.#known.set(x.principal, (places = new Places(this.#unknown)))
    if (places.operation !== operation || places.model !== model) {
      for (let index = 0; index < this.groups.length; index++)
        if (this.#loose[index]!) places.records[2 * index] = none
      places.operation = operation
      places.model = model
    }
    return places
  }

  /** The record of a request's subject in a group; `at`: now. */
  recordOf(index: number, { places, subject }: { places: Places; subject: Subject }, at: Moment): number {
    const { subjects, tracked } = this.groups[index]!
    const known = places.records[2 * index]!
    if (known !== none && subjects.lifeOf(known) === places.records[2 * index + 1]!) return known
    const record = subjects.of(ownerOf(tracked[0]!.rule, subject), at)
    // Who shares a record for want of room shall have its own once there is some.
    if (this.#kept[index]! && record !== subjects.shared) {
      places.records[2 * index] = record
      places.records[2 * index + 1] = subjects.lifeOf(record)
    }
    return record
  }
}
