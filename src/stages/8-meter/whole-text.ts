// What a JSON answer without usage has said, for its estimate: every text at the places where OpenAI's answers have what a
// model wrote. Rare, so the answer is simply parsed.

import type { SaidText } from '../../exchange.ts'

const textMembers = new Set(['content', 'text', 'refusal', 'reasoning', 'reasoning_content', 'arguments'])
const depthMax = 12

/** The text of a JSON answer; null where there is none in it. */
export function textOfAnswer(answer: Uint8Array): SaidText | null {
  let json: unknown
  try {
    json = JSON.parse(Buffer.prototype.utf8Slice.call(answer, 0, answer.length))
  } catch {
    return null
  }
  const { choices, output } = (json ?? {}) as { choices?: unknown; output?: unknown }
  const texts: string[] = []
  collect(choices ?? output, texts, 0)
  if (texts.length === 0) return null
  const text = texts.join('\n')
  return { bytes: Buffer.byteLength(text), text: () => text }
}

function collect(value: unknown, texts: string[], depth: number): void {
  if (typeof value !== 'object' || value === null || depth > depthMax) return
  if (Array.isArray(value)) {
    for (const each of value) collect(each, texts, depth + 1)
    return
  }
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string' && textMembers.has(name)) texts.push(member)
    else collect(member, texts, depth + 1)
  }
}
