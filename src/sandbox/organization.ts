// The organisation's usage and costs, as OpenAI tells them to an admin key, out of the sandbox's own books: the oracle that a
// reconciliation is tested against. Prices are its own few, written down apart from the gate's on purpose.

import type { BookEntry } from './books.ts'
import { invalid, jsonReply, Refusal } from './reply.ts'
import type { Reply } from './reply.ts'
import type { Call, Route } from './world.ts'

const dayS = 86_400
const bucketsMax = 31

/** Dollars per million tokens: input, cached input, output. */
const prices: Readonly<Record<string, readonly [number, number, number]>> = {
  'gpt-4o-2024-08-06': [2.5, 1.25, 10],
  'gpt-4o-mini-2024-07-18': [0.15, 0.075, 0.6],
  'gpt-4.1-2025-04-14': [2, 0.5, 8],
  'gpt-4.1-mini-2025-04-14': [0.4, 0.1, 1.6],
  'gpt-4.1-nano-2025-04-14': [0.1, 0.025, 0.4],
  'o3-mini-2025-01-31': [1.1, 0.55, 4.4],
  'text-embedding-3-small': [0.02, 0.02, 0],
  'text-embedding-3-large': [0.13, 0.13, 0],
}

/** Millionths of a dollar for a call of a tool. */
const toolPrices: readonly (readonly [unit: string, item: string, millionths: number])[] = [
  ['webSearches', 'web search', 10_000],
  ['fileSearches', 'file search', 2500],
]

/** Paths that each kind of usage is about. */
const kinds: Readonly<Record<string, RegExp>> = {
  completions: /^\/v1\/(?:chat\/completions|completions|responses)$/,
  embeddings: /^\/v1\/embeddings$/,
  images: /^\/v1\/images\//,
  audio_speeches: /^\/v1\/audio\/speech$/,
  audio_transcriptions: /^\/v1\/audio\/(?:transcriptions|translations)$/,
  moderations: /^\/v1\/moderations$/,
}

interface Asked {
  readonly startS: number
  readonly endS: number
  readonly limit: number
}

function ask(call: Call): Asked {
  const key = /^Bearer +(\S+)$/i.exec(call.header('authorization') ?? '')?.[1] ?? ''
  if (!key.startsWith('sk-admin')) {
    const message = 'You have insufficient permissions for this operation. Missing scopes: api.usage.read.'
    throw new Refusal(403, { message, type: 'invalid_request_error', param: null, code: 'missing_scope' })
  }
  const number = (name: string): number | null => {
    const text = call.query.get(name)
    if (text === null) return null
    if (/^\d{1,12}$/.test(text)) return Number(text)
    throw invalid(`Invalid type for '${name}': expected an integer.`, name)
  }
  const start = number('start_time')
  if (start === null) throw invalid("Missing required parameter: 'start_time'.", 'start_time')
  if ((call.query.get('bucket_width') ?? '1d') !== '1d')
    throw invalid("The sandbox knows only the bucket_width '1d'.", 'bucket_width')
  const limit = number('limit') ?? 7
  if (limit < 1 || limit > bucketsMax) throw invalid(`'limit' must be between 1 and ${bucketsMax}.`, 'limit')
  const page = /^page_(\d{1,12})$/.exec(call.query.get('page') ?? '')?.[1]
  const from = page === undefined ? start : Number(page)
  return { startS: from - (from % dayS), endS: number('end_time') ?? call.world.nowS() + 1, limit }
}

type Result = Readonly<Record<string, unknown>>

function pageOf(call: Call, results: (rows: readonly BookEntry[]) => Result[]): Reply {
  const { startS, endS, limit } = ask(call)
  const rows = call.world.books.rows().filter(({ usage, status }) => usage !== null || status === 200)
  const data: object[] = []
  let atS = startS
  for (; atS < endS && data.length < limit; atS += dayS) {
    const own = rows.filter(
      ({ startedAtMs }) => startedAtMs >= atS * 1000 && startedAtMs < (atS + dayS) * 1000,
    )
    data.push({ object: 'bucket', start_time: atS, end_time: atS + dayS, results: results(own) })
  }
  const more = atS < endS
  return jsonReply({ object: 'page', data, has_more: more, next_page: more ? `page_${atS}` : null })
}

function byModel(rows: readonly BookEntry[]): Map<string, BookEntry[]> {
  const found = new Map<string, BookEntry[]>()
  for (const row of rows) {
    const model = row.servedModel ?? row.model
    if (model === null) continue
    const own = found.get(model)
    if (own === undefined) found.set(model, [row])
    else own.push(row)
  }
  return found
}

function tokens(rows: readonly BookEntry[]): { input: number; cached: number; output: number } {
  const sum = (of: (row: BookEntry) => number): number => rows.reduce((all, row) => all + of(row), 0)
  return {
    input: sum(({ usage }) => usage?.input ?? 0),
    cached: sum(({ usage }) => usage?.cachedInput ?? 0),
    output: sum(({ usage }) => usage?.output ?? 0),
  }
}

function usage(call: Call): Reply {
  const kind = call.param('kind')
  const paths = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (paths === undefined) throw invalid(`There is no usage of '${kind}' in the sandbox.`, 'kind')
  return pageOf(call, (rows) =>
    [...byModel(rows.filter(({ path }) => paths.test(path)))].map(([model, own]) => {
      const { input, cached, output } = tokens(own)
      return {
        object: `organization.usage.${kind}.result`,
        input_tokens: input,
        output_tokens: output,
        input_cached_tokens: cached,
        input_audio_tokens: 0,
        output_audio_tokens: 0,
        num_model_requests: own.length,
        project_id: null,
        user_id: null,
        api_key_id: null,
        model: call.query.getAll('group_by').concat(call.query.getAll('group_by[]')).includes('model')
          ? model
          : null,
        batch: null,
      }
    }),
  )
}

function costs(call: Call): Reply {
  return pageOf(call, (rows) =>
    [...byModel(rows)].flatMap(([model, own]) => {
      const price = Object.hasOwn(prices, model) ? prices[model] : undefined
      if (price === undefined) return []
      const { input, cached, output } = tokens(own)
      const items: [string, number][] = [
        ['input', (input - cached) * price[0]],
        ['cached input', cached * price[1]],
        ['output', output * price[2]],
        ...toolPrices.map(([unit, item, millionths]): [string, number] => [
          item,
          own.reduce((sum, { units }) => sum + (units?.[unit] ?? 0), 0) * millionths,
        ]),
      ]
      return items
        .filter(([, millionths]) => millionths > 0)
        .map(([what, millionths]) => ({
          object: 'organization.costs.result',
          amount: { value: millionths / 1_000_000, currency: 'usd' },
          line_item: `${model}, ${what}`,
          project_id: null,
        }))
    }),
  )
}

/** Usage and costs of the organisation. */
export const organizationRoutes: readonly Route[] = [
  ['GET', '/v1/organization/usage/:kind', usage],
  ['GET', '/v1/organization/costs', costs],
]
