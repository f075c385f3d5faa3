// Lines for people on a terminal: aligned as far as every line has the column, the status coloured, no more than one
// looks at while trying something out. What has no value is left out, so that a usual line fits 80 columns.
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

/** Three digits at most, but for minutes. */
function duration(ms: number): string {
  if (ms < 1000) return `${ms < 100 ? tenths(ms) : Math.round(ms)}ms`
  return ms < 100_000 ? `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)}s` : `${Math.round(ms / 1000)}s`
}

function modelText(x: Exchange): string | null {
  const asked = x.model
  if (asked === null) return x.answeredModel
  // A dated name of the model asked for says nothing new at a glance.
  return x.answeredModel === null || x.answeredModel.startsWith(asked)
    ? asked
    : `${asked} → ${x.answeredModel}`
}

/** `POST /v1/chat/completions`; what was refused before it could be read has neither. */
function requestText(x: Exchange): string {
  const { method } = x.request
  return method === '-' ? '(unread)' : `${cut(method, 16)} ${cut(pathOf(x), 96)}`
}

/** The writer of human lines; `colour` only where a terminal shows it. */
export function humanLine(colour: boolean): AccessLine {
  return (x, endedAtMs) => {
    const status = statusOf(x)
    const first = firstByteMs(x)
    const took = duration(endedAtMs - x.startedAtMs)
    const model = modelText(x)
    const failure = failureOf(x)
    const columns = [
      coloured(timeOfDay(x.startedWallMs), 2, colour),
      coloured(String(status), colourOf(status), colour),
      printable(requestText(x)).padEnd(25),
      (x.stream && first !== null ? `${duration(first)}/${took}` : took).padStart(11),
      model === null ? null : printable(cut(model, 64)),
      x.usage === null ? null : `${x.usage.input}+${x.usage.output}`,
      printable(cut(x.principal.key ?? x.principal.kind, 32)),
      x.upstream === null ? null : printable(x.upstream),
      failure === null ? null : coloured(failure, colourOf(status >= 400 ? status : 500), colour),
      detailOf(x) === null ? null : printable(detailOf(x)!),
    ]
    return `${columns.filter((column) => column !== null).join(' ')}\n`
  }
}
