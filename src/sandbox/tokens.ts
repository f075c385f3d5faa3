// Counting tokens without a tokenizer's tables: a text is cut into pieces and a piece is a token. Not what OpenAI would count, but
// exact in itself: the pieces of a streamed answer are its deltas, so deltas sent = tokens counted, which is what tests compare.

const pieces = / ?[\p{L}\p{N}]{1,8}|\s|[^\s\p{L}\p{N}]/gu

/** Cuts a text into its tokens: up to 8 letters or digits with one space before, a single other character, one space. Joined, they give the text. */
export function tokenPieces(text: string): string[] {
  return text.match(pieces) ?? []
}

/** How many tokens a text is. */
export function countTokens(text: string): number {
  return tokenPieces(text).length
}
