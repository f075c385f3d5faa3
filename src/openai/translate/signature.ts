// What a provider signs and wants back unchanged in the next turn: the reasoning of Claude, tool calls of Gemini. On the
// Responses wire it travels as `encrypted_content` of a reasoning item, which is there for just that; on a tool call it
// stands in `extra_content`, as on Google's own OpenAI wire. What comes back is the client's text: only the members
// that are signatures are taken over, and only as text.

import type { SharedV4ProviderMetadata, SharedV4ProviderOptions } from '@ai-sdk/provider'
import { membersOf, type Members } from './call.ts'

const mark = 'hgr1.'
const signed = ['signature', 'redactedData', 'thoughtSignature'] as const
const owners = ['anthropic', 'amazonBedrock', 'bedrock', 'google', 'vertex', 'googleVertex'] as const

/** `encrypted_content` for reasoning with these facts; null where nothing is signed. */
export function sealed(metadata: SharedV4ProviderMetadata | undefined): string | null {
  const kept = signatures(metadata)
  return kept === undefined ? null : mark + Buffer.from(JSON.stringify(kept)).toString('base64url')
}

/** What `sealed` was made of; undefined for anything else, such as another provider's text. */
export function unsealed(text: unknown): SharedV4ProviderOptions | undefined {
  if (typeof text !== 'string' || !text.startsWith(mark)) return undefined
  try {
    return signatures(JSON.parse(Buffer.from(text.slice(mark.length), 'base64url').toString()))
  } catch {
    return undefined
  }
}

function signatures(value: unknown): SharedV4ProviderOptions | undefined {
  const given = membersOf(value)
  if (given === null) return undefined
  const kept: Record<string, Record<string, string>> = {}
  for (const owner of owners) {
    const facts = membersOf(given[owner])
    for (const name of signed) {
      const text = facts?.[name]
      if (typeof text === 'string') (kept[owner] ??= {})[name] = text
    }
  }
  return Object.keys(kept).length === 0 ? undefined : kept
}

/** `extra_content` of a tool call, or nothing. */
export function signedCall(metadata: SharedV4ProviderMetadata | undefined): Members {
  const kept = signatures(metadata)
  const text = (kept?.['google'] ?? kept?.['vertex'] ?? kept?.['googleVertex'])?.['thoughtSignature']
  return typeof text === 'string' ? { extra_content: { google: { thought_signature: text } } } : {}
}

/** What `signedCall` was made of. */
export function signatureOf(call: Members): SharedV4ProviderOptions | undefined {
  const text = membersOf(membersOf(call['extra_content'])?.['google'])?.['thought_signature']
  return typeof text === 'string' ? { google: { thoughtSignature: text } } : undefined
}
