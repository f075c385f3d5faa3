// Stage 9, log: one line for every exchange that ended, and events of the gateway itself. The stage never throws and
// never waits: a line is text in memory, and getting it to the disk is line-queue.ts.

import type { Clock } from '../../base/clock.ts'
import type { Exchange } from '../../exchange.ts'
import type { AccessLine } from './access-line.ts'
import { isoTime } from './access-line.ts'
import { descriptorSink } from './descriptor.ts'
import type { LogEvent } from './events.ts'
import { createEvents } from './events.ts'
import { humanLine, timeOfDay } from './human.ts'
import { jsonLine } from './json-lines.ts'
import type { LineSink } from './line-queue.ts'
import { LineQueue } from './line-queue.ts'
import { RotatingFile } from './rotating-file.ts'

export interface LogStage {
  /** Writes the exchange's line; called once, when it has ended. */
  write(x: Exchange): void
  /** Something was thrown that is no Failure: told on stderr with its stack. */
  bug(cause: unknown): void
  /** Tells of the gateway itself, on stderr. */
  event: LogEvent
  /** Resolves when the lines taken so far are on their way to the disk's own cache, or cannot get there. */
  flush(): Promise<void>
  /** Begin the file anew under its name, after it was moved (SIGHUP). */
  reopen(): void
  /** Write what is left and close; lines that come later are lost. */
  close(): Promise<void>
}

/** Where and how lines are written; see options.ts. */
export interface LogSettings {
  /** Null = standard output. */
  readonly file: string | null
  readonly format: 'json' | 'human' | 'auto'
  /** Bytes. */
  readonly rotate: number
  readonly keep: number
}

/** The log's surroundings. */
export interface LogIo {
  readonly clock: Clock
  readonly stdout: { readonly fd: number; readonly isTty: boolean }
  readonly stderr: { readonly isTty: boolean; readonly write: (text: string) => void }
  /** Colour may be used where there is a terminal. */
  readonly colour: boolean
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** The events writer that a log of these settings has, for what is said before there is one. */
export function eventsOf(format: LogSettings['format'], io: LogIo): LogEvent {
  const { isTty, write } = io.stderr
  const form = format === 'auto' ? (isTty ? 'human' : 'json') : format
  return createEvents(
    { format: form, colour: io.colour && isTty },
    { wallMs: () => io.clock.wallMs(), write },
  )
}

function openSink(settings: LogSettings, io: LogIo, event: LogEvent): LineSink {
  if (settings.file === null) return descriptorSink(io.stdout.fd)
  const path = settings.file
  const onTrouble = (cause: unknown): void =>
    event('warn', `The access log could not be set aside and is written on: ${reasonOf(cause)}`, {
      file: path,
    })
  try {
    return new RotatingFile({
      path,
      rotate: settings.rotate,
      keep: settings.keep,
      clock: io.clock,
      onTrouble,
    })
  } catch (cause) {
    const what = `The access log ${path} cannot be opened (${reasonOf(cause)}).`
    throw new Error(`${what} Set log.file to a place that can be written.`, { cause })
  }
}

function lineOf(settings: LogSettings, io: LogIo): { human: boolean; line: AccessLine } {
  const onTerminal = settings.file === null && io.stdout.isTty
  const human = settings.format === 'human' || (settings.format === 'auto' && onTerminal)
  return { human, line: human ? humanLine(io.colour && onTerminal) : jsonLine }
}

/** A person at the terminal sees the lines too, in their form; the file stays the record. */
function onTerminal(settings: LogSettings, io: LogIo): ((x: Exchange, nowMs: number) => void) | null {
  if (settings.file === null || settings.format === 'json' || !io.stdout.isTty) return null
  const line = humanLine(io.colour)
  const queue = new LineQueue(descriptorSink(io.stdout.fd), {
    clock: io.clock,
    droppedLine: (lines, wallMs) => `${timeOfDay(wallMs)} ${lines} lines were not shown\n`,
    // A terminal that is gone is nobody's loss: the file has the lines.
    onTrouble: () => {},
    onRecovery: () => {},
  })
  return (x, nowMs) => queue.add(line(x, nowMs))
}

/** Opens the log. @throws Error with a line for the operator where the file cannot be opened */
export function createLog(settings: LogSettings, io: LogIo): LogStage {
  const { clock } = io
  const event = eventsOf(settings.format, io)
  const file = settings.file ?? 'standard output'
  const { human, line } = lineOf(settings, io)
  const queue = new LineQueue(openSink(settings, io, event), {
    clock,
    droppedLine: (lines, wallMs) =>
      human
        ? `${timeOfDay(wallMs)} ${lines} lines were dropped: the log could not be written\n`
        : `{"at":"${isoTime(wallMs)}","event":"lines_dropped","lines":${lines}}\n`,
    onTrouble: (cause) =>
      event(
        'error',
        `The access log cannot be written: ${reasonOf(cause)}. Lines wait in memory, up to 8 MB.`,
        { file },
      ),
    onRecovery: (droppedLines) => event('warn', 'The access log is written again.', { file, droppedLines }),
  })
  const terminal = onTerminal(settings, io)
  return {
    write: (x) => {
      const nowMs = clock.nowMs()
      queue.add(line(x, nowMs))
      terminal?.(x, nowMs)
    },
    bug: (cause) => event('error', 'This is a bug: please report it.', { cause }),
    event,
    flush: () => queue.flush(),
    reopen: () => queue.reopen(),
    close: async () => {
      const { lostBytes, droppedLines } = await queue.close()
      if (lostBytes + droppedLines > 0) {
        event('error', 'The end of the access log is lost: it could not be written.', {
          file,
          lostBytes,
          droppedLines,
        })
      }
    },
  }
}
