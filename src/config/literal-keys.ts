// Finds text that looks like a live credential. Used on the file as written, comments too: a key in a comment of a
// tracked file is as public as any other. Random text of a known shape, and of both letters and digits, so that
// `sk-your-key-here` is left alone.

import { spawn } from 'node:child_process'
import { basename, dirname } from 'node:path'
import { isWellFormedAdminToken } from '../base/admin-token.ts'
import { isWellFormedClientKey } from '../base/client-key.ts'

/** A place where a live-looking credential stands, from 1. */
export interface LiteralKey {
  readonly line: number
  readonly column: number
  /** Whose key it looks like. */
  readonly kind: string
}

const shapes: readonly (readonly [kind: string, source: string])[] = [
  ['an Anthropic key', 'sk-ant-[A-Za-z0-9_-]{20,}'],
  ['an OpenRouter key', 'sk-or-[A-Za-z0-9_-]{20,}'],
  ['an OpenAI key', 'sk-[A-Za-z0-9_-]{20,}'],
  ['a Headgate client key', 'hg_[a-z0-9-]+_[A-Za-z0-9]{46}'],
  ['a Headgate admin token', 'hga_[A-Za-z0-9]{46}'],
  ['an AWS access key', '(?:AKIA|ASIA)[A-Z0-9]{16}'],
  ['a Groq key', 'gsk_[A-Za-z0-9]{20,}'],
  ['an xAI key', 'xai-[A-Za-z0-9]{20,}'],
  ['a Google API key', 'AIza[A-Za-z0-9_-]{35}'],
  ['a GitHub token', '(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})'],
  ['a Hugging Face token', 'hf_[A-Za-z0-9]{30,}'],
  ['a Slack token', 'xox[abeprs]-[A-Za-z0-9-]{20,}'],
]
const anyKey = new RegExp(`(?<![A-Za-z0-9_-])(?:${shapes.map(([, source]) => `(${source})`).join('|')})`, 'g')
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/g

/** Every live-looking credential in `text`, in order. */
export function findLiteralKeys(text: string): LiteralKey[] {
  const found: LiteralKey[] = []
  for (const [index, line] of text.split('\n').entries()) {
    for (const match of line.matchAll(anyKey)) {
      const shape = match.slice(1).findIndex((group) => group !== undefined)
      if (isLive(match[0])) found.push({ line: index + 1, column: match.index + 1, kind: shapes[shape]![0] })
    }
    for (const match of line.matchAll(privateKey)) {
      found.push({ line: index + 1, column: match.index + 1, kind: 'a private key' })
    }
  }
  return found
}

/** `text` with every live-looking credential blotted out: the last line of defence of a message. */
export function maskKeys(text: string): string {
  return text.replaceAll(anyKey, (match) => (isLive(match) ? '[key]' : match))
}

function isLive(text: string): boolean {
  if (text.startsWith('hg_')) return isWellFormedClientKey(text)
  if (text.startsWith('hga_')) return isWellFormedAdminToken(text)
  return /[0-9]/.test(text) && /[A-Za-z]/.test(text)
}

/** Whether git tracks `file`; false where there is no repository or no git. */
export function isTracked(file: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const child = spawn('git', ['ls-files', '--error-unmatch', '--', basename(file)], {
    cwd: dirname(file),
    stdio: 'ignore',
    timeout: 5000,
  })
  child.on('error', () => resolve(false))
  child.on('close', (code) => resolve(code === 0))
  return promise
}
