// Images, sound and files of a request. Data goes along as data; a URL goes along only where the provider fetches it by
// itself. It is never fetched here: whoever may name a URL could otherwise look into the operator's network.

import type { LanguageModelV4FilePart } from '@ai-sdk/provider'
import { cannot, given, invalid, type Abilities } from './call.ts'

const byEnding: Readonly<Record<string, string>> = {
  png: 'image/png',
  gif: 'image/gif',
  webp: 'image/webp',
  pdf: 'application/pdf',
}

/** A part of a message from a URL or data URL. `kind`: media type where the URL does not tell. @throws Failure */
export function filePart(
  source: { url: unknown; param: string; kind: string; filename?: string | undefined },
  abilities: Abilities,
): LanguageModelV4FilePart {
  const { url, param, filename } = source
  if (typeof url !== 'string') throw invalid(param, 'must be a URL or a data URL')
  if (/^data:/i.test(url)) return dataPart({ ...source, url }, abilities)
  if (!URL.canParse(url)) throw invalid(param, 'must be a URL or a data URL')
  const ending = /\.([a-z]{3,4})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? ''
  const mediaType = byEnding[ending] ?? source.kind
  const fetched = Object.entries(abilities.urls).some(
    ([type, patterns]) =>
      fits(mediaType, type) && patterns.some((pattern) => new RegExp(pattern.source, 'i').test(url)),
  )
  if (!fetched) throw cannot(param, 'it does not fetch this URL. Send the content itself, as a data URL')
  return {
    type: 'file',
    mediaType,
    data: { type: 'url', url: new URL(url) },
    ...given('filename', filename),
  }
}

function dataPart(
  source: { url: string; param: string; filename?: string | undefined },
  abilities: Abilities,
): LanguageModelV4FilePart {
  const { url, param, filename } = source
  const comma = url.indexOf(',')
  const head = comma < 0 ? '' : url.slice('data:'.length, comma)
  const [mediaType = '', ...parameters] = head.toLowerCase().split(';')
  if (!/^[a-z]+\/[\w.+-]+$/.test(mediaType) || !parameters.includes('base64'))
    throw invalid(param, 'must be a data URL in base64, such as data:image/png;base64,…')
  return bytesPart({ data: url.slice(comma + 1), mediaType, param, filename }, abilities)
}

/** A part of a message from base64. @throws Failure */
export function bytesPart(
  source: { data: unknown; mediaType: string; param: string; filename?: string | undefined },
  abilities: Abilities,
): LanguageModelV4FilePart {
  const { data, mediaType, param, filename } = source
  if (typeof data !== 'string' || !/^[A-Za-z0-9+/=\s]*$/.test(data)) throw invalid(param, 'must be base64')
  if (!abilities.media.some((type) => fits(mediaType, type)))
    throw cannot(param, `it does not take ${mediaType}`)
  return { type: 'file', mediaType, data: { type: 'data', data }, ...given('filename', filename) }
}

/** Whether a media type falls under `image/png`, `image/*` or `*`. */
function fits(mediaType: string, pattern: string): boolean {
  return (
    pattern === '*' ||
    pattern === mediaType ||
    (pattern.endsWith('/*') && mediaType.startsWith(pattern.slice(0, -1)))
  )
}
