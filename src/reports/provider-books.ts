// What the provider itself has counted: OpenAI's usage and costs of the organisation, by day and model (API reference,
// "Usage" and "Costs", administration). Everything that comes is checked: a shape that is not understood must not become
// a difference that somebody books.

import { z } from 'zod'
import type { Secret } from '../base/secret.ts'

/** Where they are asked. */
export interface BooksSource {
  /** With its /v1. */
  readonly baseUrl: string
  readonly adminKey: Secret
  /** Only of this project; null = of the whole organisation. */
  readonly project: string | null
  readonly caFile: string | null
  readonly proxy: string | null
}

/** What was used of a model on a day, as the provider says. */
export interface ProviderLine {
  /** `2026-11-25`, UTC. */
  readonly day: string
  readonly model: string
  requests: number
  input: number
  cachedInput: number
  output: number
  /** Null where the costs name no such model. */
  costNanoUsd: number | null
}

/** The books cannot be read: one clear line. */
export class BooksFailure extends Error {}

const kinds = [
  'completions',
  'embeddings',
  'images',
  'audio_speeches',
  'audio_transcriptions',
  'moderations',
] as const
const timeoutMs = 30_000
const pagesMax = 200
const bytesMax = 16 * 1024 * 1024

const count = z
  .int()
  .min(0)
  .max(2 ** 50)
  .nullish()
  .transform((value) => value ?? 0)
const usageResult = z.object({
  input_tokens: count,
  output_tokens: count,
  input_cached_tokens: count,
  input_audio_tokens: count,
  output_audio_tokens: count,
  num_model_requests: count,
  model: z.string().max(512).nullish(),
})
const costResult = z.object({
  amount: z.object({
    value: z
      .union([
        z.number(),
        z
          .string()
          .regex(/^-?\d+(?:\.\d+)?$/)
          .transform(Number),
      ])
      .pipe(z.number().min(-1e6).max(1e6)),
    currency: z.string(),
  }),
  line_item: z.string().max(512).nullish(),
})
const pageOf = <Result extends z.ZodType>(result: Result) =>
  z.object({
    data: z
      .array(z.object({ start_time: z.int().min(0).max(1e11), results: z.array(result).max(100_000) }))
      .max(1000),
    has_more: z.boolean().nullish(),
    next_page: z.string().max(4096).nullish(),
  })

/** Reads whole UTC days from `fromMs` on, before `toMs`. @throws BooksFailure */
export async function providerBooks(
  source: BooksSource,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<ProviderLine[]> {
  const lines = new Map<string, ProviderLine>()
  const line = (startS: number, model: string): ProviderLine => {
    const day = new Date(startS * 1000).toISOString().slice(0, 10)
    const key = `${day} ${model}`
    let found = lines.get(key)
    if (found === undefined) {
      found = { day, model, requests: 0, input: 0, cachedInput: 0, output: 0, costNanoUsd: null }
      lines.set(key, found)
    }
    return found
  }
  const period = { fromMs, toMs }
  for (const kind of kinds) {
    const asked = { path: `/organization/usage/${kind}`, groupBy: 'model', ...period }
    for (const bucket of await allPages(source, asked, pageOf(usageResult))) {
      for (const one of bucket.results) {
        const own = line(bucket.start_time, one.model ?? '(no model)')
        own.requests += one.num_model_requests
        // Audio is counted beside text here; in an answer's usage it is part of it.
        own.input += one.input_tokens + one.input_audio_tokens
        own.output += one.output_tokens + one.output_audio_tokens
        own.cachedInput += one.input_cached_tokens
      }
    }
  }
  const costs = { path: '/organization/costs', groupBy: 'line_item', ...period }
  for (const bucket of await allPages(source, costs, pageOf(costResult))) {
    for (const { amount, line_item: item } of bucket.results) {
      if (amount.currency.toLowerCase() !== 'usd')
        throw new BooksFailure(`the costs are in ${JSON.stringify(amount.currency)}, not in usd`)
      const own = line(bucket.start_time, modelOf(item ?? '(no line item)'))
      own.costNanoUsd = (own.costNanoUsd ?? 0) + Math.round(amount.value * 1e9)
    }
  }
  return [...lines.values()]
}

/** `gpt-4o-mini-2024-07-18, cached input` is about that model. */
function modelOf(item: string): string {
  const at = item.indexOf(', ')
  return at < 0 ? item : item.slice(0, at)
}

interface Asked {
  readonly path: string
  readonly groupBy: string
  readonly fromMs: number
  readonly toMs: number
}

async function allPages<Result>(
  source: BooksSource,
  asked: Asked,
  shape: z.ZodType<{
    data: { start_time: number; results: Result[] }[]
    has_more?: boolean | null | undefined
    next_page?: string | null | undefined
  }>,
): Promise<{ start_time: number; results: Result[] }[]> {
  const found: { start_time: number; results: Result[] }[] = []
  let page: string | null = null
  for (let number = 0; number < pagesMax; number++) {
    const result = shape.safeParse(await askOnce(source, asked, page))
    if (!result.success) {
      const [issue] = result.error.issues
      const where = issue!.path.join('.')
      throw new BooksFailure(
        `${asked.path} answered something else than its page (${where || 'the whole'}): nothing was compared`,
      )
    }
    const { data, has_more: more, next_page: next } = result.data
    for (const bucket of data) {
      if (bucket.start_time * 1000 >= asked.fromMs && bucket.start_time * 1000 < asked.toMs)
        found.push(bucket)
    }
    if (more !== true || next == null) return found
    if (next === page) throw new BooksFailure(`${asked.path} names the same page again and again`)
    page = next
  }
  throw new BooksFailure(`${asked.path} has more than ${pagesMax} pages: ask for fewer days`)
}

async function askOnce(source: BooksSource, asked: Asked, page: string | null): Promise<unknown> {
  const url = new URL(source.baseUrl + asked.path)
  url.searchParams.set('start_time', String(Math.floor(asked.fromMs / 1000)))
  url.searchParams.set('end_time', String(Math.floor(asked.toMs / 1000)))
  url.searchParams.set('bucket_width', '1d')
  url.searchParams.set('limit', '31')
  url.searchParams.append('group_by', asked.groupBy)
  if (source.project !== null) url.searchParams.append('project_ids', source.project)
  if (page !== null) url.searchParams.set('page', page)
  let answer: Response
  let text: string
  try {
    answer = await fetch(url, {
      headers: { authorization: `Bearer ${source.adminKey.reveal()}`, accept: 'application/json' },
      // The key must not follow to wherever an answer points.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
      ...(source.caFile === null ? {} : { tls: { ca: Bun.file(source.caFile) } }),
      ...(source.proxy === null ? {} : { proxy: source.proxy }),
    })
    text = await boundedText(answer, asked.path)
  } catch (cause) {
    if (cause instanceof BooksFailure) throw cause
    const late = cause instanceof Error && cause.name === 'TimeoutError'
    const why = late ? `did not answer within ${timeoutMs / 1000} s` : 'cannot be reached'
    throw new BooksFailure(`${url.host} ${why}: check baseUrl, tls and proxy of the upstream`)
  }
  if (answer.status !== 200) throw new BooksFailure(refused(answer, asked.path))
  try {
    return JSON.parse(text)
  } catch {
    throw new BooksFailure(`${asked.path} answered something that is no JSON: nothing was compared`)
  }
}

async function boundedText(answer: Response, path: string): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of answer.body ?? []) {
    bytes += part.length
    if (bytes > bytesMax) throw new BooksFailure(`${path} answered more than 16 MB`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

/** What a status means; never the answer's own text, which may repeat the key. */
function refused({ status, headers }: Response, path: string): string {
  if (status === 401 || status === 403)
    return `${path} refused the admin key (${status}): adminKey must be an admin key of the organisation, with the right to read usage`
  if (status === 429) {
    const wait = headers.get('retry-after')
    const when = wait !== null && /^\d{1,5}$/.test(wait) ? `in ${wait} s` : 'in a minute'
    return `${path} refused for too many requests (429): try again ${when}`
  }
  if (status === 404) return `${path} is not there (404): this upstream keeps no such books`
  if (status >= 300 && status < 400)
    return `${path} points elsewhere (${status}), which is not followed: correct baseUrl`
  return `${path} answered ${status}: try again later`
}
