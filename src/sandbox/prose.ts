// The answers themselves. A text follows from the prompt alone: it names what was asked, so that a person sees at once that their call
// arrived, `Say hello` says hello, and `Say: …` (or Repeat, Echo, Reply with) gives back exactly what follows, so that a test can choose
// the bytes.

import { hashText } from './ids.ts'
import { tokenPieces } from './tokens.ts'

const openings = [
  'You asked about',
  'Here is a short answer about',
  'Let me take that step by step:',
  'Good question. On the subject of',
  'Short version, concerning',
]
const middles = [
  'The sandbox has no model behind it, so this text follows from your words alone.',
  'The same request gives the same words every time, which makes it useful for tests.',
  'Nothing left this machine to write it.',
  'It was made without a model, in a way that never changes.',
]
const closings = [
  'Ask again and you will read the same.',
  'Point your base URL at the real service to hear more.',
  'That is all there is to say here.',
  'I hope it helps.',
]
const filler = [
  ' the',
  ' gate',
  ' keeps',
  ' watch',
  ' over',
  ' every',
  ' call',
  ' and',
  ' counts',
  ' what',
  ' it',
  ' costs',
]

function pick(from: readonly string[], seed: number): string {
  return from[seed % from.length]!
}

/** What a short `Say hello` or `please say "hi"` asks to hear, as a sentence; null for any other prompt. */
function saying(prompt: string): string | null {
  const asked = /^\s*(?:please,?\s+)?say\s+(?!(?:exactly|this):)(\S[^\r\n]{0,99})\s*$/i.exec(prompt)
  if (asked === null) return null
  const words = asked[1]!.trim().replace(/^(["'“‘])(.+)["'”’]$/, '$2')
  const [first = '', ...rest] = words
  return `${first.toUpperCase()}${rest.join('')}${/[.!?…]["'”’)]*$/.test(words) ? '' : '.'}`
}

/** What an assistant would say to `prompt`; `variant` tells the choices of one call apart. */
export function answerText(prompt: string, variant = 0): string {
  const asked = /^\s*(?:say|repeat|echo|reply with)(?: exactly| this)?:\s*([\s\S]+)$/i.exec(prompt)
  if (asked !== null) return asked[1]!
  const said = saying(prompt)
  if (said !== null) return said
  const seed = hashText(prompt) + variant * 7919
  const subject = prompt.replace(/\s+/g, ' ').trim().slice(0, 160)
  const about = subject === '' ? 'an empty prompt' : `“${subject}”`
  return `${pick(openings, seed)} ${about}. ${pick(middles, seed >>> 3)} ${pick(closings, seed >>> 7)}`
}

/** A text of exactly `tokens` tokens as `tokenPieces` counts them. */
export function textOfLength(tokens: number): string {
  let text = ''
  for (let i = 0; i < tokens; i++) text += filler[i % filler.length]
  return text
}

/** What is left of an answer under a token ceiling and stop texts, and why it ended. */
export function cutAnswer(
  text: string,
  maxTokens: number | null,
  stops: readonly string[],
): { text: string; reason: 'stop' | 'length' } {
  let kept = text
  for (const stop of stops) {
    const at = stop === '' ? -1 : kept.indexOf(stop)
    if (at >= 0) kept = kept.slice(0, at)
  }
  if (maxTokens === null) return { text: kept, reason: 'stop' }
  const pieces = tokenPieces(kept)
  if (pieces.length <= maxTokens) return { text: kept, reason: 'stop' }
  return { text: pieces.slice(0, maxTokens).join(''), reason: 'length' }
}
