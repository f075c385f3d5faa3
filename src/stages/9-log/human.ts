// Lines for people on a terminal: aligned, the status coloured, no more than one looks at while trying something out.
// What clients and upstreams send is shown with every control character and every mark that turns text around replaced,
// or a request could repaint the operator's terminal.

import type { Exchange } from '../../exchange.ts'
import type { AccessLine } from './access-line.ts'
import { cut, detailOf, failureOf, firstByteMs, pathOf, statusOf, tenths } from './access-line.ts'

const actedOn = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** A text without anything a terminal would act on. */
export function printable(text: string): string {
  return text.replace(actedOn, '\ufffd')
}

/** Local time of day, `09:15:03`. */
export function timeOfDay(wallMs: number): string {
  const time = new Date(wallMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}

function colourOf(status: number): number {
  if (status === 499) return 35
  if (status >= 500) return 31
  if (status >= 400) return 33
  return status >= 300 ? 36 : 32
}

/** Text in a colour of ECMA-48, or as it is. */
export function coloured(text: string, code: number, colour: boolean): string {
  return colour ? `\u001b[${code}m${text}\u001b[0m` : text
}

function duration(ms: number): string {
  if (ms < 1000) return `${tenths(ms)}ms`
  return ms < 100_000 ? `${(ms / 1000).toFixed(2)}s` : `${Math.round(ms / 1000)}s`
}

function modelText(x: Exchange): string {
  const asked = x.model
  if (asked === null) return x.answeredModel ?? '-'
  // A dated name of the model asked for says nothing new at a glance.
  return x.answeredModel === null || x.answeredModel.startsWith(asked)
    ? asked
    : `${asked} → ${x.answeredModel}`
}

/** The writer of human lines; `colour` only where a terminal shows it. */
export function humanLine(colour: boolean): AccessLine {
  return (x, endedAtMs) => {
    const status = statusOf(x)
    const first = firstByteMs(x)
    const took = duration(endedAtMs - x.startedAtMs)
    const times = x.stream && first !== null ? `${duration(first)}/${took}` : took
    const tokens = x.usage === null ? '-' : `${x.usage.input}+${x.usage.output}`
    const failure = failureOf(x)
    const detail = detailOf(x)
    const columns = [
      coloured(timeOfDay(x.startedWallMs), 2, colour),
      coloured(String(status), colourOf(status), colour),
      printable(`${cut(x.request.method, 16)} ${cut(pathOf(x), 96)}`).padEnd(32),
      printable(cut(modelText(x), 64)).padEnd(20),
      tokens.padStart(11),
      times.padStart(15),
      printable(cut(x.principal.key ?? x.principal.kind, 32)).padEnd(10),
      printable(x.upstream ?? '-'),
    ]
    if (failure !== null) columns.push(coloured(failure, colourOf(status >= 400 ? status : 500), colour))
    if (detail !== null) columns.push(printable(detail))
    return `${columns.join(' ')}\n`
  }
}
