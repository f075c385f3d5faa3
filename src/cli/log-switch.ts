// The log that everything in the process writes to, whichever file is behind it at the moment: a reload may name
// another one while exchanges are under way, and their lines must not be lost.

import type { LogStage } from '../gateway.ts'

export class LogSwitch implements LogStage {
  constructor(private current: LogStage) {}

  /** Lines go to `next` from now on; what the old one still holds is written. */
  replace(next: LogStage): void {
    const previous = this.current
    this.current = next
    void previous.close()
  }

  readonly write: LogStage['write'] = (x) => this.current.write(x)
  readonly bug: LogStage['bug'] = (cause) => this.current.bug(cause)
  readonly event: LogStage['event'] = (level, message, fields) => this.current.event(level, message, fields)
  readonly flush: LogStage['flush'] = () => this.current.flush()
  readonly reopen: LogStage['reopen'] = () => this.current.reopen()
  readonly close: LogStage['close'] = () => this.current.close()
}
