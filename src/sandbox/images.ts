// Images: made, edited, varied. The picture is a valid PNG whose colour follows from the prompt; URLs point back at the sandbox.

import { hashText } from './ids.ts'
import { asNumber, asText } from './json.ts'
import type { JsonObject } from './json.ts'
import { chooseModel } from './models.ts'
import { pngOf } from './png.ts'
import { bytesReply, frame, jsonReply, streamReply } from './reply.ts'
import type { Frame, Reply } from './reply.ts'
import { countTokens } from './tokens.ts'
import { requiredText } from './world.ts'
import type { Call, Route } from './world.ts'

interface Order {
  readonly prompt: string
  readonly model: string
  readonly n: number
  readonly wantsUrl: boolean
  readonly stream: boolean
}

const imageOutputTokens = 272

function usageOf(
  order: Order,
  images: number,
): { input: number; cachedInput: number; output: number; reasoning: number } {
  return {
    input: countTokens(order.prompt) + images * 64,
    cachedInput: 0,
    output: order.n * imageOutputTokens,
    reasoning: 0,
  }
}

function* imageFrames(base64: string, usage: object): Generator<Frame> {
  const common = {
    b64_json: base64,
    created_at: 0,
    size: '1024x1024',
    quality: 'medium',
    background: 'opaque',
    output_format: 'png',
  }
  const partial = 'image_generation.partial_image'
  yield frame({ type: partial, ...common, partial_image_index: 0 }, { event: partial })
  yield frame(
    { type: 'image_generation.completed', ...common, usage },
    { event: 'image_generation.completed', usage: true },
  )
}

function picture(call: Call, order: Order, inputs: number): Reply {
  const choice = chooseModel(call.world, order.model, { kind: 'image', fallback: 'gpt-image-1' })
  const tokens = choice.served.startsWith('gpt-image') ? usageOf(order, inputs) : null
  const served = { model: choice.served, usage: tokens, usageTold: tokens !== null }
  const usage =
    tokens === null
      ? {}
      : {
          usage: {
            input_tokens: tokens.input,
            input_tokens_details: { text_tokens: countTokens(order.prompt), image_tokens: inputs * 64 },
            output_tokens: tokens.output,
            total_tokens: tokens.input + tokens.output,
          },
        }
  if (order.stream)
    return streamReply(
      imageFrames(pngOf(order.prompt).toString('base64'), Object.values(usage)[0] ?? {}),
      served,
    )
  const data = Array.from({ length: order.n }, (_, i) => {
    const prompt = i === 0 ? order.prompt : `${order.prompt} ${i}`
    const url = `http://${call.header('host') ?? 'localhost'}/sandbox/images/${hashText(prompt).toString(16)}.png`
    const revised = choice.served === 'dall-e-3' ? { revised_prompt: order.prompt } : {}
    return { ...revised, ...(order.wantsUrl ? { url } : { b64_json: pngOf(prompt).toString('base64') }) }
  })
  return jsonReply({ created: call.world.nowS(), data, ...usage }, 200, served)
}

function wantsUrl(model: string, format: string | null): boolean {
  return !model.startsWith('gpt-image') && format !== 'b64_json'
}

function generate(call: Call): Reply {
  const body: JsonObject = call.json()
  const model = asText(body['model']) ?? 'dall-e-2'
  const order = {
    prompt: requiredText(body, 'prompt'),
    model,
    n: asNumber(body['n']) ?? 1,
    stream: body['stream'] === true,
  }
  return picture(call, { ...order, wantsUrl: wantsUrl(model, asText(body['response_format'])) }, 0)
}

function edit(call: Call): Reply {
  const form = call.form()
  form.file('image')
  const model = form.field('model') ?? 'dall-e-2'
  const order = {
    prompt: form.field('prompt') ?? 'a variation',
    model,
    n: Number(form.field('n') ?? '1'),
    stream: form.field('stream') === 'true',
  }
  return picture(
    call,
    { ...order, wantsUrl: wantsUrl(model, form.field('response_format')) },
    form.files('image').length,
  )
}

/** Images. */
export const imageRoutes: readonly Route[] = [
  ['POST', '/v1/images/generations', generate],
  ['POST', '/v1/images/edits', edit],
  ['POST', '/v1/images/variations', edit],
  ['GET', '/sandbox/images/:name', (call) => bytesReply(pngOf(call.param('name')), 'image/png')],
]
