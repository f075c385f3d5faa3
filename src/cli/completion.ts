// Completion scripts, generated from the commander program, so that they cannot fall behind it. The scripts are
// static: a shell that asks the program at every Tab would wait for it to start.

import { printed } from './print.ts'
import type { Command, Option } from 'commander'

/** A shell that a completion script can be made for. */
export type Shell = 'bash' | 'zsh' | 'fish'

/** What follows an option or a command on the command line. */
type Value = 'none' | 'file' | 'folder' | 'text'

interface Flag {
  /** Such as `--config` and `-c`. */
  readonly names: readonly string[]
  readonly text: string
  readonly value: Value
}

interface Entry {
  readonly name: string
  readonly text: string
  readonly flags: readonly Flag[]
  /** Words that may follow: shells, or names of commands. */
  readonly words: readonly string[]
}

const shells: readonly Shell[] = ['bash', 'zsh', 'fish']

/** `headgate completion <shell>`: prints the script, to be put where the shell looks or `eval`ed. */
export async function runCompletion(program: Command, shell: Shell): Promise<number> {
  return printed(completionScript(program, shell))
}

/** The completion script of a program for one shell: commands, their options, files and folders where they fit. */
export function completionScript(program: Command, shell: Shell): string {
  const entries = program.commands.map((command) => entry(program, command))
  if (shell === 'bash') return bash(entries)
  return shell === 'zsh' ? zsh(entries) : fish(entries)
}

function entry(program: Command, command: Command): Entry {
  const below = command.commands
  const listed = { completion: shells, help: program.commands.map((one) => one.name()) }[command.name()]
  const words = listed ?? below.map((one) => one.name())
  const help: Flag = { names: ['-h', '--help'], text: 'show help', value: 'none' }
  return {
    name: command.name(),
    text: command.description(),
    flags: [...firstOfEach([command, ...below].flatMap((one) => one.options.map(flag))), help],
    words,
  }
}

/** Commands below one command share most of their options. */
function firstOfEach(flags: readonly Flag[]): Flag[] {
  return [...new Map(flags.toReversed().map((one) => [one.names.join(), one])).values()].toReversed()
}

function flag(option: Option): Flag {
  const names = [option.short, option.long].filter((name) => name !== undefined)
  const [, placeholder] = /[<[](.+?)[>\]]/.exec(option.flags) ?? []
  const values: Record<string, Value> = { file: 'file', folder: 'folder' }
  const value = placeholder === undefined ? 'none' : (values[placeholder] ?? 'text')
  return { names, text: option.description, value }
}

function bash(entries: readonly Entry[]): string {
  const cases = entries.map(({ name, flags, words }) => {
    const choices = [...flags.flatMap((one) => one.names), ...words].join(' ')
    return `    ${name}) COMPREPLY=($(compgen -W '${choices}' -- "$current")) ;;`
  })
  const flagsWith = (value: Value): string => {
    const names = entries.flatMap((one) => one.flags).filter((one) => one.value === value)
    return [...new Set(names.flatMap((one) => one.names))].join('|')
  }
  return `# bash completion for headgate: eval "$(headgate completion bash)"
_headgate() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${entries.map((one) => one.name).join(' ')}' -- "$current"))
    return
  fi
  case "$previous" in
    ${flagsWith('file')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    ${flagsWith('folder')}) COMPREPLY=($(compgen -d -- "$current")); return ;;
    ${flagsWith('text')}) return ;;
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
}
complete -o filenames -F _headgate headgate`
}

function zsh(entries: readonly Entry[]): string {
  const actions: Record<Value, string> = {
    none: '',
    file: ':file:_files',
    folder: ':folder:_files -/',
    text: ':value: ',
  }
  const commands = entries.map((one) => `    ${quote(`${one.name}:${one.text}`)}`)
  const cases = entries.map(({ name, flags, words }) => {
    const specs = flags.map(({ names, text, value }) => {
      const clean = text.replace(/[[\]:]/g, ' ')
      const many = names.length > 1 ? `'(${names.join(' ')})'{${names.join(',')}}` : names[0]
      return `${many}${quote(`[${clean}]${actions[value]}`)}`
    })
    if (words.length > 0) specs.push(`'1:word:(${words.join(' ')})'`)
    return `    ${name}) _arguments ${specs.join(' ')} ;;`
  })
  return `#compdef headgate
# zsh completion for headgate: put this into a folder of $fpath as _headgate, or eval "$(headgate completion zsh)"
_headgate() {
  local -a commands
  commands=(
${commands.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _headgate ]; then _headgate "$@"; else compdef _headgate headgate; fi`
}

function fish(entries: readonly Entry[]): string {
  const lines = [
    '# fish completion for headgate: headgate completion fish | source',
    'complete -c headgate -f',
  ]
  for (const { name, text } of entries) {
    lines.push(`complete -c headgate -n __fish_use_subcommand -a ${name} -d ${quote(text)}`)
  }
  const extra: Record<Value, string> = {
    none: '',
    file: ' -r -F',
    folder: " -x -a '(__fish_complete_directories)'",
    text: ' -x',
  }
  for (const { name, flags, words } of entries) {
    const when = `complete -c headgate -n '__fish_seen_subcommand_from ${name}'`
    for (const { names, text, value } of flags) {
      const switches = names.map((one) =>
        one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`,
      )
      lines.push(`${when} ${switches.join(' ')}${extra[value]} -d ${quote(text)}`)
    }
    if (words.length > 0) lines.push(`${when} -a '${words.join(' ')}'`)
  }
  return lines.join('\n')
}

/** A text as one word of bash and zsh; fish reads it alike, since our texts hold no backslash. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`
}
