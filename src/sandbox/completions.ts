// POST /v1/completions: the old text completions, JSON and SSE.

import { checkNumbers } from './chat-check.ts'
import { asList, asNumber, asObject, asText } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { chooseModel } from './models.ts'
import type { ModelChoice } from './models.ts'
import { answerText, cutAnswer, textOfLength } from './prose.ts'
import { doneFrame, frame, invalid, jsonReply, streamReply } from './reply.ts'
import type { Frame, Reply } from './reply.ts'
import { countTokens, tokenPieces } from './tokens.ts'
import { inputUsage, toldUsage } from './usage.ts'
import type { Call, Route } from './world.ts'

interface Choice {
  readonly text: string
  readonly index: number
  readonly logprobs: null
  readonly finish_reason: 'stop' | 'length'
}

/** The prompts: a text, texts, tokens, or lists of tokens. */
function promptsOf(prompt: Json | undefined): string[] {
  const list = asList(prompt)
  if (list === null) return [asText(prompt) ?? '<|endoftext|>']
  if (list.every((item) => typeof item === 'number')) return [list.join(' ')]
  return list.map((item) => asText(item) ?? (asList(item) ?? []).join(' '))
}

function choicesOf(body: JsonObject, model: ModelChoice): Choice[] {
  const n = asNumber(body['n']) ?? 1
  const max = asNumber(body['max_tokens']) ?? 16
  const stops = asList(body['stop'])?.map((stop) => asText(stop) ?? '') ?? [asText(body['stop']) ?? '']
  return promptsOf(body['prompt']).flatMap((prompt, at) =>
    Array.from({ length: n }, (_, variant): Choice => {
      const whole = model.tokens === null ? ` ${answerText(prompt, variant)}` : textOfLength(model.tokens)
      const cut = cutAnswer(whole, model.tokens === null ? max : null, stops)
      const text = (body['echo'] === true ? prompt : '') + cut.text
      return { text, index: at * n + variant, logprobs: null, finish_reason: cut.reason }
    }),
  )
}

function* completionFrames(
  head: JsonObject,
  choices: readonly Choice[],
  usage: { member: JsonObject; last: JsonObject | null },
): Generator<Frame> {
  for (const { text, index, finish_reason } of choices) {
    for (const piece of tokenPieces(text)) {
      yield frame(
        { ...head, choices: [{ text: piece, index, logprobs: null, finish_reason: null }], ...usage.member },
        { tokens: 1 },
      )
    }
    yield frame({ ...head, choices: [{ text: '', index, logprobs: null, finish_reason }], ...usage.member })
  }
  if (usage.last !== null) yield frame({ ...head, choices: [], usage: usage.last }, { usage: true })
  yield doneFrame
}

function createCompletion(call: Call): Reply {
  const body = call.json()
  const asked = asText(body['model'])
  if (asked === null) throw invalid('you must provide a model parameter')
  const model = chooseModel(call.world, asked, { kind: 'completion', fallback: 'gpt-3.5-turbo-instruct' })
  checkNumbers(body)
  const choices = choicesOf(body, model)
  const prompts = promptsOf(body['prompt'])
  const output = choices.reduce((sum, { text }) => sum + countTokens(text), 0)
  const usage = {
    ...inputUsage(call.world, { text: prompts.join('\n'), images: 0, messages: 0 }),
    output,
    reasoning: 0,
  }
  const told = toldUsage(usage, call.faults)
  const shown: JsonObject | null =
    told === null
      ? null
      : { prompt_tokens: told.input, completion_tokens: told.output, total_tokens: told.input + told.output }
  const { ids } = call.world
  const head: JsonObject = {
    id: ids.id('cmpl-'),
    object: 'text_completion',
    created: call.world.nowS(),
    model: model.served,
  }
  const served = { model: model.served, usage: told ?? usage, usageTold: told !== null }
  if (body['stream'] !== true) {
    const usageMember = shown === null ? {} : { usage: shown }
    return jsonReply({ ...head, choices, ...usageMember }, 200, served)
  }
  const include = asObject(body['stream_options'])?.['include_usage'] === true && shown !== null
  return streamReply(
    completionFrames(head, choices, { member: include ? { usage: null } : {}, last: include ? shown : null }),
    served,
  )
}

/** Text completions. */
export const completionRoutes: readonly Route[] = [['POST', '/v1/completions', createCompletion]]
