// Calls of a provider's own tools in a response (the Responses API) that are billed by the call: searches of the web and of
// files. Counted from the parsed object and nowhere else than in its `output`: what a client wrote into its tools, its
// schema or its metadata is repeated in the same object, and must not write the bill.

import type { Units } from './usage.ts'

type Members = Readonly<Record<string, unknown>>

/** What a search tool does besides searching; OpenAI charges the search alone. */
const freeActions = new Set<unknown>(['open_page', 'find_in_page', 'find'])
/** The end of the types of all items that are counted, as the bytes of an answer have it. */
const callName = Buffer.from('_search_call"')

function members(value: unknown): Members | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
}

/** Whether a JSON text may hold an item that `toolUnits` counts: one search of its bytes. */
export function mayHoldToolCalls(json: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(json, callName) >= 0
}

/** Which unit an item of an output is counted in; null = it is none, or free. */
export function toolUnit(item: Members): 'webSearches' | 'fileSearches' | null {
  if (item['type'] === 'file_search_call') return 'fileSearches'
  if (item['type'] !== 'web_search_call' || item['status'] === 'failed') return null
  return freeActions.has(members(item['action'])?.['type']) ? null : 'webSearches'
}

/**
 * The billed calls of tools of a parsed response; null = none. Searches of the older tool `web_search_preview` are apart,
 * since they have a price of their own.
 */
export function toolUnits(response: Members): Units | null {
  const output = response['output']
  if (!Array.isArray(output)) return null
  let web = 0
  let files = 0
  let seen: Set<string> | null = null
  for (const each of output as readonly unknown[]) {
    const item = members(each)
    const unit = item === null ? null : toolUnit(item)
    if (item === null || unit === null) continue
    const id = item['id']
    if (typeof id === 'string') {
      // The same call told twice is one.
      if ((seen ??= new Set()).has(id)) continue
      seen.add(id)
    }
    if (unit === 'webSearches') web += 1
    else files += 1
  }
  return web + files === 0 ? null : callUnits(web, files, web > 0 && isPreview(response['tools']))
}

/** So many searches as units. `preview`: those of the web were made by the older tool. */
export function callUnits(web: number, files: number, preview = false): Units {
  const units: Record<string, number> = {}
  if (web > 0) units[preview ? 'webSearches/preview' : 'webSearches'] = web
  if (files > 0) units['fileSearches'] = files
  return units
}

function isPreview(tools: unknown): boolean {
  return (
    Array.isArray(tools) &&
    tools.some((tool) => {
      const type = members(tool)?.['type']
      return typeof type === 'string' && type.startsWith('web_search_preview')
    })
  )
}

/** Whether these are calls of tools alone: then the tokens of the same answer are not known yet. */
export function areToolCalls(units: Units): boolean {
  for (const name in units) if (!name.startsWith('webSearches') && name !== 'fileSearches') return false
  return true
}
