// Tokens of a request and of what was answered so far, as OpenAI's models count them: o200k_base since gpt-4o, cl100k_base
// before. What surrounds the text is added by the published rules: 3 tokens a message and 3 for the answer's beginning,
// tools by their JSON, images 765 each (high detail at 1024x1024), since their size is not looked at. A text without spaces
// costs the tokenizer the square of its length, so long runs are cut: at most one token too many in 128 characters.

/** The version of these rules, as rows have it. */
export const estimatorName = 'tokens-1'

/** What a worker is asked. */
export interface TokensQuestion {
  readonly id: number
  readonly model: string
  /** The JSON body of the request; null = none is known. */
  readonly body: Uint8Array | null
  /** What was answered so far. */
  readonly output: string
}

/** Tokens of each. */
export interface TokenCounts {
  readonly input: number
  readonly output: number
}

/** What it answers; null = it could not. */
export interface TokensAnswer {
  readonly id: number
  readonly counts: TokenCounts | null
}

type Count = (text: string) => number

const tokensPerMessage = 3
const tokensPerReply = 3
const tokensPerImage = 765
/** Text counted exactly; of what is beyond it the rate of the text before holds. */
const exactCharsMax = 4 * 1024 * 1024
const runMax = 128
const longRun = /\S{129}|\s{129}/
const splits = /(\S{128})(?=\S)|(\s{128})(?=\s)/g

const older =
  /^(?:ft:)?(?:gpt-3\.5|gpt-4(?:$|-\d|-turbo|-32k|-vision)|text-embedding|davinci-002|babbage-002)/
const counters = new Map<string, Count>()

async function counterOf(model: string): Promise<Count> {
  const encoding = older.test(model) ? 'cl100k_base' : 'o200k_base'
  const known = counters.get(encoding)
  if (known !== undefined) return known
  const { countTokens: count } =
    encoding === 'cl100k_base'
      ? await import('gpt-tokenizer/encoding/cl100k_base')
      : await import('gpt-tokenizer/encoding/o200k_base')
  // What looks like a special token in a text is text.
  const options = { disallowedSpecial: new Set<string>() }
  const made: Count = (text) => bounded(text, (part) => count(part, options))
  counters.set(encoding, made)
  return made
}

/** Counts a text part by part, where it is long or has long runs. */
function bounded(text: string, count: Count): number {
  const exact = text.length > exactCharsMax ? text.slice(0, exactCharsMax) : text
  const tokens = longRun.test(exact)
    ? exact
        .replace(splits, (run) => `${run}\u0000`)
        .split('\u0000')
        .reduce((sum, part) => sum + count(part), 0)
    : count(exact)
  return exact === text ? tokens : Math.ceil((tokens * text.length) / exact.length)
}

/** Counts both. Loads the encoding at its first call. */
export async function countTokens({ model, body, output }: TokensQuestion): Promise<TokenCounts> {
  const count = await counterOf(model)
  return {
    input: body === null ? 0 : inputTokens(parsed(body), count),
    output: output === '' ? 0 : count(output),
  }
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as unknown
  } catch {
    return null
  }
}

/** Tokens of a request for chat, responses, completions or embeddings. */
function inputTokens(request: unknown, count: Count): number {
  if (typeof request !== 'object' || request === null) return 0
  const { messages, input, prompt, instructions, tools, functions, response_format, text } =
    request as Record<string, unknown>
  let tokens = 0
  for (const list of [messages, input]) if (Array.isArray(list)) tokens += tokensPerMessage * list.length
  if (Array.isArray(messages)) tokens += tokensPerReply
  for (const value of [messages, input, prompt, instructions]) tokens += tokensOf(value, count)
  for (const value of [tools, functions, response_format, text])
    if (value !== undefined && value !== null) tokens += count(JSON.stringify(value))
  return tokens
}

const imageTypes = new Set(['image_url', 'input_image'])

/** Tokens of the texts in a value; keys are not sent to the model, and data of images is not text. */
function tokensOf(value: unknown, count: Count): number {
  if (typeof value === 'string') return count(value)
  // A prompt may be tokens already.
  if (typeof value === 'number') return 1
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) {
    let tokens = 0
    for (const item of value) tokens += tokensOf(item, count)
    return tokens
  }
  const members = value as Record<string, unknown>
  if (imageTypes.has(members['type'] as string)) return tokensPerImage
  let tokens = 0
  for (const [name, member] of Object.entries(members)) {
    if (name === 'type' || name === 'id' || name === 'data' || name === 'file_data') continue
    tokens += tokensOf(member, count)
  }
  return tokens
}

/** The longest run that is counted in one piece. */
export const tokenizerRunMax = runMax
