// The usage of a stream of chunks, for clients that did not ask for it: the extra chunk with the usage is taken out, and the
// member `usage: null` of all the others is cut out of their bytes, which otherwise stay as they are. With usage in it, a
// client that reads `choices[0]` of every chunk would fail on the extra one.

import { isObject } from './canonical-json.ts'

const usageName = Buffer.from('"usage"')
const decoder = new TextDecoder()
const nullUsage = /,\s*"usage"\s*:\s*null(?=\s*[,}])|"usage"\s*:\s*null\s*,/

/** Whole frames without their usage; the same object where there is none in them. */
export function withoutUsage(frames: Uint8Array): Uint8Array {
  if (Buffer.prototype.indexOf.call(frames, usageName) < 0) return frames
  const text = decoder.decode(frames)
  let kept = ''
  // A frame with its blank line; what follows the last one is no frame.
  const frame = /[\s\S]*?(?:\r\n\r\n|\n\n|\r\r)/gy
  let end = 0
  for (let found = frame.exec(text); found !== null; found = frame.exec(text)) {
    end = frame.lastIndex
    kept += frameWithout(found[0])
  }
  kept += text.slice(end)
  return kept === text ? frames : Buffer.from(kept, 'utf8')
}

function frameWithout(frame: string): string {
  // Not by `.` and `$`, to which U+2028 is the end of a line.
  const data = /(?:^|[\r\n])data: ?([^\r\n]*)/.exec(frame)?.[1]
  if (data === undefined || !data.includes('"usage"')) return frame
  try {
    const chunk = JSON.parse(data) as unknown
    if (!isObject(chunk) || !('usage' in chunk)) return frame
    if (Array.isArray(chunk['choices']) && chunk['choices'].length === 0 && chunk['usage'] !== null) return ''
    if (chunk['usage'] !== null) return frame
    // The first may stand in a text; then the JSON says so, and the chunk is written anew.
    const cut = data.replace(nullUsage, '')
    const rest = Object.fromEntries(Object.entries(chunk).filter(([name]) => name !== 'usage'))
    const same = Bun.deepEquals(JSON.parse(cut), rest)
    return frame.replace(data, () => (same ? cut : JSON.stringify(rest)))
  } catch {
    return frame
  }
}
