import { describe, expect, test } from 'bun:test'
import { Secret } from '../../base/secret.ts'
import { createEvents } from './events.ts'
import type { EventFields, EventLevel } from './events.ts'
import { timeOfDay } from './human.ts'

const wallMs = Date.UTC(2026, 10, 22, 9, 15, 3, 7)

function said(
  format: 'json' | 'human',
  level: EventLevel,
  message: string,
  fields?: EventFields,
  colour = false,
): string {
  let text = ''
  createEvents({ format, colour }, { wallMs: () => wallMs, write: (line) => (text += line) })(
    level,
    message,
    fields,
  )
  return text
}

describe('JSON', () => {
  test('time, level, message, then the fields', () => {
    expect(
      said('json', 'info', 'started', { port: 8080, tls: false, file: 'a b', none: null, gone: undefined }),
    ).toBe(
      '{"at":"2026-11-22T09:15:03.007Z","level":"info","message":"started","port":8080,"tls":false,"file":"a b","none":null}\n',
    )
  })

  test('a field cannot pass for the time, level or message', () => {
    const line = said('json', 'warn', 'real', { level: 'info', message: 'other', at: 'never', __proto__x: 1 })
    expect(JSON.parse(line)).toEqual({
      at: '2026-11-22T09:15:03.007Z',
      level: 'warn',
      message: 'real',
      __proto__x: 1,
    })
  })

  test('an error is shown with its stack', () => {
    const line = said('json', 'error', 'bug', { cause: new TypeError('x is\nnot a function') })
    const read = JSON.parse(line) as { cause: string }
    expect(read.cause).toContain('x is\nnot a function')
    expect(read.cause).toContain('events.test.ts')
    expect(line.indexOf('\n')).toBe(line.length - 1)
  })
})

describe('human', () => {
  test('one line, fields behind the message', () => {
    expect(said('human', 'warn', 'kept the old configuration', { line: 3 })).toBe(
      `${timeOfDay(wallMs)} warn  kept the old configuration line=3\n`,
    )
    expect(said('human', 'error', 'x', {}, true)).toContain('\u001b[31merror\u001b[0m')
  })

  test('a stack stands below, indented, and nothing commands the terminal', () => {
    const error = new Error('boom \u001b[2J')
    const text = said('human', 'error', 'bug\n\u001b[31m', { cause: error })
    const lines = text.split('\n')
    expect(lines[0]).toEndWith('bug\ufffd\ufffd[31m')
    expect(lines[1]).toStartWith('    Error: boom \ufffd[2J')
    expect(lines[2]).toStartWith('    ')
    expect(text).not.toContain('\u001b')
  })
})

test('no secret is shown, in no form', () => {
  const text = 'sk-live-canary-0123456789'
  const secret = new Secret(text)
  const fields = {
    secret,
    nested: { list: [secret] },
    quoted: `refused ${text}`,
    error: new Error(`Bearer ${text}`),
    [text]: 1,
  }
  for (const format of ['json', 'human'] as const) {
    const line = said(format, 'error', `key ${text} and ${secret}`, fields)
    expect(line).not.toContain('canary')
    expect(line).toContain(secret.fingerprint)
  }
})

test('nothing that is handed over makes it throw', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const hostile = {
    toJSON: () => {
      throw new Error('no')
    },
  }
  const values = {
    circle,
    big: 3n,
    symbol: Symbol('s'),
    call: () => 1,
    nan: NaN,
    hostile,
    date: new Date(NaN),
  }
  for (const format of ['json', 'human'] as const)
    expect(said(format, 'info', 'odd', values)).toContain('odd')
  const failing = createEvents(
    { format: 'json', colour: false },
    {
      wallMs: () => wallMs,
      write: () => {
        throw new Error('EPIPE')
      },
    },
  )
  expect(() => failing('error', 'x')).not.toThrow()
})
