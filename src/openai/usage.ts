// Token counts as OpenAI and those who speak like it report them, in one shape. Two families of names exist:
// prompt/completion (chat, completions, embeddings, runs) and input/output (responses, images, audio, realtime).
// Counts become money, so reading is strict: one count that cannot be (negative, a fraction, text, beyond the
// ceiling) refuses the whole object, which then counts as absent and not as zero. Half a usage was refused as an
// option: it would look exact. What only looks odd is kept: xAI reports more reasoning than output.

/** Tokens of one answer; every field an integer from 0 to `tokensMax`. */
export interface Usage {
  /** All input, cached and audio included. */
  readonly input: number
  /** Part of `input` read from the provider's prompt cache. */
  readonly cachedInput: number
  /** Part of `input` written to it. */
  readonly cacheWrite: number
  /** All output; with most providers reasoning and audio included. */
  readonly output: number
  readonly reasoning: number
  readonly audioInput: number
  readonly audioOutput: number
  /** As reported, else input + output. */
  readonly total: number
}

/** The largest count believed: a million times today's largest context. */
export const tokensMax = 2 ** 40

type Members = Readonly<Record<string, unknown>>

const wrong = -1

function members(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
}

// Absent and null are the same on this wire: both mean "not reported".
function count(value: unknown): number {
  if (value === undefined || value === null) return 0
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= tokensMax
    ? value
    : wrong
}

function detail(value: unknown, name: string): number {
  if (value === undefined || value === null) return 0
  const details = members(value)
  return details === null ? wrong : count(details[name])
}

/**
 * Reads a `usage` object of any OpenAI endpoint. An explicit 0 is a count. Null where there is no token count in it
 * (such as whisper's `{"type":"duration"}`) or one that cannot be.
 */
export function readUsage(usage: unknown): Usage | null {
  const u = members(usage)
  if (u === null) return null
  const reportedInput = u['prompt_tokens'] ?? u['input_tokens']
  const reportedOutput = u['completion_tokens'] ?? u['output_tokens']
  const reportedTotal = u['total_tokens']
  if ((reportedInput ?? reportedOutput ?? reportedTotal ?? null) === null) return null
  const inDetails = u['prompt_tokens_details'] ?? u['input_tokens_details'] ?? u['input_token_details']
  const outDetails = u['completion_tokens_details'] ?? u['output_tokens_details'] ?? u['output_token_details']
  const input = count(reportedInput)
  const output = count(reportedOutput)
  const read: Usage = {
    input,
    cachedInput: detail(inDetails, 'cached_tokens'),
    cacheWrite: detail(inDetails, 'cache_write_tokens'),
    output,
    reasoning: detail(outDetails, 'reasoning_tokens'),
    audioInput: detail(inDetails, 'audio_tokens'),
    audioOutput: detail(outDetails, 'audio_tokens'),
    total:
      reportedTotal === undefined || reportedTotal === null
        ? Math.min(input + output, tokensMax)
        : count(reportedTotal),
  }
  // Every count is `wrong` or at least 0, and a total made from a wrong one shows in the wrong one.
  return Math.min(
    input,
    output,
    read.cachedInput,
    read.cacheWrite,
    read.reasoning,
    read.audioInput,
    read.audioOutput,
    read.total,
  ) < 0
    ? null
    : read
}

/** What an answer says of its own cost. */
export interface AnswerFacts {
  readonly usage: Usage | null
  /** The model that answered. */
  readonly model: string | null
}

/**
 * Reads usage and model from a parsed answer or stream event, at the places where OpenAI puts them: the outermost
 * object, or its `response` (responses API and realtime events). Nowhere else: an echoed tool schema may hold a
 * member of the same name, written by the client.
 */
export function readAnswer(answer: unknown): AnswerFacts {
  const outer = members(answer)
  if (outer === null) return { usage: null, model: null }
  const inner = members(outer['response'])
  const model = outer['model'] ?? inner?.['model']
  return {
    usage: readUsage(outer['usage']) ?? readUsage(inner?.['usage']),
    model: typeof model === 'string' && model !== '' ? model : null,
  }
}
