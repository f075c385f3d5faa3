// Counts tokens in a thread of its own: loading an encoding takes hundreds of milliseconds and counting a megabyte as long,
// and neither may keep a stream waiting. Loaded at the first estimate; most gates never need it.

import { countTokens, type TokensAnswer, type TokensQuestion } from './tokens.ts'

declare const self: {
  onmessage: ((event: { readonly data: TokensQuestion }) => void) | null
  postMessage(answer: TokensAnswer): void
}

self.onmessage = ({ data }) => {
  void countTokens(data).then(
    (counts) => self.postMessage({ id: data.id, counts }),
    () => self.postMessage({ id: data.id, counts: null }),
  )
}
