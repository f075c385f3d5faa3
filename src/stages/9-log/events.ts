// What the gateway says of itself: start, reload, warnings, bugs with their stack. On stderr, apart from the access log,
// in the same two forms. It is told often about things that went wrong, so it never throws and never prints a secret:
// a Secret shows its fingerprint, and what looks like a key in a text of others is taken out.

import { redactKeys } from '../../openai/errors.ts'
import { isoTime } from './access-line.ts'
import { coloured, printable, timeOfDay } from './human.ts'
import { inert } from './member.ts'

export type EventLevel = 'info' | 'warn' | 'error'

/** More to an event, by name. An Error among them is shown with its stack. */
export type EventFields = Readonly<Record<string, unknown>>

/** Says one thing. Never throws. */
export type LogEvent = (level: EventLevel, message: string, fields?: EventFields) => void

/** How events are written. */
export interface EventForm {
  readonly format: 'json' | 'human'
  readonly colour: boolean
}

const colours: Record<EventLevel, number> = { info: 36, warn: 33, error: 31 }
const fieldMax = 16_384

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Error) {
    const stack = value.stack ?? ''
    // Not every stack begins with the message.
    return stack.includes(value.message) ? stack : `${value.name}: ${value.message}\n${stack}`
  }
  try {
    // Undefined for a function or a symbol.
    return JSON.stringify(value) ?? String(value)
  } catch {
    // A circle, or a bigint.
    return Object.prototype.toString.call(value)
  }
}

function clean(value: unknown): string {
  return redactKeys(textOf(value).slice(0, fieldMax))
}

function jsonEvent(at: number, said: { level: EventLevel; message: string }, fields: EventFields): string {
  const record: [string, unknown][] = [
    ['at', isoTime(at)],
    ['level', said.level],
    ['message', clean(said.message)],
  ]
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name === 'at' || name === 'level' || name === 'message') continue
    const bare = value === null || typeof value === 'boolean' || typeof value === 'number'
    record.push([clean(name), bare ? value : clean(value)])
  }
  return `${inert(JSON.stringify(Object.fromEntries(record)))}\n`
}

function humanEvent(
  at: number,
  said: { level: EventLevel; message: string },
  write: { fields: EventFields; colour: boolean },
): string {
  const { fields, colour } = write
  let line = `${coloured(timeOfDay(at), 2, colour)} ${coloured(said.level.padEnd(5), colours[said.level], colour)} ${printable(clean(said.message))}`
  let below = ''
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const text = clean(value)
    if (text.includes('\n'))
      below += text
        .split('\n')
        .map((part) => `    ${printable(part)}\n`)
        .join('')
    else line += ` ${coloured(`${printable(clean(name))}=`, 2, colour)}${printable(text)}`
  }
  return `${line}\n${below}`
}

/** The writer of events. `write` takes whole lines; what it throws (a closed stderr) is nobody's concern. */
export function createEvents(
  form: EventForm,
  io: { wallMs: () => number; write: (text: string) => void },
): LogEvent {
  return (level, message, fields = {}) => {
    try {
      const at = io.wallMs()
      const said = { level, message }
      io.write(
        form.format === 'json'
          ? jsonEvent(at, said, fields)
          : humanEvent(at, said, { fields, colour: form.colour }),
      )
    } catch {
      // There is no place left to say it.
    }
  }
}
