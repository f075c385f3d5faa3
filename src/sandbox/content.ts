// Reading what messages say: a text, or parts of text, images, audio and files, in the words of both chat completions and responses.

import { asObject, asText, objectsIn } from './json.ts'
import type { Json, JsonObject } from './json.ts'

/** The texts of a message's content, joined. */
export function contentText(content: Json | undefined): string {
  const plain = asText(content)
  if (plain !== null) return plain
  return objectsIn(content)
    .map((part) => asText(part['text']) ?? asText(part['refusal']) ?? '')
    .filter((text) => text !== '')
    .join('\n')
}

/** How many parts are no text: images, audio, files. */
export function contentMedia(content: Json | undefined): number {
  const media = ['image_url', 'input_image', 'input_audio', 'file', 'input_file']
  return objectsIn(content).filter((part) => media.includes(asText(part['type']) ?? '')).length
}

/** The last text with the role of a user, or the last text at all. */
export function lastUserText(messages: readonly JsonObject[]): string {
  const user = messages.findLast((message) => message['role'] === 'user') ?? messages.at(-1)
  return user === undefined ? '' : contentText(user['content'])
}

/** The schema and kind of a `response_format` (chat) or `text.format` (responses). */
export function formatOf(format: JsonObject | null): 'text' | 'json' | { schema: JsonObject } {
  const type = asText(format?.['type'])
  if (type === 'json_object') return 'json'
  if (type !== 'json_schema') return 'text'
  const holder = asObject(format?.['json_schema']) ?? format
  return { schema: asObject(holder?.['schema']) ?? { type: 'object' } }
}
