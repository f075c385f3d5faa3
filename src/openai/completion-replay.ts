// A legacy completion told whole, from chunks, and the other way round: texts are joined, lists of logprobs appended.

import { isObject, type Json } from './canonical-json.ts'

type Members = { [name: string]: Json }

/** Chunks put together as the answer without `stream`; null where that would lose something. */
export function completionFromChunks(chunks: readonly Json[]): Members | null {
  const answer: Members = {}
  const choices = new Map<number, Members>()
  for (const chunk of chunks) {
    if (!isObject(chunk) || chunk['error'] !== undefined || !Array.isArray(chunk['choices'])) return null
    for (const name of Object.keys(chunk)) {
      if (name === 'choices' || name === 'obfuscation') continue
      const before = answer[name] ?? null
      if (before !== null && chunk[name] !== null && !Bun.deepEquals(before, chunk[name])) return null
      answer[name] = before ?? chunk[name]!
    }
    for (const piece of chunk['choices']) if (!addPiece(choices, piece)) return null
  }
  if (choices.size === 0) return null
  const told = [...choices].sort(([a], [b]) => a - b).map(([, choice]) => choice)
  if (told.some((choice) => typeof choice['finish_reason'] !== 'string')) return null
  const { usage, ...rest } = answer
  return { ...rest, choices: told, ...(usage == null ? {} : { usage }) }
}

function addPiece(choices: Map<number, Members>, piece: Json): boolean {
  if (!isObject(piece) || typeof piece['index'] !== 'number' || typeof piece['text'] !== 'string')
    return false
  const choice = choices.get(piece['index'])
  if (choice === undefined) {
    choices.set(piece['index'], { ...piece })
    return true
  }
  for (const name of Object.keys(piece)) {
    const value = piece[name]!
    const before = choice[name] ?? null
    if (name === 'index') continue
    if (name === 'text') choice[name] = `${String(before)}${String(value)}`
    else if (before === null) choice[name] = value
    else if (value === null) continue
    else if (name !== 'logprobs' || !isObject(before) || !isObject(value)) return false
    else choice[name] = joined(before, value)
  }
  return true
}

function joined(before: Members, value: Members): Members {
  const lists: Members = { ...before }
  for (const name of Object.keys(value)) {
    const [first, second] = [lists[name] ?? null, value[name]!]
    lists[name] = Array.isArray(first) && Array.isArray(second) ? [...first, ...second] : (first ?? second)
  }
  return lists
}

/** A whole answer told in chunks, the last of which has the usage; null where that would lose something. */
export function chunksOfCompletion(answer: Json): Members[] | null {
  if (!isObject(answer) || !Array.isArray(answer['choices'])) return null
  const { choices, usage = null, ...common } = answer
  const chunks = choices.map((choice): Members => ({ ...common, choices: [choice] }))
  const again = completionFromChunks(chunks)
  if (again === null || !Bun.deepEquals(again, { ...common, choices })) return null
  return [...chunks, { ...common, choices: [], usage }]
}
