// Settings of cross-origin requests.

import { z } from 'zod'
import { duration, expected, list, refuseValue } from '../../config/fields.ts'

const origin = z
  .string({ error: expected('an origin, such as https://app.example.com') })
  .transform((text, context) => {
    if (text === '*') return text
    const hint =
      'write scheme, host and port only, as a browser sends it: https://app.example.com; * stands alone'
    if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*,;"'\\\u0000-\u0020\u007f-\uffff]+$/.test(text))
      return refuseValue(context, 'expected an origin', hint)
    if (/^https?:/.test(text) && (!URL.canParse(text) || new URL(text).origin !== text))
      return refuseValue(context, 'expected an origin', `${hint}; in lower case, without the usual port`)
    return text
  })

const fieldName = z
  .string({ error: expected('a header name') })
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'expected a header name')

/** Section `server.cors`. */
export const corsOptions = z
  .strictObject(
    {
      origins: list(origin, 'is an empty list: name an origin, or leave cors away').describe(
        'Origins whose pages may call, such as `https://app.example.com`; `*` = any. Cookies are never asked for. ' +
          'Caution: a key that a page can use is known to everyone who opens the page.',
      ),
      headers: list(fieldName)
        .optional()
        .describe('Request headers that pages may send. Absent = whatever they ask for.'),
      maxAge: duration({ default: '10m', min: '0s', max: '1d' }).describe(
        'How long a browser may remember that it may call.',
      ),
    },
    { error: expected('a mapping of settings') },
  )
  .optional()
  .describe(
    'Cross-origin requests from pages in browsers. With it, preflights are answered here without a credential, and the ' +
      "upstream's own access-control headers are dropped. Absent = nothing is added and nothing is dropped.",
  )
