// What OpenAI says when it says no: the words and codes of its error pages (platform.openai.com/docs/guides/error-codes, read November
// 2026), for refusals that are asked for as faults and for those that a request earns by itself.

import type { Fault } from './faults.ts'
import { Refusal } from './reply.ts'

const invalidType = 'invalid_request_error'
const serverSorry = 'The server had an error while processing your request. Sorry about that!'

/** The key as OpenAI shows it in an error: first and last characters. */
export function maskedKey(key: string): string {
  return key.length <= 8
    ? '*'.repeat(key.length)
    : `${key.slice(0, 3)}${'*'.repeat(Math.min(key.length - 7, 40))}${key.slice(-4)}`
}

/** 401 where no key came. */
export function noKey(): Refusal {
  const message =
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. " +
    "Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your " +
    'browser and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.'
  return new Refusal(401, { message, type: invalidType, param: null, code: null })
}

/** 401 where the key is not one of ours. */
export function wrongKey(key: string): Refusal {
  const message = `Incorrect API key provided: ${maskedKey(key)}. You can find your API key at https://platform.openai.com/account/api-keys.`
  return new Refusal(401, { message, type: invalidType, param: null, code: 'invalid_api_key' })
}

/** 404 for a model that does not exist. */
export function noModel(model: string): Refusal {
  const message = `The model \`${model}\` does not exist or you do not have access to it.`
  return new Refusal(404, { message, type: invalidType, param: null, code: 'model_not_found' })
}

/** 404 for a path that is no endpoint. */
export function unknownUrl(method: string, target: string): Refusal {
  return new Refusal(404, {
    message: `Unknown request URL: ${method} ${target}. Please check the URL for typos, or see the docs at https://platform.openai.com/docs/api-reference/.`,
    type: invalidType,
    param: null,
    code: 'unknown_url',
  })
}

const statusWords: Record<number, { message: string; type: string; code: string | null }> = {
  400: { message: 'The request was refused on demand.', type: invalidType, code: null },
  403: {
    message:
      'Project `proj_sandbox` of organization org-sandbox0123456789 does not have access (key sk-proj-****************************wxyz).',
    type: invalidType,
    code: 'model_not_found',
  },
  404: { message: 'The requested resource was not found.', type: invalidType, code: null },
  408: { message: 'Request timed out.', type: 'server_error', code: 'request_timeout' },
  409: {
    message: 'The resource was modified by another request. Please try again.',
    type: invalidType,
    code: 'conflict',
  },
  429: {
    message:
      'Rate limit reached for gpt-4o-mini in organization org-sandbox0123456789 on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.',
    type: 'requests',
    code: 'rate_limit_exceeded',
  },
  503: {
    message: 'The engine is currently overloaded, please try again later.',
    type: 'server_error',
    code: 'overloaded',
  },
}

function statusRefusal(fault: Extract<Fault, { kind: 'status' }>, key: string): Refusal {
  const headers: [string, string][] = []
  if (fault.retryAfterS !== undefined) headers.push(['retry-after', String(fault.retryAfterS)])
  if (fault.retryAfterMs !== undefined) headers.push(['retry-after-ms', String(fault.retryAfterMs)])
  if (fault.location !== undefined) headers.push(['location', fault.location])
  if (fault.status === 401) {
    const message = `${wrongKey(key).error.message} (organization org-sandbox0123456789)`
    return new Refusal(401, { message, type: invalidType, param: null, code: 'invalid_api_key' }, headers)
  }
  const fallback = {
    message: serverSorry,
    type: fault.status < 500 ? invalidType : 'server_error',
    code: null,
  }
  const words = statusWords[fault.status] ?? fallback
  return new Refusal(fault.status, { ...words, param: null, message: fault.body ?? words.message }, headers)
}

const reasons = {
  'context-length': new Refusal(400, {
    message:
      "This model's maximum context length is 128000 tokens. However, your messages resulted in 130500 tokens. Please reduce the length of the messages.",
    type: invalidType,
    param: 'messages',
    code: 'context_length_exceeded',
  }),
  'content-filter': new Refusal(400, {
    message:
      'The response was filtered due to the prompt triggering the content management policy. Please modify your prompt and retry.',
    type: invalidType,
    param: 'prompt',
    code: 'content_filter',
  }),
  'insufficient-quota': new Refusal(429, {
    message:
      'You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.',
    type: 'insufficient_quota',
    param: null,
    code: 'insufficient_quota',
  }),
  'rate-limit-tokens': new Refusal(
    429,
    {
      message:
        'Rate limit reached for gpt-4o-mini in organization org-sandbox0123456789 on tokens per min (TPM): Limit 40000, Used 39800, Requested 500. Please try again in 450ms.',
      type: 'tokens',
      param: null,
      code: 'rate_limit_exceeded',
    },
    [
      ['retry-after-ms', '450'],
      ['retry-after', '1'],
    ],
  ),
}

/** The refusal among some faults, or null. `key` is shown masked in a 401. */
export function refusalOf(faults: readonly Fault[], key: string): Refusal | null {
  for (const fault of faults) {
    if (fault.kind === 'status') return statusRefusal(fault, key)
    if (fault.kind === 'early') return statusRefusal({ kind: 'status', status: fault.status }, key)
    if (fault.kind === 'refuse') return reasons[fault.reason]
  }
  return null
}
