// What is wrong with a configuration, said so that a person can mend it: where, what, and what to do instead. All
// problems of a file are gathered and thrown at once. No message ever repeats a value from the file: a key pasted into
// the wrong place would travel from here into terminals, CI logs and issue trackers.

/** One thing wrong (or doubtful: a warning) in a configuration. */
export interface Problem {
  /** As shown to the user, relative to where they stand; null where no file is involved. */
  file: string | null
  /** From 1; null where unknown, as in `headgate.config.ts`. */
  line: number | null
  column: number | null
  /** The setting, such as `upstreams[0].timeouts.connect`; '' for the file as a whole. */
  path: string
  message: string
  /** What to write or do instead. */
  suggestion: string | null
  severity: 'error' | 'warning'
}

/** A problem before it is known where in which file it stands. */
export interface Finding {
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly suggestion?: string | null
  readonly severity?: 'error' | 'warning'
  /** Point at the key rather than at its value. */
  readonly at?: 'key' | 'value'
}

/** `['upstreams', 0, 'name']` as `upstreams[0].name`. */
export function pathText(path: readonly (string | number)[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** `file:line: path: message (suggestion)`: one line, as compilers and nginx write it. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === null ? problem.file : `${problem.file}:${problem.line}`
  const parts = [place, problem.severity === 'warning' ? 'warning' : null, problem.path, problem.message]
  const line = parts.filter((part) => part !== null && part !== '').join(': ')
  return problem.suggestion === null ? line : `${line} (${problem.suggestion})`
}

/** Everything wrong with a configuration at once; `problems` may hold warnings beside the errors. */
export class ConfigProblems extends Error {
  readonly problems: Problem[]

  constructor(problems: Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'ConfigProblems'
    this.problems = problems
  }

  /** One line a problem, in the order of the file, each with `prefix` before it. */
  format(prefix = ''): string {
    return this.problems.map((problem) => prefix + formatProblem(problem)).join('\n')
  }
}
