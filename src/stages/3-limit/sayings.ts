// What upstreams say of their own limits, for each model: `x-ratelimit-limit-…`, `-remaining-…` and `-reset-…`. The last is
// the time until all of the limit is there again, so what is there in between is taken to come back evenly. One that said
// that nothing is left is not asked before something must be.

/** What is said grows old: OpenAI's limits are for a minute. */
const oldMs = 60_000
/** Models of upstreams that are told apart; models come from requests. */
const saidMax = 1000
/** Tokens without which there is no use in asking. */
const tokensWanted = 1000
const usedUp = /^x-ratelimit-remaining-(?:requests|tokens):[ \t]*0+[ \t]*\r?$/im

/** Whom not to ask before when. */
export class Sayings {
  /** By upstream and model, the monotonic time from when on something must be left. */
  readonly #untilMs = new Map<string, number>()

  /** Whether nobody has said to be out of anything. */
  get none(): boolean {
    return this.#untilMs.size === 0
  }

  /** Takes down what header lines say. */
  note(
    upstream: string,
    model: string | null,
    { headerLines, nowMs }: { readonly headerLines: string; readonly nowMs: number },
  ): void {
    const isUsedUp = usedUp.test(headerLines)
    if (!isUsedUp && this.none) return
    const name = nameOf(upstream, model)
    this.#untilMs.delete(name)
    if (!isUsedUp) return
    const waitMs = Math.max(waitIn(headerLines, 'requests', 1), waitIn(headerLines, 'tokens', tokensWanted))
    if (waitMs <= 0) return
    if (this.#untilMs.size >= saidMax) this.#untilMs.delete(this.#untilMs.keys().next().value!)
    this.#untilMs.set(name, nowMs + Math.min(waitMs, oldMs))
  }

  /** How long until there must be something left, in ms; 0 = there is, or nothing is known. */
  waitMs(upstream: string, model: string | null, nowMs: number): number {
    if (this.none) return 0
    return Math.max(0, (this.#untilMs.get(nameOf(upstream, model)) ?? 0) - nowMs)
  }
}

function nameOf(upstream: string, model: string | null): string {
  return `${upstream}\0${model ?? ''}`
}

/** How long until so much is there again, where nothing is left now. */
function waitIn(lines: string, what: string, wanted: number): number {
  const limit = numberIn(lines, `limit-${what}`)
  if (limit === null || limit === 0 || numberIn(lines, `remaining-${what}`) !== 0) return 0
  return durationMs(textIn(lines, `reset-${what}`)) * Math.min(1, wanted / limit)
}

function textIn(lines: string, name: string): string {
  return new RegExp(`^x-ratelimit-${name}:[ \\t]*([^\\r\\n]{1,64}?)[ \\t]*\\r?$`, 'im').exec(lines)?.[1] ?? ''
}

function numberIn(lines: string, name: string): number | null {
  const text = textIn(lines, name)
  return /^\d{1,15}$/.test(text) ? Number(text) : null
}

/** `6m0s`, `120ms`, `1s`, or plain seconds. */
function durationMs(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const unit: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 }
  let ms = 0
  for (const [, number, name] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g))
    ms += Number(number) * unit[name!]!
  return ms
}
