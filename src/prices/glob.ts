// Names with `*` for any characters, as in keys and routes. Two pointers and no pattern compiled: linear in practice, and
// no pattern of an operator can take long on a name of a client.

/** Whether all of `text` fits; both lower case. */
export function fitsGlob(glob: string, text: string): boolean {
  let at = 0
  let from = 0
  let star = -1
  let resume = 0
  while (from < text.length) {
    if (glob[at] === '*') {
      star = at++
      resume = from
    } else if (at < glob.length && glob[at] === text[from]) {
      at++
      from++
    } else if (star >= 0) {
      at = star + 1
      from = ++resume
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}
