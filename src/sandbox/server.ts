// The sockets. A connection reads one request at a time, asks the application for a script, and plays it: write (with the socket's own
// backpressure), wait, finish, close, reset, hang, tunnel. Built on Bun.listen rather than node:http because a fake upstream has to
// write any bytes at all, RST (`terminate`) and FIN (`end`) at will, and hand on targets and headers as they came.

import type { Socket } from 'bun'
import type { BookEnding } from './books.ts'
import { headerOf, RequestParser } from './parse.ts'
import type { RequestHead } from './parse.ts'
import { utf8 } from './reply.ts'
import type { Link, LinkReceiver } from './reply.ts'
import type { Note, Step } from './script.ts'

/** An answer being played, and who wants to know how that went. */
export interface Performance {
  readonly steps: Iterator<Step>
  note(note: Note): void
  ended(how: BookEnding): void
}

/** Takes in the body of one request. */
export interface Intake {
  /** An answer that does not wait for the body; the connection is closed after it. */
  readonly early: Performance | null
  /** Never read the body. */
  readonly deaf: boolean
  chunk(bytes: Uint8Array): void
  end(): Promise<Performance>
  /** The client left before its request was whole. */
  gone(): void
}

/** What the server serves. */
export interface Application {
  open(head: RequestHead): Intake
}

/** A listening server. */
export interface Server {
  readonly port: number
  connections(): number
  close(): Promise<void>
}

const lingerMs = 1000

class Connection {
  readonly parser = new RequestParser({
    head: (head) => this.#head(head),
    body: (bytes) => this.#intake?.chunk(bytes),
    end: () => this.#requestEnd(),
    bad: (reason) => this.#refuse(reason),
  })
  #intake: Intake | null = null
  #show: Performance | null = null
  #receiver: LinkReceiver | null = null
  #pending: Uint8Array[] = []
  #ending: 'none' | 'end' | 'gone' = 'none'
  readonly #timers = new Set<Timer>()

  constructor(
    readonly socket: Socket<Connection | null>,
    readonly application: Application,
  ) {}

  data(bytes: Uint8Array): void {
    if (this.#receiver !== null) this.#receiver.data(bytes)
    else this.parser.push(bytes)
  }

  #head(head: RequestHead): void {
    const intake = this.application.open(head)
    this.#intake = intake
    if (intake.deaf) this.socket.pause()
    else if (intake.early !== null) this.#play(intake.early)
    else if (headerOf(head.headers, 'expect')?.toLowerCase() === '100-continue')
      this.#write(utf8('HTTP/1.1 100 Continue\r\n\r\n'))
  }

  #requestEnd(): void {
    const intake = this.#intake
    if (intake === null || intake.deaf || intake.early !== null) return
    intake.end().then(
      (show) => (this.#ending === 'none' ? this.#play(show) : show.ended('aborted')),
      () => this.#reset(),
    )
  }

  #refuse(reason: string): void {
    const body = JSON.stringify({
      error: {
        message: `Malformed request: ${reason}`,
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    })
    const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
    this.#write(utf8(head + body))
    this.#end()
  }

  #play(show: Performance): void {
    this.#show = show
    this.#advance()
  }

  /** Plays on until something has to be waited for. */
  #advance(): void {
    while (this.#show !== null && this.#pending.length === 0 && this.#ending === 'none') {
      const next = this.#show.steps.next()
      const step: Step = next.done === true ? { do: 'close', as: 'cut' } : next.value
      if (step.do === 'write') {
        this.#write(step.bytes)
        if (step.note !== null) this.#show?.note(step.note)
      } else if (step.do === 'wait') {
        this.#later(step.ms, () => this.#advance())
        return
      } else if (step.do === 'hang') return
      else if (step.do === 'tunnel') return this.#tunnel(step.accept)
      else return this.#finish(step)
    }
  }

  #finish(step: Extract<Step, { do: 'finish' | 'close' | 'reset' }>): void {
    const show = this.#show
    this.#show = null
    if (step.do === 'reset') {
      show?.ended('reset')
      return this.#reset()
    }
    show?.ended(step.do === 'close' ? step.as : 'complete')
    const early = this.#intake?.early != null
    this.#intake = null
    if (step.do === 'finish' && step.keepAlive && !early) this.parser.next()
    else this.#end()
  }

  #tunnel(accept: (link: Link) => LinkReceiver): void {
    const link: Link = {
      write: (bytes) => this.#write(bytes),
      end: () => {
        this.#close('complete')
        this.#end()
      },
      reset: () => {
        this.#close('reset')
        this.#reset()
      },
      later: (ms, callback) => this.#later(ms, callback),
    }
    this.#receiver = accept(link)
    const rest = this.parser.takeRest()
    if (rest.length > 0) this.#receiver.data(rest)
  }

  #close(how: BookEnding): void {
    this.#show?.ended(how)
    this.#show = null
    this.#intake = null
  }

  #later(ms: number, callback: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      callback()
    }, ms)
    this.#timers.add(timer)
  }

  #write(bytes: Uint8Array): void {
    if (this.#ending !== 'none' || bytes.length === 0) return
    if (this.#pending.length > 0) return void this.#pending.push(bytes)
    const sent = this.socket.write(bytes)
    if (sent < 0) return this.gone('aborted')
    if (sent < bytes.length) this.#pending.push(bytes.subarray(sent))
  }

  drain(): void {
    while (this.#pending.length > 0) {
      const bytes = this.#pending[0]!
      const sent = this.socket.write(bytes)
      if (sent < bytes.length) {
        if (sent > 0) this.#pending[0] = bytes.subarray(sent)
        return
      }
      this.#pending.shift()
    }
    if (this.#ending === 'end') this.#shut()
    else this.#advance()
  }

  #end(): void {
    if (this.#ending !== 'none') return
    this.#ending = 'end'
    if (this.#pending.length === 0) this.#shut()
  }

  /** FIN; the rest of the client's bytes are read and dropped for a while, else the kernel would send an RST over the answer. */
  #shut(): void {
    this.socket.shutdown()
    this.#later(lingerMs, () => this.socket.end())
  }

  #reset(): void {
    if (this.#ending === 'gone') return
    this.socket.terminate()
    this.gone('reset')
  }

  /** The connection is no more; `how` is what the books say of an answer that was under way. */
  gone(how: BookEnding): void {
    if (this.#ending === 'gone') return
    this.#ending = 'gone'
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#pending = []
    const show = this.#show
    this.#show = null
    show?.ended(how)
    if (show === null) this.#intake?.gone()
    this.#receiver?.closed()
  }

  /** The peer sent FIN: after our own it is the end; before, it has left. */
  peerEnded(): void {
    this.socket.end()
    this.gone('aborted')
  }
}

/** Listens. @throws the system's error, such as EADDRINUSE */
export function listen(address: { hostname: string; port: number }, application: Application): Server {
  const open = new Set<Connection>()
  const listener = Bun.listen<Connection | null>({
    ...address,
    socket: {
      open(socket) {
        socket.setNoDelay(true)
        const connection = new Connection(socket, application)
        socket.data = connection
        open.add(connection)
      },
      data: (socket, bytes) => socket.data?.data(bytes),
      drain: (socket) => socket.data?.drain(),
      end: (socket) => socket.data?.peerEnded(),
      error: (socket) => socket.data?.gone('aborted'),
      close(socket) {
        if (socket.data === null) return
        open.delete(socket.data)
        socket.data.gone('aborted')
      },
    },
    data: null,
  })
  return {
    port: listener.port,
    connections: () => open.size,
    close() {
      for (const connection of open) {
        connection.gone('closed')
        connection.socket.terminate()
      }
      open.clear()
      listener.stop(true)
      // The listening socket itself is closed at the end of this turn of the event loop.
      return new Promise((resolve) => setTimeout(resolve, 0))
    },
  }
}
