// A chat completion told whole, from one told in chunks, and the other way round. Either way nothing may get lost: what is
// not understood well enough to be put together gives null, and the caller must ask the upstream instead. Texts are
// joined, lists of logprobs and annotations are appended, tool calls are filled in by their index; a member that nobody
// here knows is kept where it is said once, or always the same.

import { isObject, type Json } from './canonical-json.ts'

type Members = { [name: string]: Json }

/** Members of a chunk that pad it, and mean nothing. */
const padding = new Set(['obfuscation'])

/** Chunks put together as the answer without `stream`; null where that would lose something. */
export function chatFromChunks(chunks: readonly Json[]): Members | null {
  const answer: Members = {}
  const choices = new Map<number, Members>()
  for (const chunk of chunks) {
    if (!isObject(chunk) || chunk['error'] !== undefined) return null
    for (const name of Object.keys(chunk)) {
      if (name === 'choices' || padding.has(name)) continue
      if (name === 'object') answer['object'] = 'chat.completion'
      // Some providers send a running sum: the last one counts.
      else if (name === 'usage') answer['usage'] = chunk['usage'] ?? answer['usage'] ?? null
      // The first one is the moment of the answer; some providers tell that of each chunk.
      else if (name === 'created') answer['created'] ??= chunk['created']!
      else if (!keepOnce(answer, name, chunk[name]!)) return null
    }
    const list = chunk['choices']
    if (!Array.isArray(list)) return null
    for (const choice of list) if (!addChoice(choices, choice)) return null
  }
  if (choices.size === 0) return null
  const told = [...choices].sort(([a], [b]) => a - b).map(([, choice]) => finished(choice))
  if (told.some((choice) => choice === null)) return null
  const { usage, ...rest } = answer
  return { ...rest, choices: told as Members[], ...(usage == null ? {} : { usage }) }
}

/** Sets what is said once or always alike; null or an empty text before or after a value says nothing. */
function keepOnce(into: Members, name: string, value: Json): boolean {
  const before = into[name] ?? ''
  if (before === '' && (value !== null || into[name] === undefined)) into[name] = value
  return before === '' || value === null || value === '' || Bun.deepEquals(before, value)
}

function addChoice(choices: Map<number, Members>, piece: Json): boolean {
  if (!isObject(piece) || typeof piece['index'] !== 'number') return false
  let choice = choices.get(piece['index'])
  if (choice === undefined) {
    choice = { index: piece['index'], message: {}, logprobs: null, finish_reason: null }
    choices.set(piece['index'], choice)
  }
  for (const name of Object.keys(piece)) {
    const value = piece[name]!
    if (name === 'index') continue
    if (name === 'delta') {
      if (!isObject(value) || !addDelta(choice['message'] as Members, value)) return false
    } else if (name === 'logprobs') {
      if (!addLogprobs(choice, value)) return false
    } else if (!keepOnce(choice, name, value)) return false
  }
  return true
}

function addDelta(message: Members, delta: Members): boolean {
  for (const name of Object.keys(delta)) {
    const value = delta[name]!
    if (name === 'tool_calls') {
      if (!addToolCalls(message, value)) return false
    } else if (name === 'function_call' || name === 'audio') {
      if (!isObject(value) || !addParts(objectIn(message, name), value)) return false
    } else if (name === 'annotations') {
      if (!append(message, name, value)) return false
    } else if (name === 'role') {
      if (!keepOnce(message, name, value)) return false
    } else if (!joinText(message, name, value)) return false
  }
  return true
}

function joinText(into: Members, name: string, value: Json): boolean {
  const before = into[name]
  if (typeof value === 'string' && typeof before === 'string') {
    into[name] = before + value
    return true
  }
  return keepOnce(into, name, value)
}

function objectIn(holder: Members, name: string): Members {
  const there = holder[name]
  if (isObject(there)) return there
  const made: Members = {}
  holder[name] = made
  return made
}

/** Joins what comes in pieces; an id, a type or a name is said once. */
function addParts(into: Members, parts: Members): boolean {
  for (const name of Object.keys(parts)) {
    const value = parts[name]!
    const once = name === 'id' || name === 'type' || name === 'name' || name === 'expires_at'
    if (isObject(value)) {
      if (!addParts(objectIn(into, name), value)) return false
    } else if (once ? !keepOnce(into, name, value) : !joinText(into, name, value)) return false
  }
  return true
}

function addToolCalls(message: Members, value: Json): boolean {
  if (value === null) return true
  if (!Array.isArray(value)) return false
  const calls = (message['tool_calls'] ??= []) as Members[]
  for (const piece of value) {
    if (!isObject(piece) || typeof piece['index'] !== 'number') return false
    let call = calls.find((one) => one['index'] === piece['index'])
    if (call === undefined) calls.push((call = { index: piece['index'] }))
    if (!addParts(call, piece)) return false
  }
  return true
}

function append(holder: Members, name: string, value: Json): boolean {
  if (value === null) return true
  if (!Array.isArray(value)) return false
  const list = (holder[name] ??= []) as Json[]
  if (!Array.isArray(list)) return false
  list.push(...value)
  return true
}

function addLogprobs(choice: Members, value: Json): boolean {
  if (value === null) return true
  if (!isObject(value)) return false
  const logprobs = objectIn(choice, 'logprobs')
  for (const name of Object.keys(value)) {
    if (value[name] === null) logprobs[name] ??= null
    else if (!append(logprobs, name, value[name]!)) return false
  }
  return true
}

/** A choice as it is told whole; null where it never ended, or a call has no place. */
function finished(choice: Members): Members | null {
  if (typeof choice['finish_reason'] !== 'string') return null
  const message = choice['message'] as Members
  const { role = 'assistant', content = null, refusal = null, tool_calls: calls, ...rest } = message
  const hasCalls = Array.isArray(calls) && calls.length > 0
  const silent = content === '' && (hasCalls || isObject(rest['audio']) || refusal !== null)
  const told: Members = { role, content: silent ? null : content, refusal, ...rest }
  if (hasCalls) {
    const ordered = (calls as Members[]).toSorted((a, b) => Number(a['index']) - Number(b['index']))
    if (ordered.some(({ id, type }) => typeof id !== 'string' || typeof type !== 'string')) return null
    told['tool_calls'] = ordered.map(({ index: _, ...call }) => call)
  }
  return { ...choice, message: told }
}

/** A whole answer told in chunks, the last of which has the usage; null where that would lose something. */
export function chunksOfChat(answer: Json): Members[] | null {
  if (!isObject(answer) || !Array.isArray(answer['choices'])) return null
  const { choices, usage = null, ...head } = answer
  const common: Members = { ...head, object: 'chat.completion.chunk' }
  const chunks: Members[] = []
  for (const choice of choices) {
    if (!isObject(choice) || !isObject(choice['message']) || typeof choice['finish_reason'] !== 'string')
      return null
    const { index, message, logprobs = null, finish_reason: reason, ...rest } = choice
    const say = (delta: Members, more: Members = {}): void => {
      const piece: Members = { index: index ?? 0, delta, logprobs: null, finish_reason: null, ...more }
      chunks.push({ ...common, choices: [piece] })
    }
    tellMessage(message, logprobs, say)
    say({}, { ...rest, finish_reason: reason })
  }
  chunks.push({ ...common, choices: [], usage })
  const again = chatFromChunks(usage === null ? chunks.slice(0, -1) : chunks)
  return again !== null && sameAnswer(again, answer) ? chunks : null
}

function tellMessage(message: Members, logprobs: Json, say: (delta: Members, more?: Members) => void): void {
  const { role = 'assistant', content = null, refusal = null, tool_calls: calls, audio, ...rest } = message
  say({ role, content: typeof content === 'string' ? '' : null, refusal: null })
  const text: Members = {}
  if (typeof content === 'string' && content !== '') text['content'] = content
  if (refusal !== null) text['refusal'] = refusal
  if (Object.keys(text).length > 0 || logprobs !== null || Object.keys(rest).length > 0)
    say({ ...rest, ...text }, { logprobs })
  if (isObject(audio)) say({ audio })
  if (!Array.isArray(calls)) return
  for (const [index, call] of calls.entries()) {
    if (!isObject(call)) continue
    const { id, type, ...inner } = call
    const opening: Members = { index, id: id ?? null, type: type ?? 'function' }
    const later: Members = { index }
    for (const name of Object.keys(inner)) {
      const part = inner[name]!
      if (!isObject(part)) {
        opening[name] = part
        continue
      }
      const long = 'arguments' in part ? 'arguments' : 'input' in part ? 'input' : null
      opening[name] = long === null ? part : { ...part, [long]: '' }
      if (long !== null) later[name] = { [long]: part[long]! }
    }
    say({ tool_calls: [opening] })
    if (Object.keys(later).length > 1) say({ tool_calls: [later] })
  }
}

/** Whether two answers say the same; what is null or an empty list says nothing. */
function sameAnswer(a: Json, b: Json): boolean {
  return Bun.deepEquals(said(a), said(b))
}

function said(value: Json): Json {
  if (Array.isArray(value)) return value.map(said)
  if (!isObject(value)) return value
  const members = Object.entries(value).filter(
    ([name, member]) =>
      member !== null &&
      !(Array.isArray(member) && member.length === 0) &&
      !(name === 'content' && member === ''),
  )
  return Object.fromEntries(members.map(([name, member]) => [name, said(member)]))
}
