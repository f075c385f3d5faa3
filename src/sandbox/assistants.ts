// Assistants, threads, messages and runs. A run answers at once: its message is made when the run is, and the stream tells the same
// story afterwards.

import { asObject, asText, objectsIn } from './json.ts'
import type { Json, JsonObject } from './json.ts'
import { contentText, lastUserText } from './content.ts'
import { chooseModel } from './models.ts'
import { changeObject, collectionOf, makeObject, objectOf, objectRoutes } from './objects.ts'
import type { Kind } from './objects.ts'
import { answerText } from './prose.ts'
import { frame, jsonReply, missing, streamReply } from './reply.ts'
import type { Frame, Reply } from './reply.ts'
import { countTokens, tokenPieces } from './tokens.ts'
import { requiredText } from './world.ts'
import type { Call, Route } from './world.ts'

const assistants: Kind = {
  path: '/v1/assistants',
  object: 'assistant',
  prefix: 'asst_',
  members: (call, body) => {
    chooseModel(call.world, requiredText(body, 'model'), { kind: 'chat', fallback: 'gpt-4o-mini' })
    const {
      name = null,
      description = null,
      instructions = null,
      tools = [],
      tool_resources = {},
      response_format = 'auto',
    } = body
    return {
      name,
      description,
      instructions,
      tools,
      tool_resources,
      response_format,
      temperature: body['temperature'] ?? 1,
      top_p: body['top_p'] ?? 1,
    }
  },
}
const threads: Kind = {
  path: '/v1/threads',
  object: 'thread',
  prefix: 'thread_',
  members: (_call, body) => ({ tool_resources: body['tool_resources'] ?? {}, messages: undefined }),
}
const messages: Kind = {
  path: '/v1/threads/:thread/messages',
  object: 'thread.message',
  prefix: 'msg_',
  members: (call, body) => {
    const plain = asText(body['content'])
    const content: Json =
      plain === null ? (body['content'] ?? []) : [{ type: 'text', text: { value: plain, annotations: [] } }]
    const { assistant_id = null, run_id = null, attachments = [] } = body
    const times = { completed_at: call.world.nowS(), incomplete_at: null, incomplete_details: null }
    return {
      thread_id: call.param('thread'),
      status: 'completed',
      ...times,
      role: body['role'] ?? 'user',
      content,
      assistant_id,
      run_id,
      attachments,
    }
  },
}
const runs: Kind = {
  path: '/v1/threads/:thread/runs',
  object: 'thread.run',
  prefix: 'run_',
  verbs: ['update'],
}
const steps: Kind = {
  path: '/v1/threads/:thread/runs/:run/steps',
  object: 'thread.run.step',
  prefix: 'step_',
  verbs: [],
}

/** A message as a prompt sees it: its text plain. */
function plainMessage(message: JsonObject): JsonObject {
  const texts = objectsIn(message['content']).map(
    (part) => asText(asObject(part['text'])?.['value']) ?? contentText([part]),
  )
  return { role: message['role'], content: texts.join('\n') }
}

const stepDefaults: JsonObject = { last_error: null, expired_at: null, cancelled_at: null, failed_at: null }
const runDefaults: JsonObject = {
  status: 'completed',
  required_action: null,
  last_error: null,
  expires_at: null,
  cancelled_at: null,
  failed_at: null,
  incomplete_details: null,
  max_prompt_tokens: null,
  max_completion_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  tool_choice: 'auto',
  parallel_tool_calls: true,
  response_format: 'auto',
  temperature: 1,
  top_p: 1,
}

function runThread(call: Call, body: JsonObject): Reply {
  const thread = call.param('thread')
  const assistantId = requiredText(body, 'assistant_id')
  const assistant = call.world.objects.get('assistants', assistantId)
  if (assistant === null) throw missing(`No assistant found with id '${assistantId}'.`)
  objectOf(threads, call.at({ id: thread }))
  for (const extra of objectsIn(body['additional_messages'])) makeObject(messages, call, extra)
  const said = call.world.objects.all(collectionOf(messages.path, call)).map(plainMessage)
  const text = answerText(lastUserText(said))
  const asked = asText(body['model']) ?? asText(assistant['model']) ?? 'gpt-4o-mini'
  const model = chooseModel(call.world, asked, { kind: 'chat', fallback: 'gpt-4o-mini' })
  const input = said.reduce((sum, message) => sum + countTokens(contentText(message['content'])) + 3, 0)
  const usage = {
    prompt_tokens: input,
    completion_tokens: countTokens(text),
    total_tokens: input + countTokens(text),
  }
  const run = makeObject(runs, call, {
    ...runDefaults,
    assistant_id: assistantId,
    thread_id: thread,
    model: model.served,
    usage,
    instructions: body['instructions'] ?? assistant['instructions'] ?? '',
    tools: body['tools'] ?? assistant['tools'] ?? [],
    started_at: call.world.nowS(),
    completed_at: call.world.nowS(),
    metadata: body['metadata'],
  })
  const runId = String(run['id'])
  const message = makeObject(messages, call, {
    role: 'assistant',
    content: text,
    assistant_id: assistantId,
    run_id: runId,
  })
  const detail = { type: 'message_creation', message_creation: { message_id: message['id'] } }
  const ends = {
    run_id: runId,
    thread_id: thread,
    assistant_id: assistantId,
    status: 'completed',
    type: 'message_creation',
  }
  const step = makeObject(steps, call.at({ run: runId }), {
    ...stepDefaults,
    ...ends,
    step_details: detail,
    usage,
    completed_at: call.world.nowS(),
  })
  const counted = { input, cachedInput: 0, output: usage.completion_tokens, reasoning: 0 }
  const served = { model: model.served, usage: counted, usageTold: body['stream'] !== true }
  if (body['stream'] === true) return streamReply(runFrames({ run, step, message, text }), served)
  // Seen for the first time a run is queued; whoever asks again finds it done.
  return jsonReply({ ...run, status: 'queued', completed_at: null, started_at: null, usage: null }, 200, {
    ...served,
    usageTold: false,
  })
}

function* runFrames(told: {
  run: JsonObject
  step: JsonObject
  message: JsonObject
  text: string
}): Generator<Frame> {
  const { run, step, message, text } = told
  const at = (name: string, value: JsonObject, usage = false): Frame => frame(value, { event: name, usage })
  const fresh = { ...run, completed_at: null, usage: null }
  yield at('thread.run.created', { ...fresh, status: 'queued' })
  yield at('thread.run.queued', { ...fresh, status: 'queued' })
  yield at('thread.run.in_progress', { ...fresh, status: 'in_progress' })
  yield at('thread.run.step.created', { ...step, status: 'in_progress', usage: null })
  yield at('thread.run.step.in_progress', { ...step, status: 'in_progress', usage: null })
  yield at('thread.message.created', { ...message, status: 'in_progress', content: [] })
  yield at('thread.message.in_progress', { ...message, status: 'in_progress', content: [] })
  for (const value of tokenPieces(text)) {
    const delta = { content: [{ index: 0, type: 'text', text: { value, annotations: [] } }] }
    yield frame(
      { id: message['id'], object: 'thread.message.delta', delta },
      { event: 'thread.message.delta', tokens: 1 },
    )
  }
  yield at('thread.message.completed', message)
  yield at('thread.run.step.completed', step)
  yield at('thread.run.completed', run, true)
  yield { event: 'done', data: '[DONE]', tokens: 0, usage: false }
}

function createThread(call: Call, body = call.jsonOrNone()): JsonObject {
  const thread = makeObject(threads, call, body)
  const inside = call.at({ thread: String(thread['id']) })
  for (const message of objectsIn(body['messages'])) makeObject(messages, inside, message)
  return thread
}

function createAndRun(call: Call): Reply {
  const body = call.json()
  const thread = createThread(call, asObject(body['thread']) ?? {})
  return runThread(call.at({ thread: String(thread['id']) }), body)
}

/** Assistants and threads. */
export const assistantRoutes: readonly Route[] = [
  ...objectRoutes(assistants),
  ['POST', '/v1/threads/runs', createAndRun],
  ['POST', '/v1/threads', (call) => jsonReply(createThread(call))],
  ...objectRoutes({ ...threads, verbs: ['update', 'delete'] }),
  ...objectRoutes(messages),
  ['POST', '/v1/threads/:thread/runs', (call) => runThread(call, call.json())],
  ...objectRoutes(runs),
  [
    'POST',
    '/v1/threads/:thread/runs/:id/cancel',
    (call) => jsonReply(changeObject(runs, call, { status: 'cancelled' })),
  ],
  [
    'POST',
    '/v1/threads/:thread/runs/:id/submit_tool_outputs',
    (call) => jsonReply(changeObject(runs, call, { status: 'completed' })),
  ],
  ...objectRoutes(steps),
]
