// POST /v1/moderations: a category is flagged where one of its words stands in the text. Enough to see both answers.

import { asList, asText } from './json.ts'
import type { Json } from './json.ts'
import { contentText } from './content.ts'
import { chooseModel } from './models.ts'
import { invalid, jsonReply } from './reply.ts'
import type { Reply } from './reply.ts'
import type { Call, Route } from './world.ts'

const words: Record<string, RegExp | null> = {
  harassment: /\b(?:idiot|loser|stupid person)\b/i,
  'harassment/threatening': null,
  sexual: null,
  hate: null,
  'hate/threatening': null,
  illicit: /\b(?:steal|shoplift|counterfeit)\b/i,
  'illicit/violent': null,
  'self-harm/intent': null,
  'self-harm/instructions': null,
  'self-harm': null,
  'sexual/minors': null,
  violence: /\b(?:kill|attack|murder|bomb)\b/i,
  'violence/graphic': null,
}

function judge(text: string): object {
  const hits = Object.entries(words).map(
    ([category, pattern]) => [category, pattern?.test(text) ?? false] as const,
  )
  return {
    flagged: hits.some(([, hit]) => hit),
    categories: Object.fromEntries(hits),
    category_scores: Object.fromEntries(hits.map(([category, hit]) => [category, hit ? 0.97 : 0.00001])),
    category_applied_input_types: Object.fromEntries(hits.map(([category]) => [category, ['text']])),
  }
}

/** Each text of a list is judged apart; a list of parts is one text. */
function inputsOf(input: Json | undefined): string[] {
  const one = asText(input)
  if (one !== null) return [one]
  const list = asList(input)
  if (list === null)
    throw invalid("Missing required parameter: 'input'.", 'input', 'missing_required_parameter')
  return list.every((item) => typeof item === 'string')
    ? list.map((item) => asText(item) ?? '')
    : [contentText(input)]
}

function moderate(call: Call): Reply {
  const body = call.json()
  const asked = asText(body['model']) ?? 'omni-moderation-latest'
  const model = chooseModel(call.world, asked, { kind: 'moderation', fallback: 'omni-moderation-latest' })
  const results = inputsOf(body['input']).map(judge)
  return jsonReply({ id: call.world.ids.id('modr-'), model: model.served, results }, 200, {
    model: model.served,
    usage: null,
    usageTold: false,
  })
}

/** Moderations. */
export const moderationRoutes: readonly Route[] = [['POST', '/v1/moderations', moderate]]
