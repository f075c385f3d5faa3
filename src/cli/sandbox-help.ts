// What `headgate sandbox --help` says below the options: every fault. Apart from sandbox.ts, which loads the whole server,
// since commander wants help at once and so it is loaded synchronously.

import { faultNames } from '../sandbox/fault-names.ts'

const columns = 80

/** The faults by name, folded for a terminal of 80 columns. */
export function faultHelp(): string {
  const width = Math.max(...faultNames.map(({ name }) => name.length))
  const indent = ' '.repeat(width + 4)
  const faults = faultNames.map(
    ({ name, does }) => `  ${name.padEnd(width)}  ${fold(does, columns - indent.length).join(`\n${indent}`)}`,
  )
  return [
    '',
    'Faults, as the model or joined to one ("gpt-4o+fault-cut-3"), or by',
    'POST /sandbox/faults:',
    '',
    ...faults,
  ].join('\n')
}

function fold(text: string, max: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line !== '' && line.length + 1 + word.length > max) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
